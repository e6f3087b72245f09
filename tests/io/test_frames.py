"""Crop, bin and slices keep counts, geometry, positions and start probe consistent."""

from __future__ import annotations

from pathlib import Path

import h5py
import io_layouts
import numpy as np
import pytest
from io_layouts import Scan

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.io import frames, load


@pytest.fixture
def path(tmp_path: Path, scan: Scan) -> Path:
    io_layouts.exitwave_metres(tmp_path / "scan.h5", scan)
    return tmp_path / "scan.h5"


def binned(data: np.ndarray, bin: int) -> np.ndarray:
    *rest, height, width = data.shape
    return data.reshape(*rest, height // bin, bin, width // bin, bin).sum(axis=(-3, -1))


@pytest.mark.parametrize("chunk_bytes", [1, 2000, 32 << 20])
@pytest.mark.parametrize("wanted", [slice(None), slice(1, 12, 4), slice(-3, None), slice(12, 13)])
def test_chunks_do_not_change_what_is_read(
    path: Path, scan: Scan, chunk_bytes: int, wanted: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "CHUNK_BYTES", chunk_bytes)

    with load(path, frames=wanted, crop=(10, 16), bin=2) as dataset:
        pass

    valid = np.where(scan.mask, scan.data, 0)[wanted, 1:11, 2:18]
    keep = binned(scan.mask[1:11, 2:18], 2) == 4
    np.testing.assert_array_equal(dataset.data, np.where(keep, binned(valid, 2), 0))
    np.testing.assert_array_equal(dataset.mask, keep)


@pytest.mark.parametrize("crop", [(12, 20), (5, 7), (6, 8), (12, 3)])
def test_a_crop_keeps_the_zero_frequency_in_its_place(
    path: Path, scan: Scan, crop: tuple[int, int]
) -> None:
    with h5py.File(path, "r+") as file:
        file["data"][:, 6, 10] = 60000

    with load(path, crop=crop) as dataset:
        assert (dataset.data[:, crop[0] // 2, crop[1] // 2] == 60000).all()
        assert dataset.data.shape == (13, *crop)
        assert dataset.data.dtype == np.uint16


@pytest.mark.parametrize("bin", [2, 4])
def test_a_bin_keeps_the_zero_frequency_in_its_place(path: Path, scan: Scan, bin: int) -> None:
    with h5py.File(path, "r+") as file:
        file["data"][...] = 0
        file["data"][:, 6, 10] = 7
        file["mask"][...] = True

    with load(path, bin=bin) as dataset:
        assert (dataset.data[:, 12 // bin // 2, 20 // bin // 2] == 7).all()


@pytest.mark.parametrize(
    ("stored", "bin", "expected"),
    [
        (np.uint8, 2, np.uint16),
        (np.uint16, 2, np.uint32),
        (np.uint32, 2, np.uint32),
        (np.int32, 2, np.uint32),
        (">u2", 2, np.uint32),
        (np.float32, 2, np.float32),
        (np.float64, 2, np.float32),
    ],
)
def test_sums_have_an_unsigned_type_that_holds_them(
    path: Path, scan: Scan, stored: str | type, bin: int, expected: type
) -> None:
    full = 255 if stored is np.uint8 else 60000
    with h5py.File(path, "r+") as file:
        del file["data"]
        file["data"] = np.full((13, 12, 20), full, dtype=stored)
        file["mask"][...] = True

    with load(path, bin=bin) as dataset:
        pass

    assert dataset.data.dtype == expected
    assert (dataset.data == full * bin * bin).all()


def test_masked_pixels_do_not_spoil_sums(path: Path, scan: Scan) -> None:
    """Detectors write the largest number, or -1, into gaps."""
    with h5py.File(path, "r+") as file:
        del file["data"]
        file["data"] = np.where(scan.mask, scan.data, -1).astype(np.int32)
    with load(path, bin=2) as signed:
        pass
    with h5py.File(path, "r+") as file:
        del file["data"]
        file["data"] = np.where(scan.mask, scan.data, 2**32 - 1).astype(np.uint32)
    with load(path, bin=2) as saturated:
        pass

    np.testing.assert_array_equal(signed.data, saturated.data)
    keep = binned(scan.mask, 2) == 4
    np.testing.assert_array_equal(signed.data[:, keep], binned(scan.data, 2)[:, keep])


def test_sums_that_do_not_fit_or_are_negative_are_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["data"], file["mask"]
        file["data"] = np.full((13, 12, 20), 2**31, dtype=np.uint32)
    with pytest.raises(FileFormatError, match="more than 32 bits"):
        load(path, bin=2)
    with h5py.File(path, "r+") as file:
        del file["data"]
        file["data"] = np.full((13, 12, 20), -1, dtype=np.int16)
    with pytest.raises(FileFormatError, match="valid counts are negative"):
        load(path, bin=2)


@pytest.mark.parametrize(("regime", "ratio"), [("far", (2.0, 2.5)), ("near", (1.0, 1.0))])
def test_positions_stay_where_they_are_in_metres_when_frames_are_cropped(
    path: Path, scan: Scan, regime: str, ratio: tuple[float, float]
) -> None:
    with load(path, regime=regime) as whole:
        pass
    with load(path, regime=regime, crop=(6, 8)) as cropped:
        pass

    np.testing.assert_allclose(
        cropped.geometry.pixel_size_m, np.array(whole.geometry.pixel_size_m) * ratio
    )
    np.testing.assert_allclose(cropped.positions_px * ratio, whole.positions_px, atol=1e-9)


@pytest.mark.parametrize(("regime", "ratio"), [("far", 1.0), ("near", 2.0)])
def test_positions_stay_where_they_are_in_metres_when_frames_are_binned(
    path: Path, regime: str, ratio: float
) -> None:
    with load(path, regime=regime) as whole:
        pass
    with load(path, regime=regime, bin=2) as small:
        pass

    np.testing.assert_allclose(
        small.geometry.pixel_size_m, np.array(whole.geometry.pixel_size_m) * ratio
    )
    assert small.geometry.detector_pixel_m == (150e-6, 150e-6)
    np.testing.assert_allclose(small.positions_px * ratio, whole.positions_px, atol=1e-9)


def test_positions_in_pixels_follow_a_crop_without_any_geometry(tmp_path: Path, scan: Scan) -> None:
    np.savez(tmp_path / "scan.npz", data=scan.data, positions_px=scan.positions_px)

    with load(tmp_path / "scan.npz", crop=(6, 10)) as dataset:
        pass

    np.testing.assert_allclose(dataset.positions_px, scan.positions_px / 2)


@pytest.mark.parametrize("regime", ["far", "near"])
def test_a_start_probe_follows_crop_and_bin(tmp_path: Path, scan: Scan, regime: str) -> None:
    """A smooth probe, sampled anew on the pixels of the cropped and binned frames."""

    def gaussian(shape: tuple[int, int], pixel: np.ndarray) -> np.ndarray:
        y, x = (
            (np.arange(size) - size // 2) * step for size, step in zip(shape, pixel, strict=True)
        )
        return np.exp(-(y[:, None] ** 2) - 1.5 * x**2)

    path = tmp_path / "probe.npz"
    shape, data = (48, 80), np.ones((3, 48, 80), np.uint16)
    pixel = np.array([0.2, 0.15])
    np.savez(
        path,
        data=data,
        positions_px=scan.positions_px[:3],
        probe=gaussian(shape, pixel),
        pixel_size_m=pixel * 1e-6,
        regime=regime,
    )

    with load(path, crop=(24, 60), bin=2) as dataset:
        pass

    new_pixel = np.array(dataset.geometry.pixel_size_m) * 1e6
    wanted = gaussian((12, 30), new_pixel)
    wanted *= np.sqrt(new_pixel.prod() / pixel.prod())  # the same counts on fewer pixels
    assert np.abs(dataset.probe[0] - wanted).max() < 0.02 * wanted.max()


def test_a_start_object_is_left_out_with_a_note_when_pixels_change(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["object"] = np.ones((40, 60), np.complex64)

    with load(path, crop=6) as dataset:
        pass

    assert dataset.object is None
    assert any("start object was left out" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"crop": 14}, r"crop is \(14, 14\), but frames are only \(12, 20\)"),
        ({"bin": 3}, r"bin is 3, .* give crop=\(12, 18\) as well"),
        ({"bin": 0}, "bin was 0"),
        ({"bin": 1.5}, "bin was 1.5"),
        ({"crop": (4, 4, 4)}, "crop was"),
        ({"frames": slice(20, 30)}, "leaves none of 13 frames"),
        ({"frames": "7"}, "must be a slice with a positive step"),
        ({"frames": "a:b"}, "must be a slice with a positive step"),
        ({"frames": slice(None, None, -1)}, "must be a slice with a positive step"),
        ({"frames": "::0"}, "must be a slice with a positive step"),
        ({"frames": 5}, "must be a slice with a positive step"),
    ],
)
def test_crop_bin_and_frames_that_do_not_fit_are_refused(
    path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        load(path, **options)
