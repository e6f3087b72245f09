"""Point spread of the detector: light that is counted in pixels around the one that it falls on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve

Float = npt.NDArray[np.float64]

# Where a Gaussian is cut off, in standard deviations: a millionth of its light is beyond.
_REACH = 5.0


def spread_passes(point_spread: Any) -> list[Float]:
    """Small images (Y, X) of odd lengths and sum 1, with which light is convolved one by one.

    Parameters
    ----------
    point_spread : None, float or (row, column), pixels, or array (Y, X)
        Standard deviation of a Gaussian, or what becomes of a point of light, of any sum.
    """
    if point_spread is None:
        return []
    if np.ndim(point_spread) == 2:
        image = np.asarray(point_spread, np.float64)
        return [image / image.sum()]
    row, column = np.broadcast_to(np.asarray(point_spread, np.float64), 2)
    profiles = _profile(float(row))[:, None], _profile(float(column))[None, :]
    return [profile for profile in profiles if profile.size > 1]


def passes_for_core(point_spread: Any) -> list[npt.NDArray[np.float32]]:
    """The same as the core takes them."""
    return [image.astype(np.float32) for image in spread_passes(point_spread)]


def spread(light: Float, point_spread: Any) -> Float:
    """What the detector counts of light (Y, X): what spreads beyond its edge is lost."""
    for image in spread_passes(point_spread):
        light = convolve(light, image, mode="constant")
    return light


def _profile(deviation_px: float) -> Float:
    """Of a Gaussian along one axis."""
    reach = math.ceil(_REACH * deviation_px)
    if reach == 0:
        return np.ones(1)
    profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation_px) ** 2)
    return np.asarray(profile / profile.sum())
