"""How a scan is cut: into parts for lanes and devices, and into groups of frames for updates.

Both follow one spatial order of the frames, found by halving the scan again and again along its
longer side, so that neighbours in the order are neighbours in the scan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument

Index = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# Scans are halved down to this many pieces; finer ones would only cost time.
_MOST_PIECES = 1 << 16


def split_in_parts(
    positions: Float64,
    parts: int,
    *,
    frame_shape: tuple[int, int] | None = None,
    cost: npt.ArrayLike | None = None,
    together: Sequence[int] = (),
) -> list[Index]:
    """Frames of each part: equal work, each part a compact piece of the scan.

    Recursive bisection (Berger & Bokhari, IEEE Trans. Comput. C-36, 570 (1987)); an odd number of
    parts is cut in proportion. The same input gives the same parts.

    Parameters
    ----------
    positions : float64, shape (N, 2), pixels
    parts : int, 1 to N
    frame_shape : (int, int), pixels, or None
        Each cut is made along the axis that leaves the smaller halo; None: along the longer side.
    cost : shape (N,), or None
        Work of each frame, above 0, in any unit: measured seconds, or counts of modes. None: equal,
        and the numbers of frames differ by one at most.
    together : sequence of int
        Parts per node, per socket, ... from the outside in: the first so many parts form the first
        node. Outer cuts come first, while pieces are large and cuts few, so that slow links carry
        little and the largest overlaps lie between neighbours on fast ones.

    Raises
    ------
    InvalidArgument
        ``parts`` is not 1 to N; ``cost`` is not N values above 0; ``together`` does not fall.
    """
    work = _checked_cost(cost, len(positions))
    if not 1 <= parts <= len(positions):
        raise InvalidArgument(
            f"parts is {parts}, but must be 1 to the {len(positions)} frames of the scan."
        )
    if any(size < 1 for size in together) or list(together) != sorted(together, reverse=True):
        raise InvalidArgument(
            f"together is {tuple(together)}, but must be numbers of parts from the largest unit "
            "(node) to the smallest (socket)."
        )

    def cut(frames: Index, count: int, sizes: Sequence[int]) -> list[Index]:
        if count == 1:
            return [frames]
        while sizes and sizes[0] >= count:
            sizes = sizes[1:]
        unit = sizes[0] if sizes else 1
        # Whole units to both sides; a unit that is not full comes last.
        low = unit * (-(-count // unit) // 2)
        first, second = _cut(positions, frames, low, count, frame_shape, work)
        return cut(first, low, sizes) + cut(second, count - low, sizes)

    return cut(np.arange(len(positions)), parts, together)


def spatial_order(positions: Float64) -> Index:
    """Frames in an order in which neighbours lie together."""
    smallest = max(1, len(positions) // _MOST_PIECES)

    def sort(frames: Index) -> list[Index]:
        if len(frames) <= smallest:
            return [frames]
        first, second = _halves(positions, frames, (len(frames) + 1) // 2)
        return sort(first) + sort(second)

    return np.concatenate(sort(np.arange(len(positions))))


def draw_groups(order: Index, group_size: int, random: np.random.Generator) -> list[list[int]]:
    """Groups of one iteration: every frame once, the frames of a group spread over the scan.

    The spatial order is cut into ``group_size`` strata; each is shuffled and group i takes the i-th
    frame of each. The order of the groups is shuffled. The draw knows nothing of parts.
    """
    strata = np.array_split(order, min(group_size, len(order)))
    shuffled = [random.permutation(stratum) for stratum in strata]
    count = max(len(stratum) for stratum in strata)
    groups = [[int(s[i]) for s in shuffled if i < len(s)] for i in range(count)]
    return [groups[i] for i in random.permutation(count)]


def _cut(
    positions: Float64,
    frames: Index,
    low: int,
    count: int,
    frame_shape: tuple[int, int] | None,
    work: Float64 | None,
) -> tuple[Index, Index]:
    """Frames for ``low`` of ``count`` parts, and those for the others."""
    longer = int(np.diff(np.ptp(positions[frames], axis=0))[0] > 0)
    best: tuple[Index, Index] | None = None
    smallest = np.inf
    for axis in (longer,) if frame_shape is None else (longer, 1 - longer):
        order = _along(positions, frames, axis)
        first = _frames_of_share(order, low, count, work)
        halves = order[:first], order[first:]
        halo = 0.0 if frame_shape is None else _halo(positions, *halves, frame_shape)
        if halo < smallest:
            best, smallest = halves, halo
    assert best is not None
    return best


def _frames_of_share(order: Index, low: int, count: int, work: Float64 | None) -> int:
    """How many of the frames in order make ``low`` of ``count`` equal shares of their work."""
    if work is None:
        return round(len(order) * low / count)
    done = np.cumsum(work[order])
    target = done[-1] * low / count
    after = int(np.searchsorted(done, target))
    before = done[after - 1] if after else 0.0
    first = after + int(done[after] - target < target - before)
    return int(np.clip(first, low, len(order) - (count - low)))


def _halo(positions: Float64, first: Index, second: Index, frame_shape: tuple[int, int]) -> float:
    """Pixels that the bounding boxes of the windows of both sides cover."""
    boxes = [(positions[side].min(axis=0), positions[side].max(axis=0)) for side in (first, second)]
    low = np.maximum(boxes[0][0], boxes[1][0])
    high = np.minimum(boxes[0][1], boxes[1][1]) + frame_shape
    return float(np.clip(high - low, 0, None).prod())


def _halves(positions: Float64, frames: Index, count: int) -> tuple[Index, Index]:
    """The first ``count`` frames along the longer side of their bounding box, and the others."""
    extent = np.ptp(positions[frames], axis=0)
    order = _along(positions, frames, int(extent[1] > extent[0]))
    return order[:count], order[count:]


def _along(positions: Float64, frames: Index, axis: int) -> Index:
    return frames[np.argsort(positions[frames, axis], kind="stable")]


def _checked_cost(cost: npt.ArrayLike | None, frames: int) -> Float64 | None:
    if cost is None:
        return None
    work = np.array(cost, dtype=np.float64)
    if work.shape != (frames,) or not np.isfinite(work).all() or not (work > 0).all():
        raise InvalidArgument(
            f"cost has shape {work.shape}, but must be a finite number above 0 for each of the "
            f"{frames} frames."
        )
    return work
