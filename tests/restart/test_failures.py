"""Full disks, cut files: one clear sentence, the last checkpoint kept, nothing else left behind."""

from __future__ import annotations

import os
from typing import Any

import h5py
import pytest

import exitwave
from short_disk import full_disk, python_with_full_disk
from short_memory import short_limit
from small_scan import SmallScan, assert_same_bits, small_scan

DM = {"name": "DM", "iterations": 8}


def stop_after(iterations: int) -> Any:
    return lambda state: state.iteration + 1 == iterations


@pytest.mark.parametrize("file_bytes", [0, 700, 5_000, 20_000, 60_000])
def test_full_disk_ends_the_run_and_keeps_the_last_checkpoint(file_bytes, tmp_path):
    """However much of the file the disk still takes."""
    scan = small_scan("far", 2, noise=True)
    whole = scan.run(DM)
    place = tmp_path / "run"
    scan.run(DM, checkpoint=place, callback=stop_after(3))
    assert place.stat().st_size > file_bytes
    last = place.read_bytes()

    with (
        full_disk(file_bytes),
        pytest.raises(exitwave.ExitwaveError, match=r"run cannot be written \(File too large\); f"),
    ):
        exitwave.resume(place, scan.data, {"checkpoint_every": 2})

    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert place.read_bytes() == last
    assert_same_bits(whole, exitwave.resume(place, scan.data))


@pytest.mark.parametrize("file_bytes", [0, 3_000, 30_000])
def test_full_disk_leaves_no_half_result(file_bytes, tmp_path):
    result = small_scan().run(DM)
    exitwave.save_result(tmp_path / "out.h5", result)
    last = (tmp_path / "out.h5").read_bytes()

    with full_disk(file_bytes), pytest.raises(exitwave.ExitwaveError, match="cannot be written"):
        exitwave.save_result(tmp_path / "out.h5", result, overwrite=True)

    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]
    assert (tmp_path / "out.h5").read_bytes() == last


def test_a_cut_checkpoint_is_refused_whatever_is_missing(tmp_path):
    scan = small_scan("far", noise=True)
    scan.run(DM, checkpoint=tmp_path / "run", callback=stop_after(3))
    whole = (tmp_path / "run").read_bytes()

    for share in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        (tmp_path / "run").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(exitwave.FileFormatError, match="run: the file is damaged") as refusal:
            exitwave.resume(tmp_path / "run", scan.data)
        assert str(refusal.value).count(". ") == 0


@pytest.mark.parametrize("lost", ["run/parameters", "run/arrays/3", "engine/totals", "engine"])
def test_a_checkpoint_that_lacks_something_is_refused(lost, tmp_path):
    scan = small_scan("far", noise=True)
    scan.run(DM, checkpoint=tmp_path / "run", callback=stop_after(3))
    with h5py.File(tmp_path / "run", "r+") as file:
        del file[lost]

    with pytest.raises(exitwave.FileFormatError, match=r"^.*run: "):
        exitwave.resume(tmp_path / "run", scan.data)


@pytest.mark.parametrize(
    ("device", "stored", "message"),
    [
        ("cpu:2", {}, r"counts\.h5 cannot be read any more \(\d+ bytes where"),
        ("cpu:2", {"compression": 1}, r"frames \d+ to \d+ of data in .*counts\.h5 cannot be read"),
        ("emulated", {}, r"counts\.h5 cannot be read any more \(\d+ bytes where"),
    ],
)
def test_counts_that_vanish_under_a_streamed_run(device, stored, message, tmp_path):
    """The file is cut while the run reads it: the process lives, and goes on with a whole file."""
    scan = small_scan("far", noise=True, frame=(32, 32), frames=400)
    where: dict[str, Any] = {"device": device, "parts": 3}
    engine = {"name": "ePIE", "iterations": 4}
    limit = short_limit(scan, engine, "device", **where) if device == "emulated" else {}
    where["memory_limit"] = limit | {"host": 3 * scan.data.nbytes // 2}
    place, counts = tmp_path / "run", tmp_path / "counts.h5"

    def store() -> None:
        with h5py.File(counts, "w") as file:
            file.create_dataset("counts", data=scan.data, chunks=(1, 32, 32), **stored)

    def cut(state: exitwave.State) -> None:
        if state.iteration == 1:
            os.truncate(counts, counts.stat().st_size // 2)

    store()
    with h5py.File(counts, rdcc_nbytes=0) as file:  # else all of it may be in HDF5's cache
        streamed = SmallScan(**(vars(scan) | {"data": file["counts"]}))
        whole = streamed.run(engine, **where)
        with pytest.raises(exitwave.FileFormatError, match=message):
            streamed.run(engine, checkpoint=place, checkpoint_every=1, callback=cut, **where)

    assert {path.name for path in tmp_path.iterdir()} == {"run", "counts.h5"}
    with pytest.raises(exitwave.FileFormatError, match="damaged"):
        exitwave.resume(place)
    store()
    assert_same_bits(whole, exitwave.resume(place))


def test_a_scratch_folder_that_is_full_is_named(tmp_path):
    scan = small_scan("far", 2, 2, noise=True, frames=31)
    limit = short_limit(scan, DM, "host", device="cpu:1")

    with full_disk(1000), pytest.raises(exitwave.DeviceError, match="scratch file in"):
        scan.run(DM, memory_limit=limit, scratch_folder=str(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_a_process_whose_disk_is_full_ends_with_a_message(tmp_path):
    """HDF5 may take a process with it that cannot close its file; ours ends by itself."""
    done = python_with_full_disk(
        "from small_scan import small_scan\n"
        'small_scan().run({"name": "DM", "iterations": 5}, checkpoint="run", checkpoint_every=1)\n',
        tmp_path,
        9000,
    )

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == (
        "exitwave.errors.ExitwaveError: run cannot be written (File too large); free space or "
        "choose another folder."
    )
    assert list(tmp_path.iterdir()) == []
