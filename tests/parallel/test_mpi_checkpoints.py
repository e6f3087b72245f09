"""A run over MPI ranks that was stopped or killed goes on as if it had not been, to the bit."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import exitwave
from exitwave.io.checkpoint_file import companion, read_checkpoint
from mpi_launch import needs_mpi, run, start
from small_scan import ENGINES, assert_same_bits

JOBS = Path(__file__).with_name("mpi_checkpoint_jobs.py")

pytestmark = needs_mpi


@pytest.mark.parametrize("processes", [2, 4])
def test_a_resumed_run_gives_the_bits_of_one_that_was_never_stopped(processes, tmp_path):
    """Each engine; modes that are added, slices, positions that move, frames that come and go."""
    same = run(processes, JOBS, "resumed", tmp_path)

    assert {*ENGINES, "slices that are split"} < set(same)
    assert all(same.values()), same


def test_all_ranks_stop_after_the_iteration_at_which_one_wants_to(tmp_path):
    """One has a clock or a limit of its own, or gets a signal."""
    first, *others = run(3, JOBS, "agreed", tmp_path)["ranks"]

    assert all(other == first for other in others)
    assert first["time limit"][:3] == ["time_limit", 1, 1]
    stopped, iterations, kept, _ = first["signal"]
    assert stopped == "terminated"
    assert iterations == kept > 1
    assert first["minutes"][:3] == ["callback", 6, 6]
    for *_, files in first.values():
        assert files == ["agreed", "agreed.rank0", "agreed.rank1", "agreed.rank2"]


def test_a_full_disk_of_one_rank_is_named_by_all_and_the_last_checkpoint_kept(tmp_path):
    found = run(3, JOBS, "a_full_disk", tmp_path)

    first, *others = found["ranks"]
    assert all(other == first for other in others)
    *of_ranks, of_name = first
    assert [message.split(": ")[0] for message in of_ranks] == [
        f"rank {rank} of 3" for rank in (1, 1, 0)
    ]
    assert all("cannot be written (File too large); free space" in message for message in of_ranks)
    assert of_name.startswith("/full cannot be written (No space left on device); free space")


def test_what_other_ranks_wrote_is_refused_by_all(tmp_path):
    first, *others = run(4, JOBS, "refused", tmp_path)["ranks"]

    assert all(other == first for other in others)
    alone, by_two, other_data, no_data, lacks = first
    assert "written by 4 MPI processes, and this is one; " in alone
    assert "and here are 2; each goes on with what it held, so use mpiexec -n 4." in by_two
    assert other_data.startswith("data are not those that the checkpoint was made with")
    assert no_data.startswith("data is None, but the run had its counts in memory")
    assert lacks.startswith("/refused.TOKEN.rank2: the file does not exist")


def iterations_in(place: Path) -> int:
    """Of a checkpoint, whose files are all there."""
    checkpoint = read_checkpoint(place)
    for rank in range(checkpoint.ranks):
        assert companion(place, checkpoint.token, rank).exists()
    return sum(map(len, checkpoint.errors)) + len(checkpoint.engine.errors)


def test_killed_at_many_moments(tmp_path):
    """All ranks, or one, which ends the others."""
    place = tmp_path / "run"
    moments = random.Random(1)
    last = 0
    for kill in range(6):
        job = start(2, JOBS, "to_be_killed", tmp_path)
        assert job.stdout is not None
        pids = [int(pid) for pid in job.stdout.readline().split()]
        written = place.stat().st_ino if place.exists() else 0
        while kill % 4 != 3 and (place.stat().st_ino if place.exists() else 0) == written:
            assert job.poll() is None
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
        for pid in pids if kill % 2 else pids[kill // 2 % 2 :][:1]:
            os.kill(pid, signal.SIGKILL)
        job.communicate(timeout=30)
        assert job.returncode != 0
        now = iterations_in(place)
        assert now >= last
        last = now

    assert last >= 5
    (tmp_path / "enough").touch()
    assert run(2, JOBS, "to_be_killed", tmp_path) == {"same": True}
    assert [path.name for path in tmp_path.iterdir()] == ["enough"]


def exitwave_run(folder: Path, processes: int, *options: Any) -> tuple[int, str]:
    job = start(processes, "-m", "exitwave", "run", *options, cwd=folder)
    _, err = job.communicate(timeout=60)
    return job.returncode, err


def test_the_command_goes_on_over_ranks(tmp_path):
    exitwave.simulate((24, 28), 30, counts_per_frame=1e4, seed=2).save(tmp_path / "scan.h5")
    chain = ("scan.h5", "--engines", "DM:6 ML:6", "--device", "cpu:1", "--parts", 2)

    whole = exitwave_run(tmp_path, 2, *chain, "-o", "whole.h5")
    stopped = exitwave_run(tmp_path, 2, *chain, "-o", "out.h5", "--time-limit", "0.001s")
    refused = exitwave_run(tmp_path, 1, "--resume", "out.h5")
    resumed = exitwave_run(tmp_path, 2, "--resume", "out.h5", "--time-limit", "1h")

    assert whole == (0, "")
    assert stopped[0] == 75
    assert "go on with exitwave run --resume out.h5" in stopped[1]
    assert refused[0] == 2
    assert "so use mpiexec -n 2" in refused[1]
    assert resumed == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"scan.h5", "whole.h5", "out.h5"}
    results = [exitwave.load_result(tmp_path / name) for name in ("whole.h5", "out.h5")]
    assert_same_bits(*results)
    assert results[1].stopped is None
