"""Types of the parameters by which what all frames have in common is refined.

Each unknown has four: ``..._start``, ``..._stop``, ``..._every`` and ``..._step``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StrictFloat, StrictInt

from exitwave.parameters.base import parameter


def start(what: str, note: str = "") -> Any:
    """Metadata of the iteration that begins to refine something."""
    return parameter(
        "a whole number of at least 0, or None",
        f"First iteration (from 0) that refines {what}; None: never.{note}",
        2,
        ge=0,
    )


def stop(what: str) -> Any:
    return parameter(
        "None, or a whole number of at least 1",
        f"First iteration that leaves {what} alone again; None: none does.",
        1,
        ge=1,
    )


def _every(what: str) -> Any:
    return parameter(
        "a whole number of at least 1", f"Iterations from one step of {what} to the next.", 2, ge=1
    )


def _step(what: str) -> Any:
    return parameter(
        "a number above 0 and at most 10",
        f"Factor on the Gauss-Newton steps of {what}.",
        0.5,
        gt=0,
        le=10,
    )


_MAP = "the affine map of the scan (scales, shear, rotation)"
_DISTANCE = "the propagation distance"
_DEFOCUS = "the probe's defocus"
_SLICES = "the distances between slices"
_TILT = "the tilt of the beam"

MapStart = Annotated[StrictInt | None, start(_MAP, " All frames move together.")]
MapStop = Annotated[StrictInt | None, stop(_MAP)]
MapEvery = Annotated[StrictInt, _every(_MAP)]
MapStep = Annotated[StrictFloat, _step(_MAP)]

DistanceStart = Annotated[StrictInt | None, start(_DISTANCE, " Near field only.")]
DistanceStop = Annotated[StrictInt | None, stop(_DISTANCE)]
DistanceEvery = Annotated[StrictInt, _every(_DISTANCE)]
DistanceStep = Annotated[StrictFloat, _step(_DISTANCE)]

DefocusStart = Annotated[
    StrictInt | None, start(_DEFOCUS, " It ends where the probe itself is updated.")
]
DefocusStop = Annotated[StrictInt | None, stop(_DEFOCUS)]
DefocusEvery = Annotated[StrictInt, _every(_DEFOCUS)]
DefocusStep = Annotated[StrictFloat, _step(_DEFOCUS)]

SliceDistanceStart = Annotated[StrictInt | None, start(_SLICES, " Each is a number of its own.")]
SliceDistanceStop = Annotated[StrictInt | None, stop(_SLICES)]
SliceDistanceEvery = Annotated[StrictInt, _every(_SLICES)]
SliceDistanceStep = Annotated[StrictFloat, _step(_SLICES)]

TiltStart = Annotated[
    StrictInt | None, start(_TILT, " It ends where the object itself is updated.")
]
TiltStop = Annotated[StrictInt | None, stop(_TILT)]
TiltEvery = Annotated[StrictInt, _every(_TILT)]
TiltStep = Annotated[StrictFloat, _step(_TILT)]
