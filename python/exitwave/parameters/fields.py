"""Types of all parameters: allowed values, meaning, and an alternative for tests.

Each type is named after its parameter. What is allowed stands in ``expected`` in words (messages
and documentation use it) and in the constraints beside it (pydantic checks them). ``alternative``
is a valid value that differs from every default: a reconstruction that uses it must come out
different wherever ``changes_result`` is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)


def parameter(
    expected: str,
    meaning: str,
    alternative: Any,
    *,
    changes_result: bool = True,
    **constraints: Any,
) -> Any:
    """Field metadata: allowed values in words, meaning, alternative value, constraints."""
    extra = {
        "expected": expected,
        "alternative": alternative,
        "changes_result": changes_result,
    }
    return Field(description=meaning, json_schema_extra=extra, **constraints)


def plain(value: Any) -> Any:
    """NumPy scalars and 0-d arrays as Python numbers; everything else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def pair(value: Any) -> Any:
    """A list or short array of numbers as a tuple of Python numbers."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(plain(item) for item in value) if isinstance(value, list | tuple) else value


class Model(BaseModel):
    """Base of all parameter models: frozen, unknown keys refused, NumPy scalars accepted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: plain(value) for key, value in values.items()}


# --- supports ---------------------------------------------------------------------------------


def _support(value: Any) -> float | npt.NDArray[np.bool_] | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        if value.dtype != np.bool_ or value.ndim != 2 or not value.any():
            raise ValueError
        return np.array(value, order="C")
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value <= 1.5:
        raise ValueError
    return float(value)


Support = Annotated[float | npt.NDArray[np.bool_] | None, PlainValidator(_support)]
_SUPPORT = (
    "None, a radius above 0 and at most 1.5 as fraction of half the window, or a bool array "
    "(Y, X) with at least one True"
)


# --- all engines ------------------------------------------------------------------------------

Iterations = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1",
        "Iterations; in each of them all frames are used once.",
        7,
        ge=1,
    ),
]
ProbeStart = Annotated[
    StrictInt | None,
    parameter(
        "a whole number of at least 0, or None",
        "First iteration (from 0) that updates the probe; None: never.",
        3,
        ge=0,
    ),
]
ProbeEvery = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1", "The probe is updated every so many iterations.", 2, ge=1
    ),
]
ProbeModes = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1 and not below the present number of modes",
        "Incoherent probe modes from this engine on, split off the first one; None: as they are.",
        3,
        ge=1,
    ),
]
ObjectModes = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1 and not below the present number of modes",
        "Incoherent object modes from this engine on, split off the first one; None: as they are.",
        2,
        ge=1,
    ),
]
ObjectInertia = Annotated[
    StrictFloat,
    parameter(
        "a number from 0 to 1",
        "Added to the denominator of the object's update, as fraction of its maximum "
        "(ML: damping of the preconditioner).",
        0.3,
        ge=0,
        le=1,
    ),
]
ProbeInertia = Annotated[
    StrictFloat,
    parameter("a number from 0 to 1", "The same for the probe's update.", 0.3, ge=0, le=1),
]
ProbeSupport = Annotated[
    Support,
    parameter(_SUPPORT, "The probe is set to zero outside; None: no support.", 0.5),
]
ProbeFourierSupport = Annotated[
    Support,
    parameter(
        _SUPPORT,
        "The same for the probe's Fourier transform, zero frequency in the middle.",
        0.5,
    ),
]
ProbePower = Annotated[
    Literal["held", "free"],
    parameter(
        '"held" or "free"',
        '"held": the probe keeps its total power and the object takes the factor; "free": both '
        "as they come.",
        "free",
    ),
]


def _rising(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and not 0 <= value[0] <= value[1] > 0:
        raise ValueError
    return value


ObjectClip = Annotated[
    tuple[StrictFloat, StrictFloat] | None,
    BeforeValidator(pair),
    AfterValidator(_rising),
    parameter(
        "None, or (lowest, highest) with 0 <= lowest <= highest and highest above 0",
        "Limits of the object's amplitude.",
        (0.2, 0.7),
    ),
]
ProbeCentring = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Every so many iterations the probe's centre of mass is moved to the middle of the "
        "window, the object with it; far field only.",
        1,
        ge=1,
    ),
]

# --- some engines -----------------------------------------------------------------------------

