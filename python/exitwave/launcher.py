"""What the launcher of an MPI job tells its processes; nothing of MPI itself is loaded for it."""

from __future__ import annotations

import os

# Number of processes of the job: Open MPI, MPICH and its relatives, MVAPICH.
_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def launched_processes() -> int:
    """Processes of the MPI job that this one was started in; 1 without a launcher.

    Slurm sets its own variables for every job, so they count only beside those of its MPI support.
    """
    counts = [os.environ.get(name, "") for name in _VARIABLES]
    if "PMIX_RANK" in os.environ:
        counts.append(os.environ.get("SLURM_STEP_NUM_TASKS", ""))
    return max([int(count) for count in counts if count.isdigit()], default=1)
