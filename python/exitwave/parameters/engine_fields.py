"""Types of the parameters of engines, each named after its parameter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StrictFloat,
    StrictInt,
)

from exitwave.parameters.base import pair, parameter
from exitwave.parameters.geometry_fields import start, stop

# --- supports ---------------------------------------------------------------------------------


def _support(value: Any) -> float | npt.NDArray[np.bool_] | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        if value.dtype != np.bool_ or value.ndim != 2 or not value.any():
            raise ValueError
        return np.array(value, order="C")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1.5:
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

PositionStart = Annotated[StrictInt | None, start("positions")]
PositionStop = Annotated[StrictInt | None, stop("the positions")]
PositionEvery = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1",
        "Positions are refined every so many iterations.",
        2,
        ge=1,
    ),
]
PositionStep = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and at most 10",
        "Factor on the move that takes most of a frame's residual away.",
        0.5,
        gt=0,
        le=10,
    ),
]
PositionMaxStepPx = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0, in pixels",
        "Longest move of a frame at a time; None: 1, or position_search_px where that is more.",
        0.02,
        gt=0,
    ),
]
PositionSearchPx = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0, in pixels",
        "How far around each frame to look for a place where it agrees better with the model, at "
        "first; the distance shrinks as frames come to rest. None: positions follow the gradient.",
        0.5,
        gt=0,
    ),
]
PositionLimitPx = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and at most 1000, in pixels",
        "Farthest that a frame may get from its given position along each axis; an object that is "
        "made for the run is larger by this on all sides.",
        0.05,
        gt=0,
        le=1000,
    ),
]
PositionAffine = Annotated[
    StrictFloat,
    parameter(
        "a number from 0 to 1",
        "Pull towards the affine map (scale, shear, rotation) of the given positions that fits the "
        "present ones best; 0: each frame on its own, 1: only the map.",
        0.5,
        ge=0,
        le=1,
    ),
]

PositiveNumber = Annotated[StrictFloat, Field(gt=0)]

# --- some engines -----------------------------------------------------------------------------

PowerBound = Annotated[
    PositiveNumber | Literal["poisson"] | None,
    parameter(
        'None, "poisson", or a number above 0',
        "Frames whose mean squared amplitude deviation per pixel is smaller are left alone, "
        'others are moved to it; "poisson": somewhat less than counting noise leaves (about 1/4), '
        "off where the data are not whole numbers.",
        0.25,
    ),
]
ExitWaveStorage = Annotated[
    Literal["single", "half"],
    parameter(
        '"single" or "half"',
        "Precision in which exit waves are kept between iterations; half takes half the memory and "
        "leaves the last digits of single.",
        "half",
        slight=True,
    ),
]
Beta = Annotated[
    StrictFloat,
    parameter("a number above 0 and at most 1", "Relaxation.", 0.6, gt=0, le=1),
]
Slices = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Slices of a thick object from this engine on, split or merged with the total phase kept; "
        "None: as they are.",
        3,
        ge=1,
    ),
]
SliceSmoothness = Annotated[
    StrictFloat,
    parameter(
        "a number of at least 0",
        "Pull of each slice of a thick object towards its neighbours at the end of each iteration: "
        "weight of their squared differences against its squared change; 0: off.",
        0.5,
        ge=0,
    ),
]
ObjectStep = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and at most 2",
        "Factor on the object's update; slices share it, so each takes this divided by their "
        "number.",
        0.6,
        gt=0,
        le=2,
    ),
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
        "Part of the velocity of the object (LSQML: and the probe) that is kept from one momentum "
        "step to the next.",
        0.6,
        ge=0,
        lt=1,
    ),
]
MomentumPeriod = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Updates from one momentum step to the next; None: one step per iteration.",
        2,
        ge=1,
    ),
]
IntensityStart = Annotated[StrictInt | None, start("the intensity of each frame")]
IntensityStop = Annotated[StrictInt | None, stop("the intensities")]
Noise = Annotated[
    Literal["poisson", "amplitude", "gaussian", "anscombe"],
    parameter(
        '"poisson", "amplitude", "gaussian" or "anscombe"',
        "Noise model, which gives the loss.",
        "gaussian",
    ),
]
Direction = Annotated[
    Literal["conjugate", "lbfgs"],
    parameter(
        '"conjugate" or "lbfgs"',
        "How the direction of each step comes from the gradients: conjugate to the one before "
        "(Polak-Ribiere), or by L-BFGS from the last pairs of steps and changes of the gradient.",
        "lbfgs",
    ),
]
History = Annotated[
    StrictInt,
    parameter(
        "a whole number from 1 to 20",
        "Pairs of steps and changes of the gradient that L-BFGS keeps; each takes the memory of "
        "two objects.",
        2,
        ge=1,
        le=20,
    ),
]
