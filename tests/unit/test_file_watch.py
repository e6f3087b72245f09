"""Files that are cut while they are read, whichever way HDF5 reaches them."""

from __future__ import annotations

import io
import os

import h5py
import numpy as np
import pytest

import exitwave
from exitwave.file_watch import FileWatch

COUNTS = np.arange(2400, dtype=np.uint16).reshape(20, 10, 12)


def test_a_file_that_was_cut_is_found_out_under_any_name(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = COUNTS
    with h5py.File(tmp_path / "a.h5") as file:
        watch = FileWatch(file["data"])
        (tmp_path / "a.h5").rename(tmp_path / "b.h5")
        watch.check()
        os.truncate(tmp_path / "b.h5", 3000)

        assert file["data"][19].any() == 0  # what HDF5 makes of it
        with pytest.raises(exitwave.FileFormatError, match=r"\(3000 bytes where there were \d+\)"):
            watch.check()


def test_sources_of_virtual_and_external_datasets_are_watched(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["data"] = COUNTS
    COUNTS.tofile(tmp_path / "raw")
    with h5py.File(tmp_path / "main.h5", "w") as file:
        layout = h5py.VirtualLayout(COUNTS.shape, COUNTS.dtype)
        layout[:] = h5py.VirtualSource("source.h5", "data", COUNTS.shape)
        file.create_virtual_dataset("virtual", layout)
        raw = [(str(tmp_path / "raw"), 0, COUNTS.nbytes)]
        file.create_dataset("external", COUNTS.shape, COUNTS.dtype, external=raw)

    for name, other in (("virtual", "source.h5"), ("external", "raw")):
        with h5py.File(tmp_path / "main.h5") as file:
            watch = FileWatch(file[name])
            watch.check()
            (tmp_path / other).unlink()
            with pytest.raises(exitwave.FileFormatError, match=rf"{other} cannot be read any more"):
                watch.check()


def test_a_damaged_source_of_a_virtual_dataset_is_no_dark_frame(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["data"] = COUNTS
    with h5py.File(tmp_path / "main.h5", "w") as file:
        layout = h5py.VirtualLayout(COUNTS.shape, COUNTS.dtype)
        layout[:] = h5py.VirtualSource("source.h5", "data", COUNTS.shape)
        file.create_virtual_dataset("data", layout)
        file["positions"] = np.zeros((20, 2))
    os.truncate(tmp_path / "source.h5", 3000)

    with pytest.raises(exitwave.FileFormatError, match=r"from source\.h5, which is damaged"):
        exitwave.load(tmp_path / "main.h5")


def test_what_is_in_memory_is_left_alone():
    with h5py.File(io.BytesIO(), "w") as file:
        file["data"] = COUNTS
        FileWatch(file["data"]).check()
    with h5py.File("nowhere", "w", driver="core", backing_store=False) as file:
        file["data"] = COUNTS
        FileWatch(file["data"]).check()
    FileWatch(COUNTS).check()
