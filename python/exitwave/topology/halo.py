"""Which sums parts exchange: the exact pixels, for any partition, as the core's layout has them.

A part's *box* is the bounding box of its windows, its *core* the box of their centres, its *tile*
the box grown by one pixel within the object. A pixel that some window reaches is *owned* by the
first part whose core covers it, else by the first whose box does; every other part whose tile
covers it sends its sums there (``csrc/engines/layout.cpp``, ``partial_sums.hpp``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument
from exitwave.start import corners_and_fractions

Index = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# Rows of the object are looked at in bands of about so many pixels, so that memory stays small.
_BAND_PIXELS = 1 << 23


@dataclass(frozen=True)
class Halo:
    """Tiles of the parts, and how many pixels each sends to each other one.

    Attributes
    ----------
    object_shape : (int, int), pixels
    tiles : int64, shape (P, 4)
        First row and column, and those after the last.
    owned_pixels : int64, shape (P,)
    owner, sender, pixels : int64, shape (messages,)
        Part ``sender`` sends sums of ``pixels`` pixels to part ``owner``; ordered by owner, then
        by sender.
    """

    object_shape: tuple[int, int]
    tiles: Index
    owned_pixels: Index
    owner: Index
    sender: Index
    pixels: Index

    @property
    def tile_pixels(self) -> Index:
        """Pixels of each part's tile, shape (P,)."""
        size = self.tiles[:, 2:] - self.tiles[:, :2]
        return np.asarray(size.prod(axis=1))

    @property
    def reached_pixels(self) -> int:
        """Pixels that some window covers."""
        return int(self.owned_pixels.sum())

    def pixels_of_parts(self) -> tuple[Index, Index]:
        """Pixels that each part sends to owners, and that it receives as one, shape (P,) each."""
        parts = len(self.tiles)
        sent, received = (
            np.bincount(end, self.pixels, parts).astype(np.int64)
            for end in (self.sender, self.owner)
        )
        return sent, received


def find_halo(
    positions: Float64,
    parts: Sequence[Index],
    frame_shape: tuple[int, int],
    object_shape: tuple[int, int] | None = None,
) -> Halo:
    """Tiles of a partition, and the pixels that its parts exchange; exact, pixel by pixel.

    Parameters
    ----------
    positions : float64, shape (N, 2), pixels of the object
    parts : list of int64
        Frames of each part, at least one.
    frame_shape : (int, int), pixels
    object_shape : (int, int), pixels, or None
        None: the smallest that holds all windows, which may then begin anywhere.

    Raises
    ------
    InvalidArgument
        A part is empty, or a window leaves the object.
    """
    empty = [number for number, frames in enumerate(parts) if len(frames) == 0]
    if empty:
        raise InvalidArgument(f"parts has no frames in part {empty[0]}, but each must have one.")
    corner = corners_and_fractions(positions)[0].astype(np.int64)
    if object_shape is None:
        corner -= corner.min(axis=0)
        rows, columns = corner.max(axis=0) + frame_shape
        object_shape = (int(rows), int(columns))
    if (corner < 0).any() or (corner + frame_shape > object_shape).any():
        raise InvalidArgument(
            f"positions put a window outside the object of {object_shape[0]} x {object_shape[1]} "
            "pixels; give a larger object_shape, or None."
        )
    boxes = np.array(
        [(*corner[f].min(axis=0), *(corner[f].max(axis=0) + frame_shape)) for f in parts]
    )
    tiles = np.concatenate(
        [np.maximum(boxes[:, :2] - 1, 0), np.minimum(boxes[:, 2:] + 1, object_shape)], axis=1
    )
    counts: dict[tuple[int, int], int] = {}
    for band in _bands(object_shape):
        runs = _owner_runs(corner, boxes, frame_shape, band, object_shape[1])
        _count_pixels(runs, tiles, band, counts)
    owned = np.zeros(len(boxes), dtype=np.int64)
    for (owner, sender), pixels in counts.items():
        if owner == sender:
            owned[owner] = pixels
    messages = sorted((*pair, pixels) for pair, pixels in counts.items() if pair[0] != pair[1])
    table = np.array(messages, dtype=np.int64).reshape(-1, 3)
    return Halo(object_shape, tiles, owned, table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True)
