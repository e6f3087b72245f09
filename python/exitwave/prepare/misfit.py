"""Bad pixels from the likelihood map: where counts and a reconstruction's model disagree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.ndimage import median_filter

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.metrics import result_intensities
from exitwave.result import Result

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Above this the deviance has its limit, a chi-squared variable: mean 1, variance 2.
_BRIGHT = 200.0


@dataclass(frozen=True)
class Misfit:
    """Likelihood map of a model.

    Attributes
    ----------
    deviance : float64, shape (Y, X)
        ``sum_j 2 [I ln(I / m) - (I - m)]`` over its expectation for Poisson counts: 1 where the
        model is right, 0 at invalid pixels.
    bad : bool, shape (Y, X)
    """

    deviance: Float
    bad: Mask


def find_misfits(
    data: Any,
    model: Result | Iterable[npt.NDArray[Any]],
    mask: Any = None,
    *,
    factor: float = 5.0,
    significance: float = 8.0,
) -> Misfit:
    """Pixels whose misfit over all frames is far outside Poisson and that of their surroundings.

    A pixel is bad where its deviance exceeds ``factor`` times its expectation and ``factor`` times
    the median of the 7 x 7 pixels around it (a model that has not converged misfits everywhere),
    by ``significance`` standard deviations.

    Parameters
    ----------
    data : array or h5py.Dataset, shape (N, Y, X)
        Counts, read frame by frame.
    model : Result, or intensities (N, Y, X), or an iterable of them
        A reconstruction of these data, with its background, intensities of frames and refined
        distance, or what :func:`exitwave.metrics.model_intensities` yields.
    mask : bool, shape (Y, X), True = valid, or None
    factor, significance : float

    Returns
    -------
    Misfit
        ``mask & ~misfit.bad`` is the mask to use.

    Raises
    ------
    InvalidArgument
        Shapes do not fit, or data have negative or undefined counts at valid pixels.
    """
    checks.number("factor", factor, above=1)
    checks.number("significance", significance, above=0)
    shape = (int(data.shape[1]), int(data.shape[2]))
    valid = np.ones(shape, np.bool_) if mask is None else checks.mask("mask", mask, shape)
    deviance, expected, variance = (np.zeros(shape) for _ in range(3))
    frames = 0
    for frames, intensity in enumerate(_intensities(model), start=1):
        if frames > len(data) or np.shape(intensity) != shape:
            raise InvalidArgument(
                f"model has {frames} or more frames of {np.shape(intensity)}, but data have shape "
                f"{tuple(data.shape)}; give a model of these data."
            )
        counts = np.asarray(data[frames - 1], np.float64)[valid]
        if not (counts >= 0).all():
            raise InvalidArgument(
                f"data had negative or undefined counts in frame {frames - 1}: mask those pixels."
            )
        light = np.maximum(np.asarray(intensity, np.float64)[valid], 1e-12)
        deviance[valid] += 2 * (special.xlogy(counts, counts / light) - (counts - light))
        mean, spread = _expectation(light)
        expected[valid] += mean
        variance[valid] += spread
    if frames != len(data):
        raise InvalidArgument(
            f"model has {frames} frames, but data have {len(data)}; give a model of these data."
        )
    ratio = np.where(valid, deviance / np.where(valid, expected, 1.0), 0.0)
    allowed = factor * np.maximum(_surroundings(ratio, valid), 1.0) * expected
    bad = valid & (deviance > allowed + significance * np.sqrt(variance))
    return Misfit(ratio, bad)


def _intensities(model: Result | Iterable[npt.NDArray[Any]]) -> Iterable[npt.NDArray[Any]]:
    return result_intensities(model) if isinstance(model, Result) else model


def _expectation(light: Float) -> tuple[Float, Float]:
    """Mean and variance of the deviance of a Poisson count of that mean."""
    grid, means, variances = _table()
    logarithm = np.log(light)
    mean = np.interp(logarithm, grid, means)
    # Below the table the deviance is 2 m without a count, 2 ln(1 / m) + ... with one: m of them.
    dark = light < np.exp(grid[0])
    mean = np.where(dark, 2 * light * (1 - logarithm) - 2 * light, mean)
    spread = np.interp(logarithm, grid, variances)
    return mean, np.where(dark, 4 * light * logarithm**2, spread)


@cache
def _table() -> tuple[Float, Float, Float]:
    """ln(mean), and mean and variance of the deviance there."""
    light = np.geomspace(1e-4, _BRIGHT, 400)
    counts = np.arange(_BRIGHT + 12 * np.sqrt(_BRIGHT) + 30)
    mean = light[:, None]
    chance = np.exp(special.xlogy(counts, mean) - mean - special.gammaln(counts + 1))
    deviance = 2 * (special.xlogy(counts, counts / mean) - (counts - mean))
    means = (chance * deviance).sum(axis=1)
    variances = (chance * deviance**2).sum(axis=1) - means**2
    return np.log(light), means, variances


def _surroundings(ratio: Float, valid: Mask) -> Float:
    """Median of the 7 x 7 around each pixel, in which invalid ones count as ordinary."""
    return np.asarray(median_filter(np.where(valid, ratio, np.median(ratio[valid])), size=7))
