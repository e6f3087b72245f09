"""Every layout gives the same scan, in the conventions of this package."""

from __future__ import annotations

import gc
from pathlib import Path

import h5py
import hdf5plugin
import io_layouts
import numpy as np
import pytest
from io_layouts import CASES, Scan, Writer

import exitwave
from exitwave.errors import FileFormatError
from exitwave.io import load
from exitwave.io.options import FORMATS

each_layout = pytest.mark.parametrize(
    ("layout", "writer"), CASES, ids=[writer.__name__ for _, writer in CASES]
)


def write(path: Path, writer: Writer, scan: Scan) -> Path:
    writer(path, scan)
    return path


@each_layout
def test_all_layouts_give_the_same_scan(
    layout: str, writer: Writer, path: Path, scan: Scan
) -> None:
    writer(path, scan)

    with load(path) as dataset:
        counts = np.asarray(dataset.data[...])

    assert dataset.format == layout
    assert dataset.source == str(path)
    np.testing.assert_array_equal(counts, scan.data)
    # Single-precision translations (PyNX) are good to 1e-7 of the offset of some 100 pixels.
    np.testing.assert_allclose(dataset.positions_px, scan.positions_px, atol=2e-5)
    assert dataset.positions_px.dtype == np.float64
    assert dataset.geometry is not None
    assert dataset.geometry.regime == "far"
    np.testing.assert_allclose(dataset.geometry.pixel_size_m, scan.geometry.pixel_size_m)
    assert dataset.geometry.energy_ev == pytest.approx(io_layouts.ENERGY_EV)
    if writer in io_layouts.WITHOUT_MASK:
        assert dataset.mask is None
    else:
        np.testing.assert_array_equal(dataset.mask, scan.mask)
    if writer in io_layouts.WITH_PROBE:
        np.testing.assert_array_equal(dataset.probe, scan.probe)


@each_layout
def test_frames_stay_in_the_file_until_they_are_used(
    layout: str, writer: Writer, path: Path, scan: Scan
) -> None:
    writer(path, scan)

    with load(path) as dataset:
        assert isinstance(dataset.data, h5py.Dataset) == (writer in io_layouts.LAZY)

    if isinstance(dataset.data, h5py.Dataset):
        assert not dataset.data  # closed with the dataset


@each_layout
def test_sign_and_swap_act_on_rows_and_columns(
    layout: str, writer: Writer, path: Path, scan: Scan
) -> None:
    writer(path, scan)

    with load(path, positions_sign=(1, -1)) as dataset:
        flipped = dataset.positions_px
    with load(path, positions_swap=True, positions_sign=(-1, 1)) as dataset:
        swapped = dataset.positions_px

    mirrored = scan.positions_px * (1, -1)
    np.testing.assert_allclose(flipped, mirrored - mirrored.min(axis=0), atol=2e-5)
    pixel = np.array(scan.geometry.pixel_size_m)
    in_unit = scan.positions_px * pixel if "pixels" not in writer.__name__ else scan.positions_px
    in_unit = scan.positions_px if writer is io_layouts.npz else in_unit
    exchanged = in_unit[:, ::-1] * (-1, 1)
    if in_unit is not scan.positions_px:
        exchanged = exchanged / pixel
    np.testing.assert_allclose(swapped, exchanged - exchanged.min(axis=0), atol=2e-5)


@each_layout
def test_a_slice_of_frames_takes_their_positions_along(
    layout: str, writer: Writer, path: Path, scan: Scan
) -> None:
    writer(path, scan)

    with load(path, frames="2:12:3") as dataset:
        counts = np.asarray(dataset.data[...])

    np.testing.assert_array_equal(counts, scan.data[2:12:3])
    wanted = scan.positions_px[2:12:3]
    np.testing.assert_allclose(dataset.positions_px, wanted - wanted.min(axis=0), atol=2e-5)


