"""Types of the parameters of the detector, each named after its parameter."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator, StrictFloat, StrictInt

from exitwave.parameters.base import parameter
from exitwave.parameters.geometry_fields import start, stop


def _background(value: Any) -> Any:
    if value is None:
        return None
    array = np.asarray(value)
    if isinstance(value, np.ndarray):
        if array.ndim != 2 or array.dtype.kind not in "uif":
            raise ValueError
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError
    return np.array(value) if isinstance(value, np.ndarray) else float(value)


# Of a point spread; along each axis.
_MOST_PIXELS = 31
_WIDEST_PX = 3.0


def _point_spread(value: Any) -> Any:
    if value is None:
        return None
    array = np.array(value)
    if array.dtype.kind not in "uif" or not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError
    if not array.any():
        raise ValueError
    if array.ndim == 2:
        if any(length % 2 == 0 or length > _MOST_PIXELS for length in array.shape):
            raise ValueError
        return array / array.sum()
    if array.shape not in ((), (2,)) or array.max() > _WIDEST_PX:
        raise ValueError
    return float(array) if array.ndim == 0 else (float(array[0]), float(array[1]))


Background = Annotated[
    float | npt.NDArray[Any] | None,
    PlainValidator(_background),
    parameter(
        "None, a number of at least 0, or an array (Y, X) of such numbers",
        "Incoherent counts per pixel that each frame has beside those of the waves.",
        5.0,
    ),
]
BackgroundStart = Annotated[StrictInt | None, start("the background of all frames")]
BackgroundStop = Annotated[StrictInt | None, stop("the background")]
BackgroundSmoothPx = Annotated[
    StrictFloat,
    parameter(
        "a number from 0 to 20, in pixels",
        "Standard deviation of the Gaussian that smooths the steps of a refined background, which "
        "so stays as smooth as it began; 0: each pixel on its own.",
        1.5,
        ge=0,
        le=20,
    ),
]
PointSpreadPx = Annotated[
    float | tuple[float, float] | npt.NDArray[np.float64] | None,
    PlainValidator(_point_spread),
    parameter(
        "None, a number above 0 and at most 3, a pair (row, column) of such numbers of which one "
        "may be 0, in pixels, or an array (Y, X) of odd lengths up to 31, nowhere negative",
        "What the detector makes of a point of light: standard deviation of a Gaussian, or its "
        "image. Intensities of the model are spread by it before they meet the counts.",
        0.8,
    ),
]
Saturation = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0",
        "Counts from here on stand for as many or more: such a pixel only pulls where the model "
        "is darker.",
        50.0,
        gt=0,
    ),
]
