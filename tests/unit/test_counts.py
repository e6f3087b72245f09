"""Counts stay in their own narrow type, are not copied where that is possible, and are checked."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from exitwave import InvalidArgument, counts
from exitwave.counts import read_counts


def frames(dtype: str, largest: int = 100) -> np.ndarray:
    return np.random.default_rng(0).integers(0, largest + 1, (5, 6, 7)).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4"])
def test_native_types_are_used_as_they_are(dtype):
    data = frames(dtype)

    assert read_counts(data, None).data is data


@pytest.mark.parametrize(
    ("dtype", "largest", "expected"),
    [
        ("i8", 255, "u1"),
        ("i8", 256, "u2"),
        ("i4", 65536, "u4"),
        ("u8", 2**32 - 1, "u4"),
        ("i1", 127, "u1"),
        (">u2", 9, "u2"),
        (">u4", 9, "u4"),
        ("f8", 9, "f4"),
        ("f2", 9, "f4"),
        (">f4", 9, "f4"),
    ],
)
def test_other_types_become_the_narrowest_that_holds_them(dtype, largest, expected):
    data = frames(dtype, 100)
    data[2, 3, 4] = largest

    kept = read_counts(data, None).data

    assert kept.dtype == np.dtype(expected)
    assert kept.flags.c_contiguous
    np.testing.assert_array_equal(kept, data)


def test_what_stands_under_the_mask_does_not_widen_the_type():
    data = frames("i8")
    mask = np.ones((6, 7), bool)
    mask[3, 4] = False
    data[:, 3, 4] = 2**40

    assert read_counts(data, mask).data.dtype == np.uint8


def test_mean_and_total_are_of_valid_pixels():
    data, mask = frames("u2"), np.ones((6, 7), bool)
    mask[0, 2:] = False

    read = read_counts(data, mask)

    np.testing.assert_allclose(read.mean[mask], data.mean(axis=0)[mask])
    assert not read.mean[~mask].any()
    assert read.total == pytest.approx(data[:, mask].sum())


def test_sums_do_not_overflow():
    data = np.full((70_000, 2, 2), 65535, np.uint16)

    assert read_counts(data, None).total == 65535 * 280_000


@pytest.mark.parametrize("chunk_bytes", [1, 200, 10_000])
def test_chunks_do_not_matter(chunk_bytes, monkeypatch):
    data, mask = frames("i4"), np.ones((6, 7), bool)
    mask[1] = False
    whole = read_counts(data, mask)

    monkeypatch.setattr(counts, "CHUNK_BYTES", chunk_bytes)
    pieces = read_counts(data, mask)

    np.testing.assert_array_equal(pieces.data[:, mask], whole.data[:, mask])
    np.testing.assert_array_equal(pieces.mean, whole.mean)
    data[3, 0, 1] = -1
    with pytest.raises(InvalidArgument, match=r"-1 in frame 3 at pixel \(0, 1\)"):
        read_counts(data, mask)


def test_dataset_is_read_without_a_second_copy(tmp_path: Path):
    """A float64 dataset of 32 MB: 16 MB of float32, a chunk, and never all of it as doubles."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("counts", data=np.ones((250, 128, 128)))

    with h5py.File(tmp_path / "a.h5") as file:
        tracemalloc.start()
        kept = read_counts(file["counts"], None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert kept.data.dtype == np.float32
    assert peak < 16.4e6 + 5 * (16 << 20)


def test_array_of_a_native_type_takes_no_memory(monkeypatch):
    data = np.ones((400, 128, 128), np.uint16)
    monkeypatch.setattr(counts, "CHUNK_BYTES", 1 << 20)

    tracemalloc.start()
    read_counts(data, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2e6
