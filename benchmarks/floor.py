"""The floor of an iteration: its Fourier transforms alone; and the bytes that it moves beside them.

Both are counted from the code, see README.md; the counts are those of the package's cost model.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from exitwave.topology.work import bytes_per_pixel, transforms_per_frame

__all__ = ["Stopwatch", "bytes_per_pixel", "fft_floor", "transforms_per_frame"]


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
