"""The floor of an iteration: its Fourier transforms alone; and the bytes that it moves beside them.

Both are counted from the code, see README.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

# Engines whose detector step reads and writes exit waves that are kept.
STORES_WAVES = ("DM", "RAAR")
# Engines whose sum of |O|^2 is taken in the pass itself.
WEIGHS_PROBE = ("ePIE", "rPIE", "mPIE", "ML")


def transforms_per_frame(
    engine: str, modes: int = 1, near: bool = False, fractional: bool = False
) -> int:
    """Transforms of a frame in an iteration that updates the probe, with one object mode.

    To the detector and back; ML's line search sends three more waves there. In the near field each
    way takes two. A fraction of a position shifts the probe under the frame, and in the line search
    once more with its direction, and brings the probe's sum back: one transform each.
    """
    search = engine == "ML"
    ways = 5 if search else 2
    shifts = (4 if search else 2) if fractional else 0
    return modes * (ways * (2 if near else 1) + shifts)


def bytes_per_pixel(engine: str, modes: int = 1, count_bytes: int = 2) -> dict[str, int]:
    """Bytes that each stage loads and stores per frame pixel, transforms apart.

    Far field, whole positions, one object mode, probe updated. "memory" is the part that cannot
    stay in a cache from one iteration to the next: counts, and kept exit waves.
    """
    exit_wave = 24 * modes
    detector = count_bytes + 1 + 16 * modes
    overlap = 64 * modes
    weight = 16 if engine in WEIGHS_PROBE else 36
    stages = {"exit wave": exit_wave, "detector": detector, "overlap": overlap, "weight": weight}
    memory = count_bytes
    if engine in STORES_WAVES:
        stages["detector"] += 16 * modes
        memory += 16 * modes
    if engine == "ML":
        stages["line search"] = count_bytes + 1 + (24 + 40 + 24 + 24) * modes
        memory += count_bytes
    return stages | {"total": sum(stages.values()), "memory": memory}


def fft_floor(frame_shape: tuple[int, int], transforms: int, threads: int) -> float:
    """Seconds for so many transforms on so many threads, each on one image in its cache."""
    from exitwave import _core
    from exitwave.fft_library import load_fft_library

    load_fft_library()
    pairs = -(-transforms // 2)
    seconds = _core.time_transforms(*frame_shape, pairs, threads)
    return seconds * transforms / (2 * pairs)


@dataclass
class Stopwatch:
    """Callback of a run: times each iteration of an engine, and the floor between two of them.

    Interleaved, so that what else a machine does meets both alike.
    """

    engine: str
    frame_shape: tuple[int, int]
    transforms: int
    threads: int
    warm_up: int
    iterations_s: list[float] = field(default_factory=list)
    floors_s: list[float] = field(default_factory=list)
    _began: float = float("nan")

    def __call__(self, state: Any) -> None:
        elapsed = time.perf_counter() - self._began
        if state.engine == self.engine and state.iteration >= self.warm_up:
            self.iterations_s.append(elapsed)
            self.floors_s.append(fft_floor(self.frame_shape, self.transforms, self.threads))
        self._began = time.perf_counter()

    def summary(self) -> dict[str, float]:
        """Best and median of both in seconds; the median ratio of neighbours."""
        pairs = zip(self.iterations_s, self.floors_s, strict=True)
        return {
            "best_s": min(self.iterations_s),
            "median_s": median(self.iterations_s),
            "floor_best_s": min(self.floors_s),
            "floor_median_s": median(self.floors_s),
            "median_ratio": median(iteration / floor for iteration, floor in pairs),
            "repeats": len(self.iterations_s),
        }
