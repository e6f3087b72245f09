"""Whether a process was started as one of several of an MPI job."""

from __future__ import annotations

import pytest

import exitwave
from exitwave.launcher import launched_processes
from small_scan import small_scan

VARIABLES = (
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "PMIX_RANK",
    "SLURM_STEP_NUM_TASKS",
)


@pytest.mark.parametrize(
    ("told", "processes"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"PMI_SIZE": "3"}, 3),
        # A job of Slurm that was not started as one of MPI.
        ({"SLURM_STEP_NUM_TASKS": "8"}, 1),
        ({"SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "2"}, 8),
    ],
)
def test_launchers_tell_how_many_processes_they_started(told, processes, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)

    assert launched_processes() == processes


def test_a_process_that_is_told_to_work_alone_does(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")

    assert small_scan().run({"name": "ePIE", "iterations": 1}, comm=False).parts is None


def test_a_wrong_communicator_is_refused():
    with pytest.raises(exitwave.InvalidArgument, match="comm is 'all'; it must be None, False"):
        small_scan().run({"name": "ePIE", "iterations": 1}, comm="all")
