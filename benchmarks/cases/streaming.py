"""Data larger than the memory that a run may use: 20,000 frames of 256 x 256 in 1 GB."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.fft

import exitwave
from cases import CaseFunction, CaseSkippedError, Settings
from cases.processes import last_line
from exitwave.timing import Disk, timed_disk
from results import Measurement

# The second is timed. More would take too long where the disk writes 50 MB/s.
ITERATIONS = 2
# What interpreter and libraries may take beyond the limit.
ALLOWANCE_MB = 200


def streamed(engine: str, settings: Settings) -> Iterator[Measurement]:
    """Peak memory under the limit, and time per iteration against resident plus disk time."""
    path = large_scan(settings)
    limit_mb = 2 if settings.quick else 1000
    resident = _run(path, engine, settings, "0")
    if "file" in (resident["counts"], resident["waves"]):
        raise CaseSkippedError("memory does not hold the run that is to be resident")
    # Disks of virtual machines are now faster, now slower: before and after.
    disks = [_timed_disk(settings)]
    short = _run(path, engine, settings, f"{limit_mb}MB")
    disks.append(_timed_disk(settings))
    same = short["errors"] == resident["errors"] and short["counts"] == "file"
    details = {"resident": resident, "streamed": short, "limit_mb": limit_mb}
    yield Measurement(
        case=f"streaming/{engine}",
        quantity="peak memory",
        value=short["peak_bytes"] / 1e6,
        unit="MB",
        target=settings.target(limit_mb + ALLOWANCE_MB),
        correct=same,
        details=details,
    )
    moved = short["read_bytes"], short["written_bytes"]
    disk_seconds = float(np.mean([disk.seconds(*moved) for disk in disks]))
    floor = resident["seconds"] + disk_seconds
    yield Measurement(
        case=f"streaming/{engine}",
        quantity="time per iteration",
        value=short["seconds"],
        unit="s",
        target=settings.target(1.5 * floor),
        floor=floor,
        correct=same,
        details=details | {"disk_seconds": disk_seconds, "disks": [asdict(disk) for disk in disks]},
    )


def _timed_disk(settings: Settings) -> Disk:
    """What the disk does that holds counts and exit waves, not the memory before it."""
    return timed_disk(
        tempfile.gettempdir(), (64 << 20) if settings.quick else (1 << 30), cached=False
    )


def _run(path: Path, engine: str, settings: Settings, limit: str) -> dict[str, Any]:
    script = Path(__file__).with_name("streaming_run.py")
    seen: dict[str, Any] = last_line(
        sys.executable, script, path, settings.threads, engine, ITERATIONS, limit
    )
    return seen


def large_scan(settings: Settings) -> Path:
    """A file of uint16 counts, written in pieces; made once, and kept in the temporary folder.

    A simulated object is repeated over a raster of whole positions; about 1e6 counts per frame.
    """
    frames, size = (200, 64) if settings.quick else (20_000, 256)
    path = Path(tempfile.gettempdir()) / "exitwave-benchmarks" / f"large_{frames}_{size}.h5"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    small = exitwave.simulate(
        frame_shape=size, frames=25, counts_per_frame=1e6, integer_positions=True
    )
    probe = np.asarray(small.probe, np.complex64)
    columns = int(np.ceil(np.sqrt(frames)))
    rng = np.random.default_rng(3)
    grid = np.stack(np.divmod(np.arange(frames), columns), axis=1) * (size // 10)
    positions = grid + rng.integers(0, size // 40 + 1, (frames, 2))
    shape = positions.max(axis=0) + size
    repeats = -(-shape // np.array(small.object.shape[-2:]))
    tile = np.asarray(small.object, np.complex64).reshape(small.object.shape[-2:])
    obj = np.tile(tile, repeats)
    beside = path.with_suffix(".part")
    with h5py.File(beside, "w") as file:
        file["positions"], file["probe"] = positions.astype(np.float64), probe
        data = file.create_dataset("data", (frames, size, size), np.uint16, chunks=(1, size, size))
        for frame, (row, column) in enumerate(positions):
            waves = probe * obj[row : row + size, column : column + size]
            spectrum = scipy.fft.fft2(waves, norm="ortho", workers=1)
            intensity = (np.abs(spectrum) ** 2).sum(axis=tuple(range(spectrum.ndim - 2)))
            data[frame] = np.minimum(rng.poisson(np.fft.fftshift(intensity)), 65535)
    beside.rename(path)
    return path


CASES: dict[str, CaseFunction] = {engine: partial(streamed, engine) for engine in ("DM", "ePIE")}
