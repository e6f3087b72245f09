"""Types of parameters that say what is known of object and probe, named after them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator, StrictFloat, StrictInt

from exitwave.parameters.base import parameter
from exitwave.parameters.geometry_fields import start, stop

_STRENGTH = "a number of at least 0"
_UNIT = "in units of the mean illumination; 0: off."


def _strength(meaning: str, alternative: float) -> Any:
    return parameter(_STRENGTH, f"{meaning}, {_UNIT}", alternative, ge=0)


Smoothness = Annotated[
    StrictFloat, _strength("Weight of the squared differences of neighbouring object pixels", 0.5)
]
ObjectTv = Annotated[StrictFloat, _strength("Weight of the object's total variation", 0.05)]
ObjectL1 = Annotated[
    StrictFloat,
    _strength("Weight of what the object differs from the empty one by, absolute", 0.05),
]
ObjectReweightedL1 = Annotated[
    StrictFloat,
    _strength("The same, weaker the larger the difference is (reweighted L1)", 0.05),
]
ObjectL2 = Annotated[StrictFloat, _strength("The same, squared", 0.2)]
ObjectPriorOf = Annotated[
    Literal["object", "phase"],
    parameter(
        '"object" or "phase"',
        "What smoothness, object_tv, object_l1, object_reweighted_l1 and object_l2 look at: the "
        "complex object, empty where it is 1, or its phase, empty where that is 0.",
        "phase",
    ),
]
ObjectPositivity = Annotated[
    Literal["real", "phase", "negative_phase"] | None,
    parameter(
        'None, "real", "phase" or "negative_phase"',
        "What is never below zero: the object's real part, its phase (electrons), or minus its "
        "phase (X-rays); pixels are set to zero there.",
        "phase",
    ),
]
ObjectKappa = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number from -10 to 10",
        "Objects of one material: log amplitude over phase, the same everywhere; for X-rays beta "
        "over delta.",
        0.2,
        ge=-10,
        le=10,
    ),
]


KappaStart = Annotated[StrictInt | None, start("object_kappa", " Its start is the value given.")]
KappaStop = Annotated[StrictInt | None, stop("object_kappa")]
ObjectBlurPx = Annotated[
    StrictFloat,
    parameter(
        "a number from 0 to 4, in pixels",
        "Width (standard deviation) of a Gaussian that smooths the object at the end of each "
        "iteration; 0: off.",
        0.5,
        ge=0,
        le=4,
    ),
]
ConstraintEvery = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1",
        "object_clip, object_positivity, object_kappa, object_flat, object_blur_px and the "
        "smoothness of probe and slices act at the end of every so many iterations; with engines "
        "other than ML the weights of what is known of the object too.",
        2,
        ge=1,
    ),
]


def _flat(value: Any) -> float | npt.NDArray[np.bool_] | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        if value.dtype != np.bool_ or value.ndim != 2 or not value.any():
            raise ValueError
        return np.array(value, order="C")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise ValueError
    return float(value)


ObjectFlat = Annotated[
    float | npt.NDArray[np.bool_] | None,
    PlainValidator(_flat),
    parameter(
        "None, an amplitude above 0, or a bool array (A, B) with at least one True",
        "Where the object is empty: in this region, or wherever it is at least so bright, it is "
        "set to its mean there.",
        0.9,
    ),
]
ProbeSmoothness = Annotated[
    StrictFloat,
    parameter(
        _STRENGTH,
        "Weight of the squared differences of neighbouring probe pixels, as a step at the end of "
        "each iteration; 0: off.",
        0.1,
        ge=0,
    ),
]
