"""Types of the parameters by which what all frames have in common is refined."""

from __future__ import annotations

from typing import Annotated

from pydantic import StrictFloat, StrictInt

from exitwave.parameters.base import parameter

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
