"""How good a reconstruction is: errors free of the gauge, Fourier ring correlation, likelihoods.

All are double precision and independent of the compiled core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.alignment import Alignment, Region, align, as_region, fit_gauge
from exitwave.errors import InvalidArgument
from exitwave.propagate import split_position

__all__ = ["Alignment", "align", "relative_error", "scan_region"]

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def relative_error(
    image: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    region: Region = None,
    align: bool = True,
) -> float:
    """norm(image - reference) / norm(reference) in the region, free of the gauge.

    Parameters
    ----------
    image, reference : complex, shape (A, B) or (K, A, B)
    region : bool, shape (A, B), or two slices, or None
        None: the middle three quarters of each axis; see :func:`scan_region`.
    align : bool
        Remove factor, phase ramp and sub-pixel shift first, see :func:`align`.

    Raises
    ------
    InvalidArgument
        As :func:`align`.
    """
    if align:
        return fit_gauge(image, reference, region).error
    if np.shape(image) != np.shape(reference):
        raise InvalidArgument(
            f"image had shape {np.shape(image)} and reference {np.shape(reference)}, "
            "but both must be the same."
        )
    first = checks.image("image", image, stack=True)
    second = checks.image("reference", reference, stack=True)
    inside = as_region(region, (second.shape[-2], second.shape[-1]))
    norm = np.linalg.norm(second[..., inside])
    if norm == 0:
        raise InvalidArgument("reference was zero in the whole region, but must have content.")
    return float(np.linalg.norm(first[..., inside] - second[..., inside]) / norm)


def scan_region(
    positions_px: npt.ArrayLike,
    frame_shape: tuple[int, int],
    object_shape: tuple[int, int],
    probe: npt.NDArray[Any] | None = None,
    fraction: float = 0.5,
) -> Mask:
    """Well-illuminated part of the object.

    With a probe: pixels where the intensity of all probes together exceeds ``fraction`` of its
    mean over the rectangle around the windows' centres. Without: that rectangle.

    Parameters
    ----------
    positions_px : (N, 2)
        (row, column) of each window's top-left corner in the object.
    frame_shape : (Y, X)
    object_shape : (A, B)
    probe : complex, shape (Y, X) or (M, Y, X), or None
    fraction : float

    Returns
    -------
    bool, shape (A, B)

    Raises
    ------
    InvalidArgument
        A window lies outside the object, or shapes do not fit.
    """
    points = checks.positions("positions_px", positions_px)
    shape = checks.shape2("frame_shape", frame_shape, least=1)
    size = checks.shape2("object_shape", object_shape, least=1)
    corners = split_position(points)[0]
    if corners.min() < 0 or (corners.max(axis=0) + shape > np.array(size)).any():
        raise InvalidArgument(
            f"positions_px reach from {corners.min(axis=0).tolist()} to "
            f"{(corners.max(axis=0) + shape).tolist()}, but the object is {size}: enlarge it."
        )
    centres = np.zeros(size, dtype=bool)
    first, last = (
        corners.min(axis=0) + np.array(shape) // 2,
        corners.max(axis=0) + np.array(shape) // 2,
    )
    centres[first[0] : last[0] + 1, first[1] : last[1] + 1] = True
    if probe is None:
        return centres
    total = illumination(points, probe, size)
    checks.number("fraction", fraction, above=0)
    return np.asarray(total > fraction * total[centres].mean())


def illumination(
    positions_px: npt.ArrayLike, probe: npt.NDArray[Any], object_shape: tuple[int, int]
) -> Float:
    """Intensity (A, B) of all probes together, at whole-pixel positions."""
    waves = checks.image("probe", probe, stack=True)
    intensity = (np.abs(waves) ** 2).reshape(-1, *waves.shape[-2:]).sum(axis=0, dtype=np.float64)
    rows, columns = intensity.shape
    total = np.zeros(object_shape)
    for row, column in split_position(checks.positions("positions_px", positions_px))[0]:
        total[row : row + rows, column : column + columns] += intensity
    return total