PowerBound = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0",
        "Frames whose mean squared amplitude deviation per pixel is smaller are left alone, "
        "others are moved to it; 0.25 is the theory for Poisson counts.",
        0.25,
        gt=0,
    ),
]
Beta = Annotated[
    StrictFloat,
    parameter("a number above 0 and at most 1", "Relaxation.", 0.6, gt=0, le=1),
]
ObjectStep = Annotated[
    StrictFloat,
    parameter("a number above 0 and at most 2", "Factor on the object's update.", 0.6, gt=0, le=2),
]
ProbeStep = Annotated[
    StrictFloat,
    parameter("a number above 0 and at most 2", "Factor on the probe's update.", 0.3, gt=0, le=2),
]
GroupSize = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Frames per update of object and probe; None: chosen from the number of frames.",
        3,
        ge=1,
    ),
]
ObjectAlpha = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and at most 1",
        "Regularisation of the object's update; 1 is ePIE, smaller values speed up dim regions.",
        0.5,
        gt=0,
        le=1,
    ),
]
ProbeAlpha = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and at most 1", "The same for the probe's update.", 0.5, gt=0, le=1
    ),
]
Momentum = Annotated[
    StrictFloat,
    parameter(
        "a number of at least 0 and below 1",
        "Part of the velocity of the object that is kept from one momentum step to the next.",
        0.5,
        ge=0,
        lt=1,
    ),
]
MomentumPeriod = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1", "Updates from one momentum step to the next.", 2, ge=1
    ),
]
Noise = Annotated[
    Literal["poisson", "amplitude", "gaussian", "anscombe"],
    parameter(
        '"poisson", "amplitude", "gaussian" or "anscombe"',
        "Noise model, which gives the loss.",
        "gaussian",
    ),
]
Smoothness = Annotated[
    StrictFloat,
    parameter(
        "a number of at least 0",
        "Weight of the quadratic smoothness regulariser of the object; 0: off.",
        0.5,
        ge=0,
    ),
]

# --- propagation ------------------------------------------------------------------------------

WavelengthM = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and below 1e-3, in metres", "Wavelength in metres.", 1.2e-10, gt=0, lt=1e-3
    ),
]
DistanceM = Annotated[
    StrictFloat,
    parameter(
        "a number above 0, in metres",
        "Distance from the sample to the detector in metres.",
        0.6,
        gt=0,
    ),
]
FocusDistanceM = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0, in metres",
        "Diverging beam: distance from the focus to the sample in metres; None: parallel beam.",
        0.5,
        gt=0,
    ),
]


def _both_axes(value: Any) -> Any:
    value = pair(value)
    return value if isinstance(value, tuple) else (value, value)


def _lengths(value: tuple[float, float]) -> tuple[float, float]:
    if min(value) <= 0:
        raise ValueError
    return value


PixelSizeM = Annotated[
    tuple[StrictFloat, StrictFloat],
    BeforeValidator(_both_axes),
    AfterValidator(_lengths),
    parameter(
        "a number above 0 or a pair (row, column) of them, in metres",
        "Pixel of the object (row, column) in metres; one number: square pixels.",
        (2e-7, 2e-7),
    ),
]
Method = Annotated[
    Literal["angular_spectrum", "fresnel"],
    parameter(
        '"angular_spectrum" or "fresnel"',
        "Propagator: exact angular spectrum or Fresnel's approximation.",
        "fresnel",
    ),
]

# --- the call ---------------------------------------------------------------------------------

DEVICE_PATTERN = r"auto|cpu(:[1-9][0-9]*)?|emulated|cuda(:[0-9]+(,[0-9]+)*)?"


def _matching(pattern: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return check


Device = Annotated[
    str,
    PlainValidator(_matching(DEVICE_PATTERN)),
    parameter(
        '"auto", "cpu", "cpu:4" (threads), "emulated", "cuda" or "cuda:0,1"',
        'Where to compute; "auto": the best there is; "emulated": a test device with its own '
        "memory.",
        "emulated",
        changes_result=False,
    ),
]
Parts = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Parts that the scan is cut into; None: one per thread or device. Never changes the "
        "result beyond rounding.",
        3,
        changes_result=False,
        ge=1,
    ),
]
Batch = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Frames per step of a thread or stream; None: chosen. Tuning only, the result is the "
        "same to the bit.",
        2,
        changes_result=False,
        ge=1,
    ),
]
Seed = Annotated[
    StrictInt,
    parameter("a whole number of at least 0", "Seed of the order of the groups.", 1, ge=0),
]
ScaleStart = Annotated[
    StrictBool,
    parameter(
        "True or False",
        "The start probe is scaled to the mean measured power.",
        False,
    ),
]
Orthogonalise = Annotated[
    StrictBool,
    parameter(
        "True or False",
        "Probe modes of the result are orthogonal, the strongest first.",
        False,
    ),
]
Progress = Annotated[
    StrictBool | None,
    parameter(
        "True, False or None",
        "Progress bar; None: on a terminal only.",
        False,
        changes_result=False,
    ),
]
Callback = Annotated[
    Callable[..., Any] | None,
    parameter(
        "a function or None",
        "Called as callback(state) after every callback_every iterations; returning True stops "
        "the run.",
        None,
        changes_result=False,
    ),
]
CallbackEvery = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1",
        "Iterations from one callback to the next.",
        2,
        changes_result=False,
        ge=1,
    ),
]
