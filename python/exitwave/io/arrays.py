"""Positions, masks and start arrays: from the shapes and signs of files to our convention."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError
from exitwave.io.dataset import Bool, Complex64, Float64, Frames
from exitwave.io.options import Options

SIGNAL_BIT = 0x1000  # CXI: "has signal", the one bit of a mask that is no defect


def frame_count(data: Frames | Sequence[Frames]) -> int:
    """Number of frames in a stack, a raster, or several stacks."""
    stacks = data if isinstance(data, Sequence) else [data]
    return sum(math.prod(stack.shape[:-2]) for stack in stacks)


def points(array: npt.NDArray[Any], frames: int, transpose: bool | None, name: str) -> Float64:
    """Coordinates of frames, one row each, from (N, 2 or 3), (2 or 3, N) or a raster of them.

    Parameters
    ----------
    frames : int
        Number of frames, which tells rows from columns in scans of 2 or 3 frames.
    transpose : bool or None
        Whether the file has one row per axis; None finds out, and asks where it cannot.

    Raises
    ------
    FileFormatError
        The shape is no list of positions, or it can be read in both ways.
    """
    axes = (2, 3)
    if array.ndim == 3:
        by_axis = array.shape[-1] not in axes
        array = array.reshape((array.shape[0], -1) if by_axis else (-1, array.shape[-1]))
    if array.ndim != 2 or not (array.shape[0] in axes or array.shape[1] in axes):
        raise FileFormatError(
            f"{name} has shape {array.shape}, but positions are (N, 2), (N, 3), (2, N) or (3, N); "
            "name another dataset (option positions)."
        )
    if transpose is None:
        transpose = array.shape[0] in axes
        if transpose and array.shape[1] in axes:
            transpose = array.shape[1] == frames
            if transpose == (array.shape[0] == frames):
                raise FileFormatError(
                    f"{name} has shape {array.shape}, which can be read by rows or by columns; say "
                    "positions_transpose=False for one frame per row, True for one per column."
                )
    rows = array.T if transpose else array
    if rows.shape[1] not in axes:
        raise FileFormatError(
            f"{name} has shape {array.shape}, which positions_transpose={transpose} does not fit; "
            "leave the option out."
        )
    return np.ascontiguousarray(rows, dtype=np.float64)


def row_column(array: npt.NDArray[Any], frames: int, transpose: bool | None, name: str) -> Float64:
    """Positions that are (row, column) already; a third coordinate is refused."""
    found = points(array, frames, transpose, name)
    if found.shape[1] != 2:
        raise FileFormatError(
            f"{name} has {found.shape[1]} coordinates per frame, but must have row and column; "
            "name another dataset (option positions)."
        )
    return found


def nonzero(values: npt.NDArray[Any]) -> Bool:
    """Masks and weights that are non-zero where the pixel is valid."""
    return np.asarray(values != 0)


def cxi_ideal(values: npt.NDArray[Any]) -> Bool:
    """CXI masks: a pixel is valid where no bit but "has signal" is set."""
    if values.dtype.kind in "iu" and values.dtype.itemsize > 1:
        values = values & ~np.array(SIGNAL_BIT, values.dtype)
    return np.asarray(values == 0)


def common_mask(
    sources: Sequence[Frames],
    valid: Callable[[npt.NDArray[Any]], Bool],
    options: Options,
    notes: list[str],
) -> Bool:
    """One (Y, X) mask from (Y, X) or from masks per frame: the pixels valid in all of them.

    Parameters
    ----------
    sources : datasets or arrays, shape (Y, X) or (..., Y, X)
    valid : callable
        True where a stored value means that the pixel is valid; ``mask_invert`` turns it round.
    """
    name = getattr(sources[0], "name", "mask")
    every: Bool | None = None
    some: Bool | None = None
    for block in _mask_blocks(sources, name):
        good = valid(block) != options.mask_invert
        if every is None or some is None:
            every, some = np.ones(good.shape[1:], bool), np.zeros(good.shape[1:], bool)
        if good.shape[1:] != every.shape:
            raise FileFormatError(f"{name} changes its shape; name another one (option mask).")
        every &= good.all(axis=0)
        some |= good.any(axis=0)
    if every is None or some is None:
        raise FileFormatError(f"{name} is empty; name another one (option mask).")
    if (every != some).any():
        notes.append(
            f"{name} differs from frame to frame; only pixels that are valid in all frames are "
            "used."
        )
    return every


def _mask_blocks(sources: Sequence[Frames], name: str) -> Iterator[npt.NDArray[Any]]:
    """Blocks (n, Y, X) of some 8 MB, so that masks per frame are never in memory at once."""
    for source in sources:
        if source.ndim < 2 or source.dtype.kind not in "biuf":
            raise FileFormatError(
                f"{name} has shape {source.shape} and type {source.dtype}, but a mask is (Y, X) of "
                "numbers; name another one (option mask)."
            )
        step = max(1, (8 << 20) // max(1, source[0].nbytes)) if source.ndim > 2 else source.shape[0]
        for start in range(0, source.shape[0], max(1, step)):
            block = np.asarray(source[start : start + step])
            yield block[None] if source.ndim == 2 else block.reshape(-1, *block.shape[-2:])


def start_array(array: npt.NDArray[Any], name: str) -> Complex64:
    """Start probe or object as complex64; values that are not finite are refused."""
    if not np.isfinite(array).all():
        raise FileFormatError(
            f"{name} holds values that are not finite; repair the file or name another dataset."
        )
    return np.ascontiguousarray(array, dtype=np.complex64)
