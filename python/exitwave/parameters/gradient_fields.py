"""Types of the parameters of the gradient engine, each named after its parameter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StrictFloat, StrictInt

from exitwave.parameters.base import parameter

_OPTIMISER = '"adam", "momentum" or "sgd"'
_RATE = "None, or a number above 0 and at most 100"
_SCHEDULE = '"constant", "cosine" or "exponential"'
_STOP = "None, or a whole number of at least 0"

ObjectOptimiser = Annotated[
    Literal["adam", "momentum", "sgd"],
    parameter(_OPTIMISER, "What makes steps of the object out of its gradients.", "momentum"),
]
ProbeOptimiser = Annotated[
    Literal["adam", "momentum", "sgd"],
    parameter(_OPTIMISER, "The same for the probe.", "sgd"),
]
ObjectRate = Annotated[
    StrictFloat | None,
    parameter(
        _RATE,
        'Size of the object\'s steps: with "adam" the largest, in rms amplitudes of the object, '
        "else a factor on the step that would be right if it were alone; None: 0.1 or 1.",
        0.02,
        gt=0,
        le=100,
    ),
]
ProbeRate = Annotated[
    StrictFloat | None,
    parameter(_RATE, "The same for the probe.", 0.02, gt=0, le=100),
]
ObjectSchedule = Annotated[
    Literal["constant", "cosine", "exponential"],
    parameter(
        _SCHEDULE,
        "How the object's rate goes on from its first to its last iteration: as it is, down to 0 "
        "along half a cosine, or down to 1 %.",
        "exponential",
    ),
]
ProbeSchedule = Annotated[
    Literal["constant", "cosine", "exponential"],
    parameter(_SCHEDULE, "The same for the probe's rate.", "exponential"),
]
PositionSchedule = Annotated[
    Literal["constant", "cosine", "exponential"],
    parameter(_SCHEDULE, "The same for position_step.", "exponential"),
]
ObjectStart = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 0", "First iteration (from 0) that updates the object.", 3, ge=0
    ),
]
ObjectStop = Annotated[
    StrictInt | None,
    parameter(
        _STOP, "First iteration that leaves the object alone again; None: none does.", 3, ge=0
    ),
]
ProbeStop = Annotated[
    StrictInt | None,
    parameter(
        _STOP, "First iteration that leaves the probe alone again; None: none does.", 3, ge=0
    ),
]
StepMemory = Annotated[
    StrictFloat,
    parameter(
        "a number of at least 0 and below 1",
        'Part of the mean of past steps that "momentum" and "adam" keep from one update to the '
        "next.",
        0.3,
        ge=0,
        lt=1,
    ),
]
SquareMemory = Annotated[
    StrictFloat,
    parameter(
        "a number of at least 0 and below 1",
        'The same for the mean square of past steps, by which "adam" divides.',
        0.5,
        ge=0,
        lt=1,
    ),
]
