"""The window of a probe: coordinates, soft edges, power, diameter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.errors import InvalidArgument

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]
Shape = tuple[int, int]


def coordinates(shape: Shape, pixel: checks.Pair) -> tuple[Float, Float]:
    """Coordinates (Y, 1) and (1, X), zero at (Y//2, X//2), in units of ``pixel``."""
    pixel_y, pixel_x = checks.pair("pixel", pixel)
    y = (np.arange(shape[0], dtype=np.float64) - shape[0] // 2) * pixel_y
    x = (np.arange(shape[1], dtype=np.float64) - shape[1] // 2) * pixel_x
    return y[:, None], x[None, :]


def diameter_m(
    probe: npt.NDArray[Any], pixel_size_m: checks.Pair = 1.0, fraction: float = 0.9
) -> float:
    """Diameter of the illumination; a uniform disc has its own.

    The circle around the centre of mass that holds ``fraction`` of the power (summed over modes),
    divided by sqrt(fraction). In pixels when ``pixel_size_m`` is 1.
    """
    checks.number("fraction", fraction, above=0, most=1)
    waves = checks.image("probe", probe, stack=True)
    density = (np.abs(waves) ** 2).reshape(-1, *waves.shape[-2:]).sum(axis=0)
    if not density.any():
        raise InvalidArgument("probe is zero everywhere, but must have power to have a diameter.")
    density /= density.sum()
    y, x = coordinates((density.shape[0], density.shape[1]), pixel_size_m)
    radius = np.hypot(y - np.sum(density * y), x - np.sum(density * x)).ravel()
    order = np.argsort(radius)
    within = np.cumsum(density.ravel()[order])
    index = min(int(np.searchsorted(within, fraction)), radius.size - 1)
    return float(2 * radius[order][index] / np.sqrt(fraction))


def grid(frame_shape: Shape, pixel_size_m: checks.Pair) -> tuple[tuple[float, float], float]:
    """Pixel (row, column) and the smaller side of the window, metres."""
    shape = checks.shape2("frame_shape", frame_shape)
    pixel = checks.pair("pixel_size_m", pixel_size_m)
    return pixel, min(n * p for n, p in zip(shape, pixel, strict=True))


def edge(inside: Float, width: float) -> Float:
    """0 to 1 over ``width`` around inside = 0, smooth."""
    t = np.clip(inside / width + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def disc(frame_shape: Shape, pixel: tuple[float, float], window: float, diameter_m: float) -> Float:
    diameter = checks.number("diameter_m", diameter_m, above=0)
    if diameter > window:
        raise InvalidArgument(
            f"diameter_m was {diameter:.3g}, but the window is {window:.3g} m: make it smaller."
        )
    y, x = coordinates(frame_shape, pixel)
    return edge(diameter / 2 - np.hypot(y, x), 2 * max(pixel))


def normalised(wave: Complex) -> Complex:
    return np.asarray(wave / np.sqrt(np.sum(np.abs(wave) ** 2)))
