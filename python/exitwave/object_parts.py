"""An object that is spread over ranks: what each has of it, and ways to put it together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exitwave.ranks import Ranks
from exitwave.start import Box, StartObject

Complex64 = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class ObjectParts:
    """What this rank has of an object.

    Attributes
    ----------
    ranks : Ranks
    box : (int, int, int, int)
        First row and column of this rank's array, and those after its last.
    tiles : list of boxes
        What its parts hold; the rest of the box is not up to date.
    start : StartObject
        Values of pixels that no part holds.
    gathered : bool or "all"
        Who has the whole object: the first rank, none, or all.
    """

    ranks: Ranks
    box: Box
    tiles: list[Box]
    start: StartObject
    gathered: bool | str

    @property
    def whole_here(self) -> bool:
        """Whether this rank has the whole object."""
        return self.gathered == "all" or (self.gathered is True and self.ranks.first)

    def gather(self, obj: Complex64) -> Complex64 | None:
        """The whole object (K S, A, B) on the ranks that shall have it, else None.

        Parameters
        ----------
        obj : complex64, shape (K S, rows, columns)
            What this rank has.
        """
        if self.gathered is False:
            return None
        whole = self.start.cut(grown=True) if self.ranks.first else None
        for (y0, x0, y1, x1), values in self.collect(obj):
            assert whole is not None
            whole[:, y0:y1, x0:x1] = values
        return self.ranks.spread(whole) if self.gathered == "all" else whole

    def collect(self, obj: Complex64) -> Iterator[tuple[Box, Complex64]]:
        """On the first rank the tiles of all parts, one after the other; elsewhere none."""
        y, x = self.box[:2]
        return self.ranks.collect(
            ((y0, x0, y1, x1), obj[..., y0 - y : y1 - y, x0 - x : x1 - x].copy())
            for y0, x0, y1, x1 in self.tiles
        )
