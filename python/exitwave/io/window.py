"""Which detector pixels are kept: a window that may reach beyond the frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument

Shape = tuple[int, int]
Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Window:
    """``shape`` pixels from row and column ``start`` of frames of ``frame_shape``.

    Pixels outside the frames are 0 and invalid: counts are moved by whole pixels, never
    interpolated, and nothing wraps around.
    """

    frame_shape: Shape
    shape: Shape
    start: Shape

    @classmethod
    def around(
        cls, frame_shape: Shape, shape: Shape, centre: tuple[float, float] | None = None
    ) -> Window:
        """The window that has the pixel nearest to ``centre`` at ``shape // 2``.

        ``centre`` is (row, column) of the zero frequency; None: ``frame_shape // 2``.

        Raises
        ------
        InvalidArgument
            The centre lies outside the frames.
        """
        middle = tuple(n // 2 for n in frame_shape)
        if centre is not None:
            middle = tuple(int(np.floor(c + 0.5)) for c in centre)
            if any(not 0 <= c < n for c, n in zip(middle, frame_shape, strict=True)):
                raise InvalidArgument(
                    f"centre is {tuple(centre)}, but must lie inside the frames of {frame_shape}."
                )
        start = (middle[0] - shape[0] // 2, middle[1] - shape[1] // 2)
        return cls(frame_shape, shape, start)

    @property
    def whole(self) -> bool:
        """Whether it is the frame as it is."""
        return self.shape == self.frame_shape and self.start == (0, 0)

    @property
    def source(self) -> Slices:
        """Where in the frames the pixels come from."""
        rows, columns = (
            slice(max(start, 0), max(min(start + keep, size), 0))
            for start, keep, size in zip(self.start, self.shape, self.frame_shape, strict=True)
        )
        return rows, columns

    @property
    def target(self) -> Slices:
        """Where in the window they go."""
        rows, columns = (
            slice(part.start - start, part.stop - start)
            for part, start in zip(self.source, self.start, strict=True)
        )
        return rows, columns

    @property
    def pixels_outside(self) -> int:
        """Pixels of the window that no frame has."""
        rows, columns = self.target
        inside = len(range(self.shape[0])[rows]) * len(range(self.shape[1])[columns])
        return self.shape[0] * self.shape[1] - inside

    def placed(self, piece: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``frames[..., source]`` in the window, 0 (False) outside the frames."""
        if not self.pixels_outside:
            return piece
        result = np.zeros((*piece.shape[:-2], *self.shape), piece.dtype)
        result[(..., *self.target)] = piece
        return result

    def cut(self, frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Frames or images (..., Y, X) in the window, 0 outside."""
        return self.placed(frames[(..., *self.source)])

    def mask(self, mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
        """The mask in the window; None stays None where the window reaches nowhere outside."""
        if mask is None:
            if not self.pixels_outside:
                return None
            mask = np.ones(self.frame_shape, np.bool_)
        return self.cut(mask)
