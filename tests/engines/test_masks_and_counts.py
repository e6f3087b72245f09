"""What stands under the mask does not matter, nor does the type that counts come in."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

import exitwave
from small_scan import ENGINES, FRAME, SmallScan, assert_same_bits, devices, small_scan

DEVICES = devices("cpu:2", "emulated")


@cache
def noisy() -> SmallScan:
    """Counts below 256 in all pixels, so that every type holds them."""
    scan = small_scan("far", 2, noise=True)
    return replace(scan, data=np.minimum(scan.data, 255))


def engine(name: str) -> dict:
    return {"name": name, "iterations": 4, "probe_start": 0}


def with_invalid(scan: SmallScan, value: float, dtype: type) -> SmallScan:
    data = scan.data.astype(dtype)
    data[:, ~scan.mask] = value
    return replace(scan, data=data)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", ENGINES)
def test_values_under_the_mask_change_no_bit(name, regime, device):
    """Overflow, NaN, infinity, negative numbers; power is scaled and modes mixed along the way."""
    scan = small_scan(regime, 2, noise=True)
    options = {"device": device, "scale_start": True, "orthogonalise": True}
    expected = with_invalid(scan, 0, np.uint16).run(engine(name), **options)

    for value, dtype in (
        (65535, np.uint16),
        (np.nan, np.float32),
        (-np.inf, np.float32),
        (-7, np.float32),
    ):
        result = with_invalid(scan, value, dtype).run(engine(name), **options)
        assert_same_bits(expected, result)


def test_probe_made_from_the_data_does_not_see_the_mask():
    scan = small_scan("far", noise=True)
    results = [
        exitwave.ptychography(
            with_invalid(scan, value, np.uint16).data,
            None,
            None,
            scan.positions,
            scan.mask,
            {"engines": [engine("ePIE")], "progress": False},
        )
        for value in (0, 65535)
    ]

    assert_same_bits(*results)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "dtype",
    ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">u4", ">i4", ">f8"],
)
def test_every_type_of_counts_gives_the_same_bits(dtype, device):
    scan = noisy()
    scan = replace(scan, data=np.minimum(scan.data, 127))
    expected = scan.run(engine("DM"), device=device)

    result = replace(scan, data=scan.data.astype(dtype)).run(engine("DM"), device=device)

    assert_same_bits(expected, result)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float32])
@pytest.mark.parametrize("name", ["AP", "DM", "ePIE", "ML"])
def test_large_counts(name, dtype):
    """Counts above 16 bits in types that hold them, and at the end of 16 bits."""
    scan = small_scan("far")
    data = np.round(scan.data * (65535 / scan.data.max()) * (1 if dtype == np.uint16 else 300))
    scaled = replace(scan, data=data.astype(dtype))
    assert data.max() == (65535 if dtype == np.uint16 else pytest.approx(65535 * 300))

    result = scaled.run(engine(name) | {"iterations": 30}, scale_start=True)

    assert result.error < 0.1 * result.errors[0][0]


def test_views_that_are_not_contiguous_are_read_right():
    scan = noisy()
    expected = scan.run(engine("rPIE"))
    wide = np.full((13, 14, 23), 77, np.uint16)
    wide[:, 1:-1, 2:-1] = scan.data
    every_second = np.repeat(scan.data, 2, axis=0)[::2]
    fortran = np.asfortranarray(scan.data)

    for data in (wide[:, 1:-1, 2:-1], every_second, fortran):
        assert not data.flags.c_contiguous
        assert_same_bits(expected, replace(scan, data=data).run(engine("rPIE")))


@pytest.mark.parametrize("storage", [{}, {"chunks": (1, *FRAME), "compression": "gzip"}])
@pytest.mark.parametrize("dtype", ["u2", "f4", ">u2", "i4"])
def test_dataset_of_a_file_is_read_as_an_array(dtype, storage, tmp_path: Path):
    scan = noisy()
    expected = scan.run(engine("ML"))
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        file.create_dataset("counts", data=scan.data.astype(dtype), **storage)

    with h5py.File(tmp_path / "counts.h5") as file:
        result = replace(scan, data=file["counts"]).run(engine("ML"))

    assert_same_bits(expected, result)


def test_path_is_read_and_what_is_given_wins_over_the_file(tmp_path: Path):
    # The smallest position is 0, as a file's positions are shifted to.
    scan = replace(noisy(), positions=noisy().positions - noisy().positions.min(axis=0))
    path = tmp_path / "scan.npz"
    np.savez(path, data=scan.data, positions_px=scan.positions, mask=scan.mask, probe=scan.probe)
    chain = {"engines": [engine("ePIE")], "progress": False, "device": "cpu:1"}
    arrays = exitwave.ptychography(scan.data, None, scan.probe, scan.positions, scan.mask, chain)

    for source in (path, str(path)):
        result = exitwave.ptychography(source, params=chain)
        assert_same_bits(arrays, result)
        assert result.source == str(path)

    other = np.roll(scan.probe, 1, axis=-1)
    given = exitwave.ptychography(scan.data, None, other, scan.positions, scan.mask, chain)
    assert_same_bits(given, exitwave.ptychography(path, None, other, params=chain))


def test_mask_of_one_valid_pixel_runs():
    scan = noisy()
    mask = np.zeros(FRAME, bool)
    mask[6, 10] = True

    result = replace(scan, mask=mask).run(engine("AP"))

    assert np.isfinite(result.object).all()


def test_no_mask_is_a_mask_of_valid_pixels():
    scan = noisy()

    assert_same_bits(
        replace(scan, mask=None).run(engine("ePIE")),
        replace(scan, mask=np.ones(FRAME, bool)).run(engine("ePIE")),
    )


def test_frame_without_counts_is_measured_darkness():
    """Not an error: a beam that was off for one exposure pulls the model down, and no NaN comes."""
    scan = noisy()
    data = scan.data.copy()
    data[5] = 0

    for name in ENGINES:
        result = replace(scan, data=data).run(engine(name))
        assert np.isfinite(result.object).all()
        assert np.isfinite(result.error)
