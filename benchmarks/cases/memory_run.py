"""DM on a file in a process of its own; prints peak memory and error as JSON.

Usage: memory_run.py FILE THREADS ITERATIONS
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import h5py

import exitwave


def peak_bytes() -> int:
    """Largest resident size so far.

    Linux hands getrusage's maximum on from the process that started this one; VmHWM is its own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    path, threads, iterations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with h5py.File(path) as file:
        # Those in metres are not whole pixels any more.
        positions = file["truth/positions_px"][()]
    before = peak_bytes()
    result = exitwave.ptychography(
        path,
        pos=positions,
        params={
            "engines": [{"name": "DM", "iterations": iterations}],
            "device": f"cpu:{threads}",
            "progress": False,
        },
    )
    print(
        json.dumps(
            {"before_bytes": before, "peak_bytes": peak_bytes(), "fourier_error": result.error}
        )
    )


if __name__ == "__main__":
    main()
