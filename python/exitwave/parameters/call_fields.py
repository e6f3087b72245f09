"""Types of the parameters of the call and of the propagation, each named after its parameter."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from exitwave.durations import seconds_of
from exitwave.memory_limit import checked_limit
from exitwave.parameters.base import pair, parameter, plain

# --- propagation ------------------------------------------------------------------------------

WavelengthM = Annotated[
    StrictFloat,
    parameter(
        "a number above 0 and below 1e-3, in metres",
        "Wavelength in metres.",
        1.2e-10,
        gt=0,
        lt=1e-3,
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
WavelengthOfSlicesM = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0 and below 1e-3, in metres",
        "Wavelength in metres; of use for a thick object and for defocus_start only.",
        1.2e-10,
        gt=0,
        lt=1e-3,
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


def _both_axes_or_none(value: Any) -> Any:
    return None if value is None else _both_axes(value)


def _lengths(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and min(value) <= 0:
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
PixelSizeOfSlicesM = Annotated[
    tuple[StrictFloat, StrictFloat] | None,
    BeforeValidator(_both_axes_or_none),
    AfterValidator(_lengths),
    parameter(
        "None, a number above 0 or a pair (row, column) of them, in metres",
        "Pixel of the object (row, column) in metres; of use for a thick object and for "
        "defocus_start only.",
        (2e-7, 2e-7),
    ),
]


def _distances(value: Any) -> float | tuple[float, ...] | None:
    value = pair(plain(value))
    for item in value if isinstance(value, tuple) else (value,):
        if item is not None and (isinstance(item, bool) or not isinstance(item, int | float)):
            raise ValueError
        if item is not None and not 0 <= item < math.inf:
            raise ValueError
    if isinstance(value, tuple):
        if not value or None in value:
            raise ValueError
        return tuple(float(item) for item in value)
    return None if value is None else float(value)


SliceDistancesM = Annotated[
    float | tuple[float, ...] | None,
    PlainValidator(_distances),
    parameter(
        "None, a number of at least 0, or a list of them, in metres",
        "Thick object: distance from each slice to the next in metres, a list for S - 1 gaps; one "
        "number: all equal, where the object has most slices. None: the object is thin.",
        (1e-3,),
    ),
]


def _tilt(value: Any) -> tuple[float, float] | npt.NDArray[np.float64]:
    array = np.array(value)
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2) or array.shape[-1] != 2:
        raise ValueError
    array = array.astype(np.float64)
    if not (np.abs(array) < math.pi / 2).all():
        raise ValueError
    return array if array.ndim == 2 else (float(array[0]), float(array[1]))


BeamTiltRad = Annotated[
    tuple[float, float] | npt.NDArray[np.float64],
    PlainValidator(_tilt),
    parameter(
        "a pair (row, column), or an array (N, 2) with one for each frame, in radians",
        "Tilt of the beam in a thick object: it moves by the tangent times the distance from slice "
        "to slice.",
        (2e-3, -3e-3),
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

DEVICE_PATTERN = r"auto|cpu(:[1-9][0-9]*)?|emulated(:[1-9][0-9]*)?|cuda(:[0-9]+(,[0-9]+)*)?"


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
        '"auto", "cpu", "cpu:4" (threads), "emulated", "emulated:2" (devices), "cuda" or '
        '"cuda:0,1"',
        'Where to compute; "auto": a GPU where one can be used, else all processors; "emulated": '
        "test devices with memory of their own.",
        "emulated",
        changes_result=False,
    ),
]
Parts = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Parts that the scan is cut into, for each MPI process; None: one per thread or device. "
        "Never changes the result beyond rounding.",
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
Deterministic = Annotated[
    StrictBool,
    parameter(
        "True or False",
        "On GPUs, add up overlapping frames in their order, so that the same run gives the same "
        "bits; slower than atomic additions. On CPUs it is always so.",
        True,
        changes_result=False,
    ),
]
Output = Annotated[
    Literal["host", "device"],
    parameter(
        '"host" or "device"',
        'Where the result is, and what callbacks see: "host": NumPy arrays, "device": CuPy arrays '
        "on the GPU of the run, the first one where there are several.",
        "device",
        changes_result=False,
    ),
]
MemoryLimit = Annotated[
    str | float | dict[str, Any],
    PlainValidator(checked_limit),
    parameter(
        '"auto", bytes, "8 GB", a share of what is free such as 0.5, or {"device": ..., "host": '
        "...} of these",
        "What a device, and the host, may hold; frames beyond it come and go in blocks, which "
        'changes no bit of the result. "auto": 0.8 of what is free.',
        "600 kB",
        changes_result=False,
    ),
]
ScratchFolder = Annotated[
    StrictStr | None,
    parameter(
        "None, or the path of a folder",
        "Where exit waves go that no memory holds; None: the system's folder for temporary files.",
        ".",
        changes_result=False,
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


def _communicator(value: Any) -> Any:
    if value is None or value is False or (isinstance(value, str) and value == "world"):
        return value
    if not all(hasattr(value, name) for name in ("Get_rank", "Get_size", "Split_type")):
        raise ValueError
    return value


Comm = Annotated[
    Any,
    PlainValidator(_communicator),
    parameter(
        'None, False, "world", or a communicator of mpi4py',
        "MPI processes that share the run. None: those of the job that this process was started "
        "in, unless the program has imported mpi4py itself; False: this process alone.",
        False,
        changes_result=False,
    ),
]


def _gather(value: Any) -> bool | str:
    if not isinstance(value, bool) and value != "all":
        raise ValueError
    return value  # type: ignore[no-any-return]


Gather = Annotated[
    bool | str,
    PlainValidator(_gather),
    parameter(
        'True, False or "all"',
        "Under MPI, who gets the whole object: the first process, nobody, or all; the others get "
        "their part of it.",
        False,
        changes_result=False,
    ),
]
Callback = Annotated[
    Callable[..., Any] | None,
    parameter(
        "a function or None",
        "Called as callback(state) after every callback_every iterations; returning True stops "
        "the run, an exitwave.Change puts other values in the place of object and probe.",
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


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _duration(value: Any) -> Any:
    seconds_of(value)
    return value


Checkpoint = Annotated[
    StrictStr | None,
    BeforeValidator(_path),
    parameter(
        "None, or the path of a file",
        "File from which exitwave.resume goes on, to the bit, when the run was stopped or killed; "
        "removed at the end of the run.",
        "run.checkpoint",
        changes_result=False,
    ),
]
CheckpointEvery = Annotated[
    StrictInt | None,
    parameter(
        "None, or a whole number of at least 1",
        "Iterations from one checkpoint to the next.",
        2,
        changes_result=False,
        ge=1,
    ),
]
CheckpointMinutes = Annotated[
    StrictFloat | None,
    parameter(
        "None, or a number above 0",
        "Minutes from one checkpoint to the next; None: 15, unless checkpoint_every says when.",
        1e-9,
        changes_result=False,
        gt=0,
    ),
]
TimeLimit = Annotated[
    str | float | None,
    PlainValidator(lambda value: None if value is None else _duration(value)),
    parameter(
        'None, seconds, or a time such as "90s", "1h30m" or "01:30:00"',
        "The run stops by itself, with a checkpoint where it has one, before it would take longer "
        "than this.",
        "1h",
        changes_result=False,
    ),
]
