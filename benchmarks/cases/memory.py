"""Peak memory of DM, from the file to the result."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from cases import CaseFunction, Settings, scans
from cases.processes import last_line
from results import Measurement

ITERATIONS = 15
LARGEST_ERROR = 0.03
# What interpreter, libraries, canvases and scratch may take.
ALLOWANCE_MB = 200


def peak_memory(settings: Settings) -> Iterator[Measurement]:
    """Peak resident memory of a process that reads the counts and runs DM on them."""
    scan = scans.far_scan(settings)
    counts, waves = scan.data.nbytes / 1e6, 8 * scan.data.size / 1e6
    script = Path(__file__).with_name("memory_run.py")
    seen = last_line(sys.executable, script, scan.path, settings.threads, ITERATIONS)
    yield Measurement(
        case="memory/DM",
        quantity="peak memory",
        value=seen["peak_bytes"] / 1e6,
        unit="MB",
        target=settings.target(counts + waves + ALLOWANCE_MB),
        floor=counts + waves,
        correct=seen["fourier_error"] < LARGEST_ERROR,
        details={
            "frames": len(scan.data),
            "frame_shape": list(scan.frame_shape),
            "counts": str(scan.data.dtype),
            "counts_mb": counts,
            "exit_waves_mb": waves,
            "before_mb": seen["before_bytes"] / 1e6,
            "fourier_error": seen["fourier_error"],
        },
    )


CASES: dict[str, CaseFunction] = {"DM": peak_memory}
