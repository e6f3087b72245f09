"""Types of the parameters by which what all frames have in common is refined."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StrictFloat, StrictInt

from exitwave.parameters.base import parameter
from exitwave.parameters.call_fields import both_axes, positive_lengths

_START = "a whole number of at least 0, or None"

DistanceStart = Annotated[
    StrictInt | None,
    parameter(
        _START,
        "First iteration (from 0) that refines the propagation distance; None: never. Near field "
        "only.",
        1,
        ge=0,
    ),
]
DefocusStart = Annotated[
    StrictInt | None,
    parameter(
        _START,
        "First iteration (from 0) that refines the probe's defocus, which is done until the probe "
        "itself is updated; None: never.",
        1,
        ge=0,
    ),
]
MapStart = Annotated[
    StrictInt | None,
    parameter(
        _START,
        "First iteration (from 0) that refines the affine map of the scan (scales, shear, "
        "rotation), all frames together; None: never.",
        1,
        ge=0,
    ),
]
GeometryEvery = Annotated[
    StrictInt,
    parameter(
        "a whole number of at least 1",
        "Distance, defocus and map are refined every so many iterations.",
        2,
        ge=1,
    ),
]
GeometryStep = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and at most 10",
        "Factor on the Gauss-Newton steps of distance, defocus and map.",
        0.5,
        gt=0,
        le=10,
    ),
]


def _both_or_none(value: object) -> object:
    return None if value is None else both_axes(value)


def _lengths_or_none(value: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if value is None else positive_lengths(value)


FarWavelengthM = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0 and below 1e-3, in metres",
        "Wavelength in metres; only a refined defocus needs it.",
        1.2e-10,
        gt=0,
        lt=1e-3,
    ),
]
FarPixelSizeM = Annotated[
    tuple[StrictFloat, StrictFloat] | None,
    BeforeValidator(_both_or_none),
    AfterValidator(_lengths_or_none),
    parameter(
        "None, a number above 0, or a pair (row, column) of them, in metres",
        "Pixel of the object in metres; only a refined defocus needs it.",
        (2e-7, 2e-7),
    ),
]
