"""Dead, hot and unsteady pixels, from how each differs from its neighbours over the frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.prepare.statistics import PixelStatistics, pixel_statistics

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# A pattern that is sampled well enough for ptychography has grains of two pixels and more, so that
# a pixel is never this many times brighter than its third brightest neighbour.
_HOT = 4.0
# Nor this part of its third darkest one, in the mean over a scan.
_DEAD = 0.05
# Variance over mean of a pixel that does not count photons.
_STUCK = 0.2
# How many times the variance of the third most restless neighbour.
_RESTLESS = 10.0
# Standard deviations of the counting noise that a difference must exceed.
_SIGNIFICANT = 6.0
# Neighbours that may be bad too: a pixel is compared with the next one.
_RANK = 3
_FEWEST_FRAMES = 20
_ROWS = 256


@dataclass(frozen=True)
class BadPixels:
    """Pixels that should be masked, by what is wrong with them; each bool, shape (Y, X).

    Attributes
    ----------
    dead
        Far fewer counts than all neighbours.
    hot
        Far more counts than its neighbours.
    unsteady
        Stuck at a value, or far more restless than photons and neighbours are.
    unusable
        Negative values, or not finite ones.
    """

    dead: Mask
    hot: Mask
    unsteady: Mask
    unusable: Mask

    @property
    def any(self) -> Mask:
        """All of them."""
        return self.dead | self.hot | self.unsteady | self.unusable

    def __str__(self) -> str:
        kinds = ("dead", "hot", "unsteady", "unusable")
        found = [f"{int(getattr(self, k).sum())} {k}" for k in kinds if getattr(self, k).any()]
        return ", ".join(found) if found else "none"


def find_bad_pixels(data: Any, mask: Any = None) -> BadPixels:
    """Pixels of a detector that do not count photons, found from the frames alone.

    Each pixel is compared with the third brightest, darkest and most restless of its eight
    neighbours, so that groups of up to three bad pixels are found too. What the diffraction makes
    is smooth over neighbours, as long as it is sampled well enough to be reconstructed. Where a
    pixel is only slightly off, :func:`find_misfits` sees it after a reconstruction.

    Parameters
    ----------
    data : array or h5py.Dataset, shape (N, Y, X), or PixelStatistics
        Read once, in chunks.
    mask : bool, shape (Y, X), True = valid, or None
        Pixels that are known to be bad are neither reported nor compared with.

    Returns
    -------
    BadPixels
        ``mask & ~bad.any`` is the mask to use.

    Raises
    ------
    InvalidArgument
        The mask does not fit.
    FileFormatError
        The data are no stack of frames of real numbers.
    """
    known = data if isinstance(data, PixelStatistics) else pixel_statistics(data)
    shape = known.mean.shape
    valid = np.ones(shape, np.bool_) if mask is None else checks.mask("mask", mask, shape)
    unusable = valid & ~known.usable
    stuck = valid & known.usable & _stuck(known)
    valid = valid & known.usable & ~stuck
    # All in counts of a pixel over the whole scan, where the noise of a count is its root.
    counts = known.mean * known.frames
    low, high = _ranked_neighbours(counts, valid)
    hot = valid & (counts > _HOT * high + _SIGNIFICANT * np.sqrt(_HOT * high + 1))
    missing = _DEAD * low - counts
    dead = valid & (missing > 0) & (low > 2 * _SIGNIFICANT**2)
    wild = _restless(known, valid) & ~hot & ~dead
    return BadPixels(dead, hot & ~dead, stuck | wild, unusable)


def _stuck(known: PixelStatistics) -> Mask:
    """Whole numbers that vary far less over the frames than photons do."""
    if known.frames < _FEWEST_FRAMES or not known.whole:
        return np.zeros(known.mean.shape, np.bool_)
    seen = known.mean * known.frames > _SIGNIFICANT**2
    return np.asarray(seen & (known.variance < _STUCK * known.mean))


def _restless(known: PixelStatistics, valid: Mask) -> Mask:
    """Far more restless than photons and neighbours are."""
    if known.frames < _FEWEST_FRAMES:
        return np.zeros(valid.shape, np.bool_)
    _, neighbours = _ranked_neighbours(known.variance, valid)
    # The variance of few counts is itself uncertain: a photon in one frame is no sign.
    seen = known.mean * known.frames > _SIGNIFICANT**2
    wild = known.variance > _RESTLESS * np.maximum(neighbours, known.mean)
    return np.asarray(valid & seen & wild)


def _ranked_neighbours(values: Float, valid: Mask) -> tuple[Float, Float]:
    """Third smallest and third largest of the eight neighbours that are valid.

    Beside gaps and borders each neighbour that is missing takes its place in the rank, because a
    steep pattern may leave only dimmer ones; where there is none, the pixel's own value is given,
    which is then never conspicuous.
    """
    rows, columns = values.shape
    padded = np.pad(np.where(valid, values, np.nan), 1, constant_values=np.nan)
    low, high = np.empty_like(values), np.empty_like(values)
    for first in range(0, rows, _ROWS):
        last = min(first + _ROWS, rows)
        around = np.stack(
            [
                padded[first + i : last + i, j : j + columns]
                for i in range(3)
                for j in range(3)
                if (i, j) != (1, 1)
            ]
        )
        count = np.isfinite(around).sum(axis=0)
        around.sort(axis=0)  # NaN last
        rank = np.clip(count - (8 - _RANK), 1, None) - 1
        own = values[first:last]
        small = np.take_along_axis(around, rank[None], axis=0)[0]
        large = np.take_along_axis(around, np.clip(count - 1 - rank, 0, None)[None], axis=0)[0]
        low[first:last] = np.where(count > 0, small, own)
        high[first:last] = np.where(count > 0, large, own)
    return low, high
