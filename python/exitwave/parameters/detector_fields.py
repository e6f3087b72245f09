"""Types of the parameters of the detector, each named after its parameter."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator, StrictFloat

from exitwave.parameters.base import parameter


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


Background = Annotated[
    float | npt.NDArray[Any] | None,
    PlainValidator(_background),
    parameter(
        "None, a number of at least 0, or an array (Y, X) of such numbers",
        "Incoherent counts per pixel that each frame has beside those of the waves.",
        5.0,
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
