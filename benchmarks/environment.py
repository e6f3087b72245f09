"""Where and with what a measurement was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def environment(threads: int, quick: bool) -> dict[str, Any]:
    """Facts that stand in each line of a results file; "date" and "load" are those of the call."""
    import exitwave
    from exitwave import _core
    from exitwave.devices import available_threads
    from exitwave.fft_library import load_fft_library

    library = Path(load_fft_library()).name
    build = _core.build_info()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD") or "unknown",
        "dirty": _dirty(),
        "exitwave": exitwave.__version__,
        "cpu": cpu_name(),
        "cores": available_threads(),
        "load": load(),
        "threads": threads,
        "compiler": build["compiler"],
        "simd": build["simd"],
        "fft": f"{build['fft_version']} ({library})",
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "platform": f"{platform.system()} {platform.machine()}",
        "quick": quick,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def load() -> float | None:
    """Processes that wanted to run in the last minute, on average; None where it is not known."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cpu_name() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _dirty() -> bool | None:
    """Whether tracked files differ from the commit, results apart; None outside a repository."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if changes is None:
        return None
    return any(not line.endswith(".jsonl") for line in changes.splitlines())


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
