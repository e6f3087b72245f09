"""Any number of MPI processes gives the result of one, and fails together."""

from __future__ import annotations

import json
import signal
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
from mpi_launch import needs_mpi, run, start
from small_scan import ENGINES, relative

TOLERANCE = 1e-5
JOBS = Path(__file__).with_name("mpi_jobs.py")

pytestmark = needs_mpi


@cache
def compared(processes: int, folder: Path) -> dict[str, Any]:
    return run(processes, JOBS, "compare", folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mpi")


KINDS = ["far 1", "far 2", "near 1", "near 2", "chain", "positions", "file", "streamed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("processes", [2, 4])
def test_ranks_do_not_change_the_result(processes, name, kind, folder):
    found = compared(processes, folder)[f"{name} {kind}"]

    assert found["object"] < TOLERANCE
    assert found["probe"] < TOLERANCE
    assert found["positions"] < 1e-4
    assert (found["moved"] > 0.01) == (kind == "positions")
    assert found["error"] < 1e-4
    # All ranks have the same, and something happened that a wrong exchange would have spoilt.
    assert found["same_bits"]
    assert found["fell"] < 0.7


@pytest.mark.parametrize("name", ["ePIE", "ML", "LSQML"])
@pytest.mark.parametrize("processes", [2, 4])
def test_ranks_do_not_change_slices(processes, name, folder):
    """Two of them, split into four on the way; the beams of the frames have tilts of their own."""
    found = compared(processes, folder)[f"{name} slices"]

    assert found["object"] < TOLERANCE
    assert found["probe"] < TOLERANCE
    assert found["error"] < 1e-4
    assert found["same_bits"]


@pytest.mark.parametrize("processes", [2, 4])
def test_ranks_come_to_the_same_geometry(processes, folder):
    found = compared(processes, folder)["geometry"]

    assert found["object"] < TOLERANCE
    assert found["probe"] < TOLERANCE
    assert found["positions"] < 1e-4
    assert found["moved"] > 0.01
    assert found["same_bits"]


@pytest.mark.parametrize("processes", [2, 4])
def test_ranks_come_to_the_same_background(processes, folder):
    """Summed over the frames of all, behind a detector that spreads light."""
    found = compared(processes, folder)["background"]

    assert found["background"] < TOLERANCE
    assert found["object"] < TOLERANCE
    assert found["error"] < 1e-4
    assert found["same_bits"]


@pytest.mark.parametrize("processes", [2, 4])
def test_ranks_come_to_the_same_gaps(processes, folder):
    """Distances between slices and tilt, on which all that follows depends."""
    found = compared(processes, folder)["gaps"]

    assert found["object"] < TOLERANCE
    assert found["probe"] < TOLERANCE
    assert found["same_bits"]
    assert found["fell"] < 0.7


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("processes", [2, 4])
def test_blocks_change_no_bit_on_several_ranks(processes, name, folder):
    resident, streamed = (compared(processes, folder)[f"{name} {how}"] for how in KINDS[-2:])

    assert streamed["bits"] == resident["bits"]
    assert streamed["reads"] > resident["reads"] + 2


def test_each_rank_reads_its_own_frames_and_holds_its_own_tiles(folder):
    found = run(3, JOBS, "shares", folder)

    read = [frame for rank in found["ranks"] for frame in rank["read"]]
    assert sorted(read) == list(range(40))
    assert all(rank["held"] < found["object"] for rank in found["ranks"])
    assert [rank["whole"] for rank in found["ranks"]] == [True, False, False]
    assert found["files_agree"]
    assert found["starts_agree"]


def test_callbacks_run_on_the_first_rank_and_stop_all(folder):
    found = run(2, JOBS, "callbacks", folder)

    first, second = found["ranks"]
    assert first["calls"] == [found["shape"]] * 2
    assert second["calls"] == []
    assert first["iterations"] == second["iterations"] == 2
    assert first["stopped"] == second["stopped"] == "callback"


def test_callbacks_that_change_arrays_change_those_of_all_ranks(folder):
    assert max(run(2, JOBS, "changes", folder)["off"]) < TOLERANCE


def test_bad_input_of_one_rank_is_refused_by_all(folder):
    first, second = run(2, JOBS, "refusals", folder)["ranks"]

    assert first == second
    data, parts, memory, callback = first
    assert data.startswith("InvalidArgument: data has nan in frame ")
    assert parts == (
        "InvalidArgument: parts is 100 for each of 2 processes, but must be at most the 13 frames."
    )
    assert memory.startswith("OutOfMemory: memory_limit leaves ")
    assert callback == "LookupError: from the callback"


def test_a_rank_that_fails_ends_the_job_with_its_message(folder):
    job = start(3, JOBS, "fails_alone", folder)
    _, err = job.communicate(timeout=60)

    assert job.returncode != 0
    assert "exitwave: rank 1 of 3: frames " in err
    assert "(the disk has gone)" in err


def test_interruption_stops_all_ranks_after_the_same_iteration(folder):
    job = start(2, JOBS, "interrupted", folder)
    assert job.stdout is not None
    assert job.stdout.readline() == "at work\n"
    time.sleep(0.3)

    job.send_signal(signal.SIGINT)

    out, err = job.communicate(timeout=60)
    assert out, err
    (one, two) = json.loads(out.splitlines()[-1])["ranks"]
    assert one == two
    assert one[0] == "interrupted"


def test_processes_of_another_mpi_program_work_alone_unless_asked(folder):
    assert run(2, JOBS, "beside_others", folder) == {"alone": True, "asked": True}


def test_the_command_line_over_ranks_does_what_it_does_alone(folder):
    scan = folder / "scan.h5"
    exitwave.simulate((24, 28), 30, counts_per_frame=1e4, seed=2).save(scan)
    options = ("--engines", "ePIE:4", "--device", "cpu:1")
    command = ("-m", "exitwave", "run", scan, *options, "-o")

    one = start(1, *command, folder / "one.h5")
    alone = one.communicate(timeout=60)
    four = start(4, *command, folder / "four.h5")
    together = four.communicate(timeout=60)

    assert (one.returncode, four.returncode) == (0, 0), together
    said = [out.splitlines()[:2] for out, _ in (alone, together)]
    assert said[0] == said[1]
    assert together[0].count("written: ") == 1
    results = [exitwave.load_result(folder / name) for name in ("one.h5", "four.h5")]
    off = relative(results[1].object, results[0].object)
    assert off < TOLERANCE
    np.testing.assert_allclose(results[1].errors[0], results[0].errors[0], rtol=1e-5)

    again = start(2, *command, folder / "four.h5")
    _, err = again.communicate(timeout=60)
    assert again.returncode != 0
    assert err.count("exists; add --overwrite or name another file.") == 1