class _Runs:
    """Pixels of a band with one owner that follow each other in a row; in the order of rows."""

    first_of_row: Index  # (rows + 1,)
    begin: Index
    end: Index
    owner: Index


def _bands(object_shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    rows = max(1, _BAND_PIXELS // object_shape[1])
    for first in range(0, object_shape[0], rows):
        yield first, min(first + rows, object_shape[0])


def _owner_runs(
    corner: Index, boxes: Index, frame_shape: tuple[int, int], band: tuple[int, int], columns: int
) -> _Runs:
    first, last = band
    shape = (last - first, columns)
    owner = np.full(shape, -1, dtype=np.int16 if len(boxes) < 1 << 15 else np.int32)
    half = np.array(frame_shape) // 2
    cores = np.concatenate([boxes[:, :2] + half, boxes[:, 2:] - (frame_shape - half)], axis=1)
    # What counts first is painted last: cores, the first part's on top.
    near = np.flatnonzero((boxes[:, 0] < last) & (boxes[:, 2] > first))[::-1]
    for rects in (boxes, cores):
        for part in near:
            y0, x0, y1, x1 = rects[part]
            if y1 > y0 and x1 > x0:
                owner[max(y0 - first, 0) : max(y1 - first, 0), x0:x1] = part
    owner[~_reached(corner, frame_shape, band, columns)] = -1
    # A run begins where the owner changes, and in the first column.
    change = np.ones(shape, dtype=bool)
    change[:, 1:] = owner[:, 1:] != owner[:, :-1]
    row, begin = np.nonzero(change)
    end = np.append(begin[1:], 0)
    end[end == 0] = columns
    of_run = owner[row, begin]
    used = of_run >= 0
    first_of_row = np.searchsorted(row[used], np.arange(shape[0] + 1))
    return _Runs(first_of_row, begin[used], end[used], of_run[used].astype(np.int64))


def _reached(
    corner: Index, frame_shape: tuple[int, int], band: tuple[int, int], columns: int
) -> npt.NDArray[np.bool_]:
    """Pixels of the band that some window covers."""
    first, last = band
    near = corner[(corner[:, 0] < last) & (corner[:, 0] + frame_shape[0] > first)]
    y0 = np.maximum(near[:, 0] - first, 0)
    y1 = np.minimum(near[:, 0] + frame_shape[0] - first, last - first)
    x0, x1 = near[:, 1], near[:, 1] + frame_shape[1]
    # Corners of the windows, summed along both axes, give how many cover a pixel.
    edge = np.zeros((last - first + 1, columns + 1), dtype=np.int32)
    for y, x, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
        np.add.at(edge, (y, x), sign)
    np.cumsum(edge, axis=0, out=edge)
    np.cumsum(edge, axis=1, out=edge)
    return np.asarray(edge[:-1, :-1] > 0)


def _count_pixels(
    runs: _Runs, tiles: Index, band: tuple[int, int], counts: dict[tuple[int, int], int]
) -> None:
    """Adds, for each tile, its pixels of each owner."""
    first, last = band
    for sender, (y0, x0, y1, x1) in enumerate(tiles):
        if y0 >= last or y1 <= first:
            continue
        inside = slice(
            runs.first_of_row[max(y0 - first, 0)],
            runs.first_of_row[min(y1, last) - first],
        )
        begin, end = np.maximum(runs.begin[inside], x0), np.minimum(runs.end[inside], x1)
        seen = end > begin
        owners, which = np.unique(runs.owner[inside][seen], return_inverse=True)
        pixels = np.bincount(which, (end - begin)[seen])
        for owner, count in zip(owners.tolist(), pixels.tolist(), strict=True):
            counts[owner, sender] = counts.get((owner, sender), 0) + round(count)
