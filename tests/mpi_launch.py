"""How tests start MPI jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_LAUNCHER = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which(
    "mpiexec"
)

needs_mpi = pytest.mark.skipif(
    find_spec("mpi4py") is None or _LAUNCHER is None,
    reason="needs mpi4py and mpiexec, which exitwave[mpi] brings",
)


def start(processes: int, *arguments: Any, cwd: Path | None = None) -> subprocess.Popen[str]:
    """A job of so many processes of this interpreter."""
    return subprocess.Popen(
        [str(_LAUNCHER), "-n", str(processes), sys.executable, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"EXITWAVE_CACHE": "", "OMP_NUM_THREADS": "1"},
    )


def run(processes: int, *arguments: Any) -> Any:
    """What the first process of a job prints last, as JSON."""
    job = start(processes, *arguments)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    return json.loads(out.splitlines()[-1])
