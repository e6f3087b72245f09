"""A saved result is complete, opens in other programs, and starts a new run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import io_layouts
import numpy as np
import pytest
from io_layouts import Scan

import exitwave
from exitwave.errors import ExitwaveError, FileFormatError, InvalidArgument
from exitwave.geometry import Geometry
from exitwave.io import describe, load, load_result, save_result
from exitwave.result import Result


def make_result(scan: Scan, object_shape: tuple[int, ...] = (40, 50), **changes: Any) -> Result:
    rng = np.random.default_rng(3)
    obj = np.exp(1j * rng.normal(size=object_shape)).astype(np.complex64)
    values: dict[str, Any] = {
        "object": obj,
        "probe": scan.probe,
        "positions": scan.positions_px + 3.25,
        "errors": [np.array([0.5, 0.25, 0.125]), np.array([0.1])],
        "error": 0.0625,
        "engines": ["DM", "ML"],
        "params": {
            "engines": [
                {"name": "DM", "iterations": 3, "probe_support": rng.random((12, 20)) > 0.5},
                {"name": "ML", "object_clip": (0.0, 1.5), "smoothness": np.float64(1e-3)},
            ],
            "propagation": {"regime": "near", "pixel_size_m": (1e-8, 2e-8)},
            "parts": None,
            "seed": 0,
            "scale_start": True,
            "limit": float("inf"),
        },
        "seconds": 1.5,
        "stopped": "callback",
        "pixel_size_m": (1e-8, 2e-8),
        "source": "/data/scan.cxi",
        "start": {"object": obj * 0 + 1, "probe": scan.probe * 2, "positions": scan.positions_px},
    }
    return Result(**(values | changes))


def assert_same(left: Any, right: Any) -> None:
    """Equal in value and type, arrays to the bit."""
    assert type(left) is type(right) or isinstance(right, np.generic)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    else:
        assert left == right


@pytest.mark.parametrize(
    ("object_shape", "changes"),
    [
        ((40, 50), {}),
        ((2, 40, 50), {"stopped": None, "source": None, "pixel_size_m": None}),
        ((2, 3, 41, 50), {"engines": [], "errors": [], "params": {}, "start": {}}),
        ((40, 50), {"engines": ["ML", "AP"], "errors": [np.zeros(0), np.array([np.nan])]}),
    ],
)
def test_a_saved_result_comes_back_to_the_bit(
    tmp_path: Path, scan: Scan, object_shape: tuple[int, ...], changes: dict[str, Any]
) -> None:
    result = make_result(scan, object_shape, **changes)

    save_result(tmp_path / "out.h5", result)
    loaded = load_result(tmp_path / "out.h5")

    assert_same(vars(loaded), vars(result))


def test_a_saved_result_gives_start_values_of_a_new_run(tmp_path: Path, scan: Scan) -> None:
    io_layouts.exitwave_metres(tmp_path / "scan.h5", scan)
    result = make_result(scan)
    with load(tmp_path / "scan.h5") as dataset:
        save_result(tmp_path / "out.h5", result, dataset)
        save_result(tmp_path / "sourceless.h5", make_result(scan, source=None), dataset)
    assert load_result(tmp_path / "sourceless.h5").source == str(tmp_path / "scan.h5")

    with exitwave.load(tmp_path / "out.h5") as start:
        rows = dict(describe(start).rows())

    assert start.format == "result"
    assert start.data.shape == (0, 12, 20)
    np.testing.assert_array_equal(start.object, result.object)
    np.testing.assert_array_equal(start.probe, result.probe)
    np.testing.assert_array_equal(start.positions_px, result.positions)
    np.testing.assert_array_equal(start.mask, scan.mask)
    assert start.geometry == dataset.geometry
    assert rows["frames"] == "none, start values only"
    assert "/data/scan.cxi" in rows["note"]


def test_near_field_geometry_survives(tmp_path: Path, scan: Scan) -> None:
    geometry = Geometry.from_near_field(1e-10, 0.9, (1e-6, 2e-6), 0.1)

    save_result(tmp_path / "out.h5", make_result(scan), geometry=geometry)

    with load(tmp_path / "out.h5") as start:
        assert start.geometry == geometry


def test_default_attributes_lead_to_plots(tmp_path: Path, scan: Scan) -> None:
    """The NeXus rules: default leads from the root to an NXdata, and every NXdata is complete."""
    save_result(tmp_path / "out.h5", make_result(scan, (2, 40, 50)))
    plots: list[h5py.Group] = []

    def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group):
            assert (
                "NX_class" in item.attrs
                or name.endswith(("arrays", "engines"))
                or ("configuration" in name)
            )
            if item.attrs.get("NX_class") == "NXdata":
                plots.append(item)

    with h5py.File(tmp_path / "out.h5") as file:
        here: h5py.Group = file
        while "default" in here.attrs:
            here = here[here.attrs["default"]]
        assert here.name == "/entry_1/object_phase"
        assert here.attrs["NX_class"] == "NXdata"
        file.visititems(collect)
        assert len(plots) == 9
        for plot in plots:
            signal = plot[plot.attrs["signal"]]
            if "axes" not in plot.attrs:
                continue
            axes = list(plot.attrs["axes"])
            assert len(axes) == signal.ndim
            for axis, size in zip(axes, signal.shape, strict=True):
                assert plot[axis].shape == (size,)
        assert here["x"][1] == pytest.approx(2e-8)
        assert here["y"].attrs["units"] == "m"
        np.testing.assert_allclose(here["phase"][...], np.angle(file["entry_1/object"][...]))


def test_a_result_is_valid_cxi(tmp_path: Path, scan: Scan) -> None:
    result = make_result(scan)
    geometry = Geometry.from_far_field(1e-10, 2.0, (50e-6, 75e-6), (12, 20))

    save_result(tmp_path / "out.cxi", result, geometry=geometry)

    with h5py.File(tmp_path / "out.cxi") as file:
        assert file["cxi_version"][()] == 160
        entry = file["entry_1"]
        np.testing.assert_array_equal(entry["data_1/data"][...], result.object)
        assert entry["image_1/data"].dtype.kind == "c"
        np.testing.assert_array_equal(entry["image_2/data"][...], result.probe)
        energy = entry["instrument_1/source_1/energy"][()]
        assert energy == pytest.approx(1.98644586e-15)
        assert entry["instrument_1/detector_1/y_pixel_size"][()] == 50e-6
        translation = entry["sample_1/geometry_1/translation"][...]
        np.testing.assert_allclose(translation[:, 1], result.positions[:, 0] * 1e-8)
        np.testing.assert_allclose(translation[:, 0], result.positions[:, 1] * 2e-8)


def test_everything_that_led_to_a_result_can_be_read_by_eye(tmp_path: Path, scan: Scan) -> None:
    io_layouts.cxi_pynx(tmp_path / "scan.cxi", scan)
    with load(tmp_path / "scan.cxi") as dataset:
        save_result(tmp_path / "out.h5", make_result(scan), dataset=dataset)

    with h5py.File(tmp_path / "out.h5") as file:
        process = file["entry_1/process_1"]
        configuration = process["configuration"]
        notes = [note.decode() for note in process["notes"]]
        assert configuration["engines/1/iterations"].asstr()[()] == "3"
        assert configuration["engines/1/probe_support"].asstr()[()] == "array in ../arrays/0"
        assert configuration["engines/2/object_clip"].asstr()[()] == "[0.0, 1.5]"
        assert json.loads(process["parameters"].asstr()[()])["seed"] == 0
        assert process["version"].asstr()[()] == exitwave.__version__
        assert process["versions/numpy"].asstr()[()] == np.__version__
        assert process["source"].asstr()[()] == "/data/scan.cxi"
        assert "date" in process
    assert notes == dataset.notes
    assert any("dark" in note for note in notes)


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path, scan: Scan) -> None:
    path = tmp_path / "out.h5"
    path.write_text("precious")

    with pytest.raises(InvalidArgument, match=r"exists already; .* overwrite=True"):
        save_result(path, make_result(scan))

    assert path.read_text() == "precious"
    save_result(path, make_result(scan), overwrite=True)
    assert load_result(path).error == 0.0625
    assert [file.name for file in tmp_path.iterdir()] == ["out.h5"]


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, scan: Scan) -> None:
    path = tmp_path / "out.h5"
    save_result(path, make_result(scan))
    before = path.read_bytes()
    bad = make_result(scan, params={"engines": [{"name": "DM", "hook": print}]})

    with pytest.raises(InvalidArgument, match=r"params\.engines\[0\]\.hook is of type builtin"):
        save_result(path, bad, overwrite=True)

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["out.h5"]


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, scan: Scan) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        with pytest.raises(ExitwaveError, match="cannot be written"):
            save_result(tmp_path / "out.h5", make_result(scan, (200, 200)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no/such/folder/out.h5", "."])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, scan: Scan, name: str) -> None:
    with pytest.raises(InvalidArgument, match="path is"):
        save_result(tmp_path / name, make_result(scan))


def test_engines_and_curves_must_belong_together(tmp_path: Path, scan: Scan) -> None:
    with pytest.raises(InvalidArgument, match="2 engines, but 1 error curves"):
        save_result(tmp_path / "out.h5", make_result(scan, errors=[np.zeros(2)]))


@pytest.mark.parametrize(
    "name",
    [
        "image_1/data",
        "image_2",
        "positions/positions_px",
        "errors/fourier_error",
        "process_1",
        "process_1/parameters",
        "process_1/arrays/0",
        "start",
    ],
)
def test_a_result_that_lacks_something_is_refused(tmp_path: Path, scan: Scan, name: str) -> None:
    path = tmp_path / "out.h5"
    save_result(path, make_result(scan))
    with h5py.File(path, "r+") as file:
        del file["entry_1"][name]

    with pytest.raises(FileFormatError, match=r"out\.h5: .*(lacks|missing|damaged)"):
        load_result(path)


@pytest.mark.parametrize("part", [0, 100, 0.5, -1])
def test_a_truncated_result_is_refused(tmp_path: Path, scan: Scan, part: float) -> None:
    path = tmp_path / "out.h5"
    save_result(path, make_result(scan))
    content = path.read_bytes()
    keep = int(part * len(content)) if isinstance(part, float) else part % len(content)
    path.write_bytes(content[:keep])

    with pytest.raises(FileFormatError, match="damaged or still being written"):
        load_result(path)


def test_a_result_of_the_future_is_refused(tmp_path: Path, scan: Scan) -> None:
    save_result(tmp_path / "out.h5", make_result(scan))
    with h5py.File(tmp_path / "out.h5", "r+") as file:
        file.attrs["exitwave_result"] = 99

    with pytest.raises(FileFormatError, match="layout version 99"):
        load_result(tmp_path / "out.h5")


def test_options_for_frames_are_refused_for_a_result(tmp_path: Path, scan: Scan) -> None:
    save_result(tmp_path / "out.h5", make_result(scan))

    with pytest.raises(InvalidArgument, match="crop is given, but the file is a result"):
        load(tmp_path / "out.h5", crop=8)