def test_any_hdf5_is_read_by_naming_its_datasets(path: Path, scan: Scan) -> None:
    with h5py.File(path, "w") as file:
        file["scan/counts"] = scan.data
        file["scan/where"] = scan.positions_m * 1e6
        file["scan/bad"] = ~scan.mask
        file["scan/illumination"] = scan.probe

    with load(
        path,
        data="scan/counts",
        positions="/scan/where",
        mask="scan/bad",
        mask_invert=True,
        probe="scan/illumination",
        positions_unit="um",
        energy_ev=io_layouts.ENERGY_EV,
        distance_m=io_layouts.DISTANCE_M,
        detector_pixel_m=io_layouts.DETECTOR_PIXEL_M,
    ) as dataset:
        counts = np.asarray(dataset.data[...])

    assert dataset.format == "hdf5"
    np.testing.assert_array_equal(counts, scan.data)
    np.testing.assert_allclose(dataset.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(dataset.mask, scan.mask)
    np.testing.assert_array_equal(dataset.probe, scan.probe)


def test_a_guessed_unit_is_noted(path: Path, scan: Scan) -> None:
    with h5py.File(path, "w") as file:
        file["a"], file["b"], file["c"] = scan.data, scan.positions_px, scan.positions_m

    with load(path, data="a", positions="b") as pixels:
        pass
    with load(path, data="a", positions="c", pixel_size_m=scan.geometry.pixel_size_m) as metres:
        pass

    np.testing.assert_allclose(pixels.positions_px, scan.positions_px)
    np.testing.assert_allclose(metres.positions_px, scan.positions_px, atol=1e-9)
    assert pixels.geometry is None
    assert any("px was assumed" in note for note in pixels.notes)
    assert any("m was assumed" in note for note in metres.notes)


def test_names_of_datasets_replace_those_of_a_layout(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path, "r+") as file:
        file["my_mask"] = np.where(scan.mask, 8, 0)

    with load(path, mask="my_mask", mask_invert=True) as dataset:
        pass

    assert dataset.format == "cxi"
    np.testing.assert_array_equal(dataset.mask, scan.mask)


def test_options_replace_what_the_file_says(path: Path, scan: Scan) -> None:
    io_layouts.exitwave_metres(path, scan)
    with h5py.File(path, "r+") as file:
        file.attrs["pixel_size_m"] = scan.geometry.pixel_size_m

    with load(path, distance_m=2 * io_layouts.DISTANCE_M) as farther:
        pass
    with load(path, pixel_size_m=1e-8) as stated:
        pass

    np.testing.assert_allclose(farther.positions_px, scan.positions_px / 2, atol=1e-9)
    assert stated.geometry.pixel_size_m == (1e-8, 1e-8)
    assert any("lengths give" in note for note in stated.notes)


@pytest.mark.parametrize("regime", ["far", "near"])
def test_rotated_detector_follows_the_general_basis_rule(
    path: Path, scan: Scan, regime: str
) -> None:
    """(row, column) = pinv(object basis) (-translation), object basis as the layout defines it."""
    io_layouts.cxi_specification(path, scan)
    slow, fast = np.array([0.3, -1, 0.2]), np.array([-1, -0.3, 0.0])
    basis = np.stack([60e-6 * slow / np.linalg.norm(slow), 90e-6 * fast / np.linalg.norm(fast)], 1)
    with h5py.File(path, "r+") as file:
        del file["entry_1/instrument_1/detector_1/basis_vectors"]
        file["entry_1/instrument_1/detector_1/basis_vectors"] = np.stack([basis.T] * 13)

    with load(path, regime=regime) as dataset:
        pass

    if regime == "far":
        extent = scan.geometry.wavelength_m * io_layouts.DISTANCE_M
        object_basis = np.linalg.pinv(basis * (12, 20)).T * extent
    else:
        object_basis = basis
    wanted = -scan.translation @ np.linalg.pinv(object_basis).T
    wanted -= wanted.min(axis=0)
    np.testing.assert_allclose(dataset.positions_px, wanted, rtol=1e-9, atol=1e-9)


def test_a_cone_beam_magnifies(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)

    with load(path, focus_distance_m=0.1) as dataset:
        pass

    geometry = dataset.geometry
    assert geometry.regime == "near"
    assert geometry.magnification == pytest.approx(18.0)
    assert geometry.pixel_size_m == pytest.approx((75e-6 / 18,) * 2)
    assert geometry.propagation()["distance_m"] == pytest.approx(io_layouts.DISTANCE_M / 18)


def test_entries_are_chosen_as_the_specification_says(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path, "r+") as file:
        file.copy("entry_1", "entry_3")
        for name in ("data", "translation"):
            old = "sample_1/geometry_1" if name == "translation" else "instrument_1/detector_1"
            del file[f"entry_3/data_1/{name}"]
            file[f"entry_3/data_1/{name}"] = h5py.SoftLink(f"/entry_3/{old}/{name}")
        file["entry_3/instrument_1/detector_1/data"][...] += 1

    with load(path) as first:
        first_counts = np.asarray(first.data[...])
    with load(path, entry=3) as third:
        third_counts = np.asarray(third.data[...])
    with h5py.File(path, "r+") as file:
        file["entry_last"] = h5py.SoftLink("/entry_3")
        del file["entry_1"]
    with load(path) as last:
        last_counts = np.asarray(last.data[...])

    np.testing.assert_array_equal(first_counts, scan.data)
    np.testing.assert_array_equal(third_counts, scan.data + 1)
    np.testing.assert_array_equal(last_counts, scan.data + 1)
    with pytest.raises(FileFormatError, match="choose one of entry_3, entry_last"):
        load(path, entry="entry_1")


def test_a_nexus_default_entry_is_found(path: Path, scan: Scan) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "scan_17"
        file.create_group("scan_17").attrs["NX_class"] = "NXentry"
        file["scan_17/data/data"] = scan.data
        file["scan_17/sample_1/geometry/translation"] = scan.translation

    with load(path, pixel_size_m=scan.geometry.pixel_size_m) as dataset:
        pass

    np.testing.assert_allclose(dataset.positions_px, scan.positions_px, atol=1e-9)


def test_a_raster_is_read_row_by_row(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path, "r+") as file:
        del file["entry_1/instrument_1/detector_1/data"]
        del file["entry_1/sample_1/geometry_1/translation"]
        file["entry_1/instrument_1/detector_1/data"] = scan.data[:12].reshape(3, 4, 12, 20)
        file["entry_1/sample_1/geometry_1/translation"] = scan.translation[:12].reshape(3, 4, 3)

    with load(path) as dataset:
        pass
    with load(path, frames="1:11:3", crop=(5, 7)) as part:
        pass

    np.testing.assert_array_equal(dataset.data, scan.data[:12])
    np.testing.assert_array_equal(part.data, scan.data[1:11:3, 4:9, 7:14])


def test_compression_of_detectors_is_read(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    with h5py.File(path, "r+") as file:
        del file["entry_1/instrument_1/detector_1/data"]
        file["entry_1/instrument_1/detector_1"].create_dataset(
            "data", data=scan.data, chunks=(1, 12, 20), **hdf5plugin.Bitshuffle(cname="lz4")
        )

    with load(path) as dataset:
        np.testing.assert_array_equal(dataset.data[...], scan.data)


def test_a_mask_per_frame_is_joined_and_noted(path: Path, scan: Scan) -> None:
    io_layouts.ptyd_three_chunks(path, scan)
    with h5py.File(path, "r+") as file:
        file["chunks/1/weights"][3, 5, 6] = not scan.mask[5, 6]

    with load(path) as dataset:
        pass

    expected = scan.mask.copy()
    expected[5, 6] = False
    np.testing.assert_array_equal(dataset.mask, expected)
    assert any("frame to frame" in note for note in dataset.notes)


def test_an_inverted_mask_per_frame_keeps_what_is_valid_in_all_frames(
    path: Path, scan: Scan
) -> None:
    io_layouts.ptyd_three_chunks(path, scan)
    with h5py.File(path, "r+") as file:
        for chunk in file["chunks"].values():
            chunk["weights"][...] = ~scan.mask
        file["chunks/2/weights"][1, 5, 6] = scan.mask[5, 6]

    with load(path, mask_invert=True) as dataset:
        pass

    expected = scan.mask.copy()
    expected[5, 6] = False
    np.testing.assert_array_equal(dataset.mask, expected)


def test_a_focus_distance_means_near_field_also_against_the_file(path: Path, scan: Scan) -> None:
    io_layouts.exitwave_metres(path, scan)

    with load(path, focus_distance_m=0.1) as dataset:
        assert dataset.geometry.regime == "near"
        assert dataset.geometry.focus_distance_m == 0.1


def test_a_scan_behind_a_link_closes_with_the_dataset(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    frames = path.with_name("frames.h5")
    with h5py.File(path, "r+") as file:
        del file["entry_1/instrument_1/detector_1/data"]
        file["entry_1/instrument_1/detector_1/data"] = h5py.ExternalLink("frames.h5", "/data")
    with h5py.File(frames, "w") as file:
        file["data"] = scan.data

    with load(path) as dataset:
        np.testing.assert_array_equal(dataset.data[...], scan.data)

    with h5py.File(frames, "r+"), h5py.File(path, "r+"):  # fails where one is still open
        pass


def test_a_stored_object_keeps_the_positions_as_they_are(path: Path, scan: Scan) -> None:
    io_layouts.exitwave_pixels(path, scan)
    with h5py.File(path, "r+") as file:
        file["positions"][...] = scan.positions_px + 4
        file["object"] = np.ones((60, 70), np.complex128)

    with load(path) as dataset:
        pass

    np.testing.assert_allclose(dataset.positions_px, scan.positions_px + 4, atol=1e-9)
    assert dataset.object.dtype == np.complex64


def test_every_layout_can_be_asked_for_by_name(path: Path, scan: Scan) -> None:
    assert set(io_layouts.WRITERS) | {"hdf5", "result"} == set(FORMATS)
    for name, writers in io_layouts.WRITERS.items():
        writers[0](path, scan)
        with load(path, format=name) as dataset:
            assert dataset.format == name


def test_load_does_not_need_the_compiled_core(path: Path, scan: Scan) -> None:
    io_layouts.npz(path, scan)

    assert exitwave.load(path).data.shape == (13, 12, 20)


def test_no_file_stays_open_after_an_error(path: Path, scan: Scan) -> None:
    io_layouts.cxi_specification(path, scan)
    with pytest.raises(FileFormatError):
        load(path, frames="0:5", probe="/nothing")

    gc.collect()

    with h5py.File(path, "r+"):  # fails where the file is open for reading
        pass


def test_measured_star_is_understood(measured: Path) -> None:
    with load(measured / "aps_velociprobe_siemens.h5") as dataset:
        assert dataset.data.shape == (516, 128, 128)
        assert dataset.data.dtype == np.uint16
        assert dataset.positions_px.min() == 0
        span = np.ptp(dataset.positions_px, axis=0)

    assert span == pytest.approx([331.92, 328.89], abs=0.01)
    assert dataset.geometry.pixel_size_m == pytest.approx((30.157e-9,) * 2, rel=1e-4)
    assert dataset.geometry.energy_ev == pytest.approx(8800, rel=1e-3)
    assert dataset.probe.shape == (1, 128, 128)
    assert dataset.mask.all()
    assert dataset.notes == []
