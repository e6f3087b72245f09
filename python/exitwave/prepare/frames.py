"""Crop, pad and bin of frames, with their mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.io.frames import FrameReader, select
from exitwave.io.window import Window

Frames = Any
Mask = npt.NDArray[np.bool_]


def cut_frames(
    data: Any,
    shape: int | tuple[int, int] | None = None,
    centre: tuple[float, float] | None = None,
    mask: Any = None,
) -> tuple[Frames, Mask | None]:
    """Crop or pad frames around a centre, by whole pixels.

    Counts keep their type and are never interpolated. Pixels beyond the frames are 0 and invalid.

    Parameters
    ----------
    data : array or h5py.Dataset, shape (N, Y, X)
        Read in chunks; returned as it is where nothing is to be done.
    shape : int or (Y, X), or None
        Of the new frames, smaller or larger; None: as before.
    centre : (row, column), or None
        Zero frequency, such as from :func:`find_centre`; the pixel nearest to it goes to
        ``(Y // 2, X // 2)``. None: it is there already.
    mask : bool, shape (Y, X), True = valid, or None

    Returns
    -------
    data, mask
        Mask is None where it was and no pixel is invalid.

    Raises
    ------
    InvalidArgument
        The centre lies outside the frames, or a number is wrong.
    """
    reader = FrameReader(data)
    if mask is not None:
        mask = checks.mask("mask", mask, reader.frame_shape)
    wanted = reader.frame_shape if shape is None else checks.shape2("shape", shape, least=2)
    window = Window.around(reader.frame_shape, wanted, centre)
    return select(reader, mask, range(reader.count), window, 1)


def bin_frames(data: Any, bin: int, mask: Any = None) -> tuple[Frames, Mask | None]:
    """Add up ``bin`` by ``bin`` pixels of each frame.

    Parameters
    ----------
    data : array or h5py.Dataset, shape (N, Y, X)
        Read in chunks.
    bin : int
        Must divide Y and X; :func:`cut_frames` makes it so.
    mask : bool, shape (Y, X), True = valid, or None

    Returns
    -------
    data, mask
        Sums in an unsigned type that holds them (float32 for floats); a binned pixel is valid where
        all of its pixels are, and 0 where it is not.

    Raises
    ------
    InvalidArgument
        ``bin`` does not divide the frames.
    FileFormatError
        Valid counts are negative, or a sum exceeds 32 bits.
    """
    reader = FrameReader(data)
    if mask is not None:
        mask = checks.mask("mask", mask, reader.frame_shape)
    window = Window.around(reader.frame_shape, reader.frame_shape)
    return select(reader, mask, range(reader.count), window, checks.whole("bin", bin))
