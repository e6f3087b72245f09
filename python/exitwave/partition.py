"""How a scan is cut: into parts for lanes and devices, and into groups of frames for updates.

Both follow one spatial order of the frames, found by halving the scan again and again along its
longer side, so that neighbours in the order are neighbours in the scan.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# Scans are halved down to this many pieces; finer ones would only cost time.
_MOST_PIECES = 1 << 16


def split_in_parts(positions: Float64, parts: int) -> list[Index]:
    """Frames of each part: equal numbers, each part a compact piece of the scan.

    Recursive bisection along the longer side; an odd number of parts is cut in proportion.

    Parameters
    ----------
    positions : float64, shape (N, 2), pixels
    parts : int, 1 to N
    """

    def cut(frames: Index, count: int) -> list[Index]:
        if count == 1:
            return [frames]
        low = count // 2
        first, second = _halves(positions, frames, round(len(frames) * low / count))
        return cut(first, low) + cut(second, count - low)

    return cut(np.arange(len(positions)), parts)


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


def _halves(positions: Float64, frames: Index, count: int) -> tuple[Index, Index]:
    """The first ``count`` frames along the longer side of their bounding box, and the others."""
    extent = np.ptp(positions[frames], axis=0)
    axis = int(extent[1] > extent[0])
    order = frames[np.argsort(positions[frames, axis], kind="stable")]
    return order[:count], order[count:]
