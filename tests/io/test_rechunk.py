"""Chunks of one frame: the same file, from which a run reads what it needs and no more."""

from __future__ import annotations

import h5py
import hdf5plugin
import numpy as np
import pytest

import exitwave
from exitwave.io import rechunk as module
from exitwave.io.rechunk import reading_factor, rechunk

FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf", "fletcher32": True},
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    "blosc": dict(hdf5plugin.Blosc(cname="zstd")),
    "lz4": dict(hdf5plugin.LZ4()),
}


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(1).poisson(3, (23, 10, 14)).astype(np.uint16)


def filters_of(dataset: h5py.Dataset) -> list[int]:
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]


@pytest.mark.parametrize("compression", ["keep", "none", "gzip", "lzf", "bitshuffle"])
@pytest.mark.parametrize("stored", FILTERS)
def test_counts_are_the_same_in_chunks_of_one_frame(stored, compression, counts, tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.create_dataset("data", data=counts, chunks=(7, 5, 14), **FILTERS[stored])

    done = rechunk(tmp_path / "old.h5", tmp_path / "new.h5", compression=compression)

    assert (done.dataset, done.before, done.after) == ("/data", (7, 5, 14), (1, 10, 14))
    with h5py.File(tmp_path / "old.h5") as old, h5py.File(tmp_path / "new.h5") as new:
        np.testing.assert_array_equal(new["data"][()], counts)
        assert new["data"].dtype == counts.dtype
        assert new["data"].chunks == (1, 10, 14)
        if compression == "keep":
            assert filters_of(new["data"]) == filters_of(old["data"])
        if compression == "none":
            assert filters_of(new["data"]) == []


def test_everything_else_comes_along(counts, tmp_path):
    (tmp_path / "there").mkdir()
    with h5py.File(tmp_path / "more.h5", "w") as file:
        file["x"] = 5
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs.update({"creator": "us", "numbers": np.arange(3, dtype=np.int16)})
        group = file.create_group("entry_1")
        group.attrs["NX_class"] = "NXentry"
        data = group.create_dataset("counts", data=counts)
        data.attrs["units"] = "counts"
        group["again"] = data
        group["soft"] = h5py.SoftLink("/entry_1/counts")
        group["text"] = "straße"
        group["other"] = h5py.ExternalLink("more.h5", "x")
        group.create_group("empty")
        file["positions"] = np.arange(46.0).reshape(23, 2)

    rechunk(tmp_path / "old.h5", tmp_path / "there" / "new.h5")

    with h5py.File(tmp_path / "there" / "new.h5") as file:
        entry = file["entry_1"]
        assert dict(file.attrs) == {"creator": "us", "numbers": pytest.approx([0, 1, 2])}
        assert file.attrs["numbers"].dtype == np.int16
        assert entry.attrs["NX_class"] == "NXentry"
        assert set(entry) == {"counts", "again", "soft", "text", "other", "empty"}
        assert entry["again"] == entry["counts"]
        assert entry.get("soft", getlink=True).path == "/entry_1/counts"
        assert entry["counts"].attrs["units"] == "counts"
        assert entry["text"].asstr()[()] == "straße"
        assert entry["other"][()] == 5
        np.testing.assert_array_equal(file["positions"][()], np.arange(46.0).reshape(23, 2))


def test_rasters_and_named_datasets(counts, tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.create_dataset("raster", data=counts[:20].reshape(4, 5, 10, 14), chunks=(2, 5, 10, 14))
        file.create_dataset("larger", data=np.zeros((50, 10, 14)))

    done = rechunk(tmp_path / "old.h5", tmp_path / "new.h5", data="raster")

    assert done.after == (1, 1, 10, 14)
    with h5py.File(tmp_path / "new.h5") as file:
        np.testing.assert_array_equal(file["raster"][()].reshape(20, 10, 14), counts[:20])


def test_memory_is_bounded(counts, tmp_path, monkeypatch):
    """No more frames than a block holds are read at a time, whatever the chunks."""
    frame = counts[0].nbytes
    monkeypatch.setattr(module, "_BLOCK_BYTES", 5 * frame)
    read: list[int] = []
    get = h5py.Dataset.__getitem__

    def count(self, key, **options):
        block = get(self, key, **options)
        read.append(np.asarray(block).nbytes)
        return block

    for chunks in ((2, 10, 14), (23, 2, 2)):
        with h5py.File(tmp_path / "old.h5", "w") as file:
            file.create_dataset("data", data=counts, chunks=chunks)
        monkeypatch.setattr(h5py.Dataset, "__getitem__", count)
        rechunk(tmp_path / "old.h5", tmp_path / "new.h5", overwrite=True)
        monkeypatch.undo()
        monkeypatch.setattr(module, "_BLOCK_BYTES", 5 * frame)
        with h5py.File(tmp_path / "new.h5") as file:
            np.testing.assert_array_equal(file["data"][()], counts)
    assert max(read) <= 5 * frame


def test_refusals_leave_nothing_behind(counts, tmp_path):
    old = tmp_path / "old.h5"
    with h5py.File(old, "w") as file:
        file["data"] = counts
        file["flat"] = np.zeros(5)
    whole = old.read_bytes()

    def refused(pattern: str, *arguments: object, **options: object) -> None:
        with pytest.raises(exitwave.ExitwaveError, match=pattern):
            rechunk(*arguments, **options)

    refused("the source itself", old, old, overwrite=True)
    refused("compression is 'zip'", old, tmp_path / "new.h5", compression="zip")
    refused("no dataset 'counts'", old, tmp_path / "new.h5", data="counts")
    refused(r"/flat has shape \(5,\)", old, tmp_path / "new.h5", data="flat")
    refused("does not exist", tmp_path / "missing.h5", tmp_path / "new.h5")
    (tmp_path / "cut.h5").write_bytes(whole[:-100])
    refused(r"cut\.h5: the file is damaged", tmp_path / "cut.h5", tmp_path / "new.h5")
    (tmp_path / "there.h5").write_bytes(b"mine")
    refused("exists already", old, tmp_path / "there.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.h5", "old.h5", "there.h5"]
    assert (tmp_path / "there.h5").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("chunks", "run", "factor"),
    [
        (None, 1, 1),
        ((1, 100, 100), 1, 1),
        ((1, 50, 50), 1, 1),
        ((1, 60, 100), 1, 1.2),
        ((8, 100, 100), 1, 8),
        ((8, 100, 100), 8, 15 / 8),
        ((400, 10, 10), 16, 415 / 16),
    ],
)
def test_what_chunks_cost(chunks, run, factor):
    assert reading_factor(chunks, (400, 100, 100), run) == pytest.approx(factor)
