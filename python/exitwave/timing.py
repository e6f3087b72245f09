"""How long an iteration takes on the machine at hand, from a few frames."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters, Parameters

# Frames of a part that are timed, and times that the fastest is taken of.
_FRAMES = 6
_REPEATS = 3
_DISK_BLOCK = 8 << 20


def frame_seconds(
    params: Parameters,
    engine: EngineParameters,
    frame_shape: tuple[int, int],
    dtype: Any,
    slices: int = 1,
) -> float:
    """Seconds per frame and iteration, in the parts and on the device of ``params``.

    A small scan of the same frames is run, with steps of an eighth of a frame; the lanes work at
    the same time, as they will. ``slices``: those that the object has in this engine.
    """
    from exitwave.chain import Chain
    from exitwave.counts import read_counts
    from exitwave.devices import choose_lanes
    from exitwave.engine_run import EngineRun
    from exitwave.memory_limit import MemoryLimits
    from exitwave.reconstruct import divide_scan
    from exitwave.start import grown_object, grown_probe

    parts = choose_lanes(params.device, params.parts, params.batch, 1 << 30).parts
    frames = _FRAMES * parts
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(frames), int(np.ceil(np.sqrt(frames))))
    positions = np.stack([rows, columns], axis=1) * np.maximum(1, np.array(frame_shape) // 8)
    data = rng.poisson(3, (frames, *frame_shape)).astype(dtype)
    y, x = np.indices(frame_shape)
    probe = np.exp(
        -sum((16 * (i / n - 0.5) ** 2) for i, n in zip((y, x), frame_shape, strict=True))
    )
    given = _trial(params, engine, parts, frames, slices)
    limits = MemoryLimits(None, None)
    counts = read_counts(data, None)
    division = divide_scan(data, None, positions.astype(float), given)
    chain = Chain(counts, limits, None, probe, division, given)
    modes = engine.probe_modes or 1, engine.object_modes or 1
    run = EngineRun(
        0,
        given.engines[0],
        chain.problem,
        grown_object(chain.object, modes[1], rng, slices=chain.slices),
        grown_probe(chain.probe, modes[0]),
        slices=chain.slices,
    )
    return min(_timed(run) for _ in range(_REPEATS)) / frames


def _trial(
    params: Parameters, engine: EngineParameters, parts: int, frames: int, slices: int
) -> Parameters:
    """Parameters of one engine for other counts of other frames: without what fits those of the
    real scan only."""
    known = params.propagation
    given: dict[str, Any] = {}
    if known.slice_distances_m is not None:
        given["slice_distances_m"] = (np.max(known.slice_distances_m, initial=0.0),) * (slices - 1)
    if np.ndim(known.beam_tilt_rad) == 2:
        given["beam_tilt_rad"] = np.resize(known.beam_tilt_rad, (frames, 2))
    flat = None if isinstance(engine.object_flat, np.ndarray) else engine.object_flat
    return params.model_copy(
        update={
            "engines": [engine.model_copy(update={"object_flat": flat})],
            "propagation": known.model_copy(update=given),
            "background": None,
            "memory_limit": "auto",
            "parts": parts,
        }
    )


def _timed(run: Any) -> float:
    groups = run.groups()
    began = time.perf_counter()
    run.core.iterate(groups, True)
    return time.perf_counter() - began


@dataclass(frozen=True)
class Disk:
    """Bytes per second of a folder's disk."""

    read_bytes_per_s: float
    write_bytes_per_s: float

    def seconds(self, read_bytes: float, written_bytes: float) -> float:
        """One after the other."""
        return read_bytes / self.read_bytes_per_s + written_bytes / self.write_bytes_per_s


def timed_disk(folder: str, size: int = 256 << 20, *, cached: bool = True) -> Disk:
    """Writes a scratch file through to the disk, and reads it.

    ``cached``: as a process sees it that reads what it wrote; else what the kernel holds in memory
    is given up before, where it can be told to.
    """
    block = np.random.default_rng(0).bytes(_DISK_BLOCK)
    blocks = size // _DISK_BLOCK
    with tempfile.TemporaryFile(dir=Path(folder), buffering=0) as file:
        began = time.perf_counter()
        for _ in range(blocks):
            file.write(block)
        os.fsync(file.fileno())
        written = time.perf_counter()
        if not cached and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        began_reading = time.perf_counter()
        for _ in range(blocks):
            file.read(_DISK_BLOCK)
        read = time.perf_counter()
    moved = blocks * _DISK_BLOCK
    return Disk(moved / (read - began_reading), moved / (written - began))
