"""What one look at all frames tells of each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.io.frames import FrameReader

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PixelStatistics:
    """Counts of each pixel over the frames.

    Attributes
    ----------
    frames : int
    mean, variance : float64, shape (Y, X)
        Over the frames; 0 where ``usable`` is False.
    usable : bool, shape (Y, X)
        False where a frame holds a value that is negative or not finite.
    whole : bool
        Whether the values are integers, which can be tested against Poisson's statistics.
    """

    frames: int
    mean: Float
    variance: Float
    usable: npt.NDArray[np.bool_]
    whole: bool


def pixel_statistics(data: Any, frames: range | None = None) -> PixelStatistics:
    """Mean and variance of each pixel over the frames, read in chunks.

    Parameters
    ----------
    data : array or h5py.Dataset, shape (N, Y, X), or FrameReader
    frames : range or None
        Some of the frames; None: all.

    Raises
    ------
    FileFormatError
        The data are no stack of frames of real numbers, or cannot be read.
    """
    reader = data if isinstance(data, FrameReader) else FrameReader(data)
    wanted = range(reader.count) if frames is None else frames
    total = np.zeros(reader.frame_shape)
    squares = np.zeros(reader.frame_shape)
    usable = np.ones(reader.frame_shape, np.bool_)
    for block in reader.blocks(wanted):
        if block.dtype.kind != "u":
            good = np.isfinite(block) & (block >= 0)
            usable &= good.all(axis=0)
            block = np.where(good, block, 0)
        for frame in block:
            counts = frame.astype(np.float64)
            total += counts
            squares += counts * counts
    count = len(wanted)
    mean = np.where(usable, total / count, 0.0)
    variance = np.where(usable, np.maximum(squares / count - mean**2, 0), 0.0)
    if count > 1:
        variance *= count / (count - 1)
    return PixelStatistics(count, mean, variance, usable, reader.dtype.kind in "ui")
