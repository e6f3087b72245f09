"""Whatever is wrong with a file, one sentence says it, and nothing stays open."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import io_layouts
import numpy as np
import pytest
from io_layouts import CASES, Scan, Writer

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.io import describe, load, load_result

ENTRY = "entry_1"
DETECTOR = f"{ENTRY}/instrument_1/detector_1"
TRANSLATION = f"{ENTRY}/sample_1/geometry_1/translation"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scan.h5"


def refused(path: Path, words: str, **options: Any) -> None:
    """Loading is refused in one sentence that begins with the path."""
    with pytest.raises(FileFormatError, match=words) as caught:
        load(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("part", [0, 1, 7, 100, 0.3, 0.7, -1])
@pytest.mark.parametrize(
    "writer", [writer for _, writer in CASES if writer is not io_layouts.ptyd_linked]
)
def test_truncated_files_are_refused(writer: Writer, part: float, path: Path, scan: Scan) -> None:
    writer(path, scan)
    content = path.read_bytes()
    keep = int(part * len(content)) if isinstance(part, float) else part % len(content)
    path.write_bytes(content[:keep])

    refused(path, "empty|neither HDF5 nor npz|damaged or still being written")


def test_a_damaged_frame_is_found_when_it_is_read(path: Path, scan: Scan) -> None:
    io_layouts.cxi_pynx(path, scan)
    with h5py.File(path) as file:
        chunk = file[f"{DETECTOR}/data"].id.get_chunk_info(7)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\x00" * chunk.size
    path.write_bytes(content)

    with load(path) as dataset, pytest.raises(FileFormatError, match=r"frames 0 to 12 .* damaged"):
        describe(dataset)
    refused(path, "frames 7 to 7 .* damaged", frames="7:8")
    with load(path, frames="0:7") as good:
        np.testing.assert_array_equal(good.data, scan.data[:7])


def test_what_is_no_file_of_data_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.cxi"
    text.write_text("no HDF5 at all")
    folder = tmp_path / "folder.h5"
    folder.mkdir()
    zipped = tmp_path / "fake.npz"
    zipped.write_bytes(b"PK\x03\x04" + b"\x00" * 100)
    np.savez(tmp_path / "objects.npz", data=np.array([None, {}]), positions_px=np.zeros((2, 2)))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))

    refused(text, "neither HDF5 nor npz")
    refused(folder, "is a folder")
    refused(tmp_path / "missing.h5", "does not exist")
    refused(zipped, "archive is damaged")
    refused(tmp_path / "objects.npz", "'data' cannot be read")
    refused(tmp_path / "other.npz", "there is no array 'data'; the archive has a")


def test_an_unknown_layout_lists_what_is_there(path: Path, scan: Scan) -> None:
    with h5py.File(path, "w") as file:
        file["scan/frames"] = scan.data
        file["scan/motors"] = scan.positions_m

    refused(path, "layout is not known; the file has /scan/frames, /scan/motors")
    refused(
        path,
        "there is no dataset 'scan/x', which option positions",
        data="scan/frames",
        positions="scan/x",
    )
    refused(path, "there is no dataset /data", format="hdf5")


Damage = Callable[[h5py.File], None]


def replace(name: str, value: Any) -> Damage:
    def damage(file: h5py.File) -> None:
        del file[name]
        if value is not None:
            file[name] = value

    return damage


CXI_DAMAGE: list[tuple[Damage, str]] = [
    (replace(f"{DETECTOR}/data", np.full((13, 12, 20), b"text")), "type .S4, but counts"),
    (replace(f"{DETECTOR}/data", np.zeros((13, 12, 20), complex)), "complex, but frames"),
    (replace(f"{DETECTOR}/data", np.zeros((13, 12), int)), "frames must be"),
    (replace(f"{DETECTOR}/data", np.zeros((0, 12, 20), int)), "there is no frame in it"),
    (replace(f"{DETECTOR}/data", np.zeros((14, 12, 20), int)), r"14 frames, but 13 .*slice\(0, 13"),
    (replace(f"{DETECTOR}/data", None), "data_1/data is a link to something that is not there"),
    (replace(f"{ENTRY}/data_1", None), "no translation|sample_1"),
    (replace(f"{DETECTOR}", None), "is a link to something"),
    (replace(ENTRY, None), "there is no entry_1"),
    (replace(TRANSLATION, None), "data_1/translation is a link"),
    (replace(TRANSLATION, np.full((13, 3), b"x")), "must hold real numbers"),
    (replace(TRANSLATION, np.zeros((13, 5))), "positions are"),
    (replace(TRANSLATION, np.full((13, 3), np.nan)), "positions of 13 frames are not finite"),
    (replace(f"{DETECTOR}/mask", np.zeros((20, 12), int)), r"shape \(20, 12\), but frames"),
    (replace(f"{DETECTOR}/mask", np.ones((12, 20), int)), "no valid pixel"),
    (replace(f"{DETECTOR}/mask", 0), "a mask is"),
    (replace(f"{DETECTOR}/mask", np.full((12, 20), b"x")), "a mask is"),
    (replace(f"{DETECTOR}/distance", np.nan), "distance is empty or not finite"),
    (replace(f"{DETECTOR}/distance", -1.0), "distance_m was -1"),
    (replace(f"{DETECTOR}/distance", "far away"), "must hold real numbers"),
    (replace(f"{DETECTOR}/distance", None), "the object pixel is not known; give pixel_size_m"),
    (replace(f"{DETECTOR}/basis_vectors", np.zeros((2, 3))), "axis of length 0"),
    (replace(f"{DETECTOR}/basis_vectors", np.zeros((4, 3))), "a basis is"),
    (replace(f"{ENTRY}/instrument_1/source_1/energy", 0.0), "must be positive"),
]


@pytest.mark.parametrize(("damage", "words"), CXI_DAMAGE, ids=[words for _, words in CXI_DAMAGE])
def test_each_defect_of_a_cxi_file_has_its_message(
    damage: Damage, words: str, path: Path, scan: Scan
) -> None:
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path, "r+") as file:
        damage(file)

    if words.startswith("no translation"):
        with load(path) as dataset:  # data_1 holds links only; the places they point to remain
            np.testing.assert_allclose(dataset.positions_px, scan.positions_px, atol=1e-9)
    else:
        refused(path, words)


OTHER_DAMAGE: list[tuple[Writer, Damage, str]] = [
    (io_layouts.ptyd_three_chunks, replace("chunks/1", None), "/chunks/1 is missing"),
    (io_layouts.ptyd_three_chunks, replace("chunks/1/data", None), "/chunks/1 has no data"),
    (
        io_layouts.ptyd_three_chunks,
        replace("chunks/1/data", np.zeros((6, 12, 21), int)),
        "frames must be",
    ),
    (io_layouts.ptyd_three_chunks, replace("chunks/1/positions", None), "have no positions"),
    (io_layouts.ptyd_old, replace("info/positions_scan", np.zeros((4, 2))), "ask for number 14"),
    (io_layouts.ptyd_old, replace("info/energy", -8.0), "must be positive"),
    (io_layouts.ptylab, replace("encoder", None), "ptychogram or encoder is no dataset"),
    (io_layouts.ptylab, lambda file: file.update(zled=0.1), "Fourier ptychography"),
    (io_layouts.ptylab, replace("dxd", "small"), "must hold real numbers"),
    (io_layouts.exitwave_metres, replace("probe", np.ones((12, 21))), "start probe has shape"),
    (io_layouts.exitwave_metres, replace("probe", np.full((12, 20), np.nan)), "not finite"),
    (io_layouts.exitwave_metres, replace("positions", np.zeros((13, 3))), "row and column"),
    (
        io_layouts.exitwave_metres,
        lambda file: file.attrs.update(wavelength_m="short"),
        "wavelength_m is short in the file",
    ),
    (
        io_layouts.exitwave_metres,
        lambda file: file.attrs.update(regime="middle"),
        "regime is 'middle' in the file",
    ),
]


@pytest.mark.parametrize(
    ("writer", "damage", "words"), OTHER_DAMAGE, ids=[words for _, _, words in OTHER_DAMAGE]
)
def test_each_defect_of_other_layouts_has_its_message(
    writer: Writer, damage: Damage, words: str, path: Path, scan: Scan
) -> None:
    writer(path, scan)
    with h5py.File(path, "r+") as file:
        damage(file)

    refused(path, words)


def test_frames_in_a_missing_part_file_are_not_dropped(path: Path, scan: Scan) -> None:
    io_layouts.ptyd_linked(path, scan)
    path.with_name("scan.h5.part001").unlink()

    refused(path, "/chunks/1 is missing or a link to a missing file")


def test_virtual_frames_of_a_missing_file_are_not_read_as_zeros(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path.with_name("frames.h5"), "w") as file:
        file["data"] = scan.data
    with h5py.File(path, "r+") as file:
        del file[f"{DETECTOR}/data"]
        layout = h5py.VirtualLayout(scan.data.shape, scan.data.dtype)
        layout[...] = h5py.VirtualSource("frames.h5", "data", scan.data.shape)
        file.create_virtual_dataset(f"{DETECTOR}/data", layout)

    with load(path) as dataset:
        np.testing.assert_array_equal(dataset.data[...], scan.data)
    path.with_name("frames.h5").unlink()
    refused(path, "takes frames from frames.h5, which is missing")


@pytest.mark.parametrize("frames", [2, 3])
def test_positions_that_can_be_read_in_two_ways_are_asked_for(
    frames: int, path: Path, scan: Scan
) -> None:
    points = scan.translation[:frames, :frames] - scan.translation[:frames, :frames].min(axis=0)
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        file[f"{ENTRY}/data_1/data"] = scan.data[:frames]
        file[f"{ENTRY}/data_1/translation"] = points

    refused(path, "positions_transpose=False", pixel_size_m=1e-7)
    with load(path, pixel_size_m=1e-7, positions_transpose=False) as rows:
        pass
    with load(path, pixel_size_m=1e-7, positions_transpose=True) as columns:
        pass

    np.testing.assert_allclose(rows.positions_px, points[:, 1::-1] * 1e7)
    wanted = points.T[:, 1::-1] * 1e7
    np.testing.assert_allclose(columns.positions_px, wanted - wanted.min(axis=0), atol=1e-9)


def test_a_scan_of_two_frames_in_the_package_layout_is_no_riddle(path: Path, scan: Scan) -> None:
    with h5py.File(path, "w") as file:
        file["data"], file["positions"] = scan.data[:2], scan.positions_px[:2]

    with load(path) as dataset:
        wanted = scan.positions_px[:2] - scan.positions_px[:2].min(axis=0)
        np.testing.assert_allclose(dataset.positions_px, wanted)


def test_micrometres_that_are_taken_for_metres_are_noticed(path: Path, scan: Scan) -> None:
    io_layouts.ptylab(path, scan)
    with h5py.File(path, "r+") as file:
        file["encoder"][...] *= 1e6

    refused(path, r"the positions span .* object pixels; check their unit")
    with load(path, positions_unit="um") as dataset:
        np.testing.assert_allclose(dataset.positions_px, scan.positions_px, atol=1e-9)


def test_amplitudes_of_adorym_are_explained(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.ones((1, 13, 12, 20), np.complex64)
        file["metadata/probe_pos_px"] = np.zeros((13, 2))

    refused(path, "Adorym's layout, which keeps amplitudes")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"energyev": 8000}, "no option 'energyev'; perhaps 'energy_ev' is meant"),
        ({"mask_inverted": True}, "perhaps 'mask_invert' is meant"),
        ({"zzz": 1}, "no option 'zzz'; known are format, entry, data"),
        ({"format": "cix"}, "format was 'cix', .* perhaps 'cxi'"),
        ({"format": "npz"}, "format is 'npz', but the file is HDF5"),
        ({"energy_ev": -1}, "energy_ev was -1"),
        ({"energy_ev": 8000, "wavelength_m": 1e-10}, "both given"),
        ({"distance_m": "2"}, "distance_m was '2'"),
        ({"detector_pixel_m": 0}, "detector_pixel_m was 0"),
        ({"pixel_size_m": (1, 2, 3)}, "pixel_size_m had 3 values"),
        ({"regime": "for"}, "regime was 'for', .* perhaps 'far'"),
        ({"regime": "far", "focus_distance_m": 1}, "focus_distance_m describes a near field"),
        ({"positions_unit": "furlong"}, "positions_unit was 'furlong'"),
        ({"positions_sign": -1}, "positions_sign is -1"),
        ({"positions_sign": (1, 2)}, "positions_sign is"),
        ({"positions_swap": 1}, "positions_swap is 1"),
        ({"mask_invert": "yes"}, "mask_invert is 'yes'"),
        ({"mask": np.ones((12, 20))}, "mask is of type ndarray"),
        ({"entry": 1.5}, "entry is 1.5"),
        ({"entry": 1}, "entry is given, but this is a file of layout exitwave"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: dict[str, Any], words: str, path: Path, scan: Scan
) -> None:
    io_layouts.exitwave_metres(path, scan)

    with pytest.raises(InvalidArgument, match=words) as caught:
        load(path, **options)

    assert re.search(r"\.$", str(caught.value))


def test_a_length_from_the_user_replaces_one_that_is_wrong_in_the_file(
    path: Path, scan: Scan
) -> None:
    io_layouts.exitwave_metres(path, scan)
    with h5py.File(path, "r+") as file:
        file.attrs["wavelength_m"] = "short"
        file.attrs["regime"] = "middle"
    with load(path, energy_ev=io_layouts.ENERGY_EV, regime="far") as dataset:
        assert dataset.geometry.energy_ev == pytest.approx(io_layouts.ENERGY_EV)
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path, "r+") as file:
        file[f"{ENTRY}/instrument_1/source_1/energy"][...] = np.nan
        file[f"{DETECTOR}/distance"][...] = -1

    with load(path, wavelength_m=1e-10, distance_m=1.0) as dataset:
        assert dataset.geometry.wavelength_m == 1e-10


def test_a_wavelength_in_another_unit_is_noticed(path: Path, scan: Scan) -> None:
    io_layouts.ptylab(path, scan)
    with h5py.File(path, "r+") as file:
        file["wavelength"][...] = 0.155

    refused(path, "wavelength is 0.155 m, perhaps in another unit")


def test_mask_invert_without_a_mask_is_refused(path: Path, scan: Scan) -> None:
    io_layouts.ptylab(path, scan)

    with pytest.raises(InvalidArgument, match="the file has no mask"):
        load(path, mask_invert=True)


def test_a_scan_is_no_result(path: Path, scan: Scan) -> None:
    io_layouts.exitwave_metres(path, scan)

    with pytest.raises(FileFormatError, match=r"no result of exitwave; .*exitwave\.load"):
        load_result(path)
    with pytest.raises(FileFormatError, match="does not exist"):
        load_result(path.with_name("nothing.h5"))
