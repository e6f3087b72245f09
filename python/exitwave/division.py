"""How a run is divided: parts of the scan over ranks and lanes, and where all of it lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import partition, start
from exitwave.devices import Lanes
from exitwave.ranks import ALONE, Ranks

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Division:
    """Parts of a scan. Each rank has the same number of them; they follow each other.

    Attributes
    ----------
    ranks : Ranks
    lanes : Lanes
        Of this rank, and its number of parts.
    positions : float64, shape (N, 2), pixels of the object
    object_shape, frame_shape : (int, int)
    parts : list of int64 arrays
        Frames of each part, of all ranks.
    margin_px : int
        By which windows may move, on all sides.
    """

    ranks: Ranks
    lanes: Lanes
    positions: npt.NDArray[np.float64]
    object_shape: tuple[int, int]
    frame_shape: tuple[int, int]
    parts: list[Index]
    margin_px: int = 0

    @property
    def held_parts(self) -> range:
        """Parts of this rank."""
        first = self.ranks.rank * self.lanes.parts
        return range(first, first + self.lanes.parts)

    @cached_property
    def box(self) -> start.Box:
        """The part of the object that this rank's arrays hold; without other ranks all of it."""
        rows, columns = self.object_shape
        if self.held_frames is None:
            return 0, 0, rows, columns
        corner, _ = start.corners_and_fractions(self.positions[self.held_frames])
        # One pixel more than the windows reach, as the core's tiles.
        more = self.margin_px + 1
        y0, x0 = np.maximum(corner.min(axis=0) - more, 0)
        y1, x1 = np.minimum(corner.max(axis=0) + self.frame_shape + more, self.object_shape)
        return int(y0), int(x0), int(y1), int(x1)

    @cached_property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Pixels of ``box`` that some frame reaches, or may reach, (rows, columns) bool."""
        y0, x0, y1, x1 = self.box
        reached = np.zeros((y1 - y0, x1 - x0), bool)
        corner, _ = start.corners_and_fractions(self.positions)
        first = np.maximum(corner - self.margin_px - (y0, x0), 0)
        end = np.maximum(corner + self.frame_shape + self.margin_px - (y0, x0), 0)
        for (top, left), (bottom, right) in zip(first, end, strict=True):
            reached[top:bottom, left:right] = True
        return reached

    @cached_property
    def held_frames(self) -> Index | None:
        """Frames of this rank, in order; None: all."""
        if self.ranks.size == 1:
            return None
        return np.sort(np.concatenate([self.parts[part] for part in self.held_parts]))


def divide(
    obj: Any,
    pos: Any,
    frames: int,
    frame_shape: tuple[int, int],
    lanes: Lanes,
    ranks: Ranks = ALONE,
    margin_px: int = 0,
) -> Division:
    """Cut a scan into the parts of all ranks; outer cuts are between ranks.

    Raises
    ------
    InvalidArgument
        Positions do not fit the frames, or put a window outside the object.
    """
    positions = start.checked_positions(pos, frames)
    shape, positions = start.placed(obj, positions, frame_shape, margin_px)
    parts = partition.split_in_parts(
        positions,
        lanes.parts * ranks.size,
        frame_shape=frame_shape,
        together=() if ranks.size == 1 else (lanes.parts,),
    )
    return Division(ranks, lanes, positions, shape, frame_shape, parts, margin_px)
