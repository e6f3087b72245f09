"""Disks that are full, or seem so: no file grows beyond so many bytes."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def full_disk(file_bytes: int) -> Iterator[None]:
    """For this process, as long as it lasts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel's signal would end the process; without it the write is refused.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def python_with_full_disk(
    code: str, folder: Path, file_bytes: int
) -> subprocess.CompletedProcess[str]:
    """Runs some lines in a process of their own, for all of which the disk is full."""
    before = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from short_disk import full_disk; full = full_disk({file_bytes}); full.__enter__()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", before + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
