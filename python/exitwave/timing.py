"""How long an iteration takes on the machine at hand, from a few frames."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from exitwave.memory_plan import EnginePlan
    from exitwave.parameters import EngineParameters, Parameters

# Frames of a part that are timed, and times that the fastest is taken of.
_FRAMES = 6
_REPEATS = 3
_DISK_BYTES = 64 << 20


def frame_seconds(
    params: Parameters, engine: EngineParameters, frame_shape: tuple[int, int], dtype: Any
) -> float:
    """Seconds per frame and iteration, in the parts and on the device of ``params``.

    A small scan of the same frames is run, with steps of an eighth of a frame; the lanes work at
    the same time, as they will.
    """
    from exitwave.chain import Chain
    from exitwave.counts import read_counts
    from exitwave.devices import choose_lanes
    from exitwave.engine_run import EngineRun
    from exitwave.memory_limit import MemoryLimits
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
    given = params.model_copy(update={"engines": [engine], "memory_limit": "auto", "parts": parts})
    limits = MemoryLimits(None, None)
    chain = Chain(read_counts(data, None), limits, None, probe, positions.astype(float), given)
    modes = engine.probe_modes or 1, engine.object_modes or 1
    run = EngineRun(
        0,
        engine,
        chain.problem,
        grown_object(chain.object, modes[1], rng),
        grown_probe(chain.probe, modes[0]),
    )
    return min(_timed(run) for _ in range(_REPEATS)) / frames


def _timed(run: Any) -> float:
    groups = run.groups()
    began = time.perf_counter()
    run.core.iterate(groups, True)
    return time.perf_counter() - began


def disk_bytes_per_s(folder: str) -> float:
    """What a folder's disk takes, written through."""
    import os

    block = np.random.default_rng(0).bytes(_DISK_BYTES // 8)
    with tempfile.TemporaryFile(dir=Path(folder), buffering=0) as file:
        began = time.perf_counter()
        for _ in range(8):
            file.write(block)
        os.fsync(file.fileno())
        return _DISK_BYTES / (time.perf_counter() - began)


def iteration_seconds(plan: EnginePlan, per_frame: float, frames: int, moved_per_s: float) -> float:
    """Computing and moving go on at the same time."""
    return max(per_frame * frames, plan.moved_bytes / moved_per_s)
