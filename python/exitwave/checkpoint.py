"""What a run needs to go on later, and when it is written down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import exitwave
from exitwave.errors import InvalidArgument
from exitwave.parameters import Parameters

Complex64 = npt.NDArray[np.complex64]

# Of the name of a checkpoint beside the result of a run.
SUFFIX = ".checkpoint"
# Where neither iterations nor minutes are named: minutes from one checkpoint to the next.
_MINUTES = 15.0


@dataclass(frozen=True)
class Source:
    """Where counts came from, so that a resumed run finds them again.

    Attributes
    ----------
    path : str or None
        File, absolute; None: an array in memory.
    dataset : str or None
        What the user had opened in it; None: the file is read with :func:`exitwave.load`.
    name : str or None
        The file as a result names it.
    load : dict
        Options of ``load``.
    pixel_size_m : (float, float) or None
    """

    path: str | None = None
    dataset: str | None = None
    name: str | None = None
    load: dict[str, Any] = field(default_factory=dict)
    pixel_size_m: tuple[float, float] | None = None


@dataclass(frozen=True)
class EngineStanding:
    """How far an engine has come, its core apart.

    ``cut_power`` and ``frames_in_bound`` are what its last warnings depend on; ``search_radius_px``
    is how far it looks for the place of each frame.
    """

    errors: list[float]
    cut_power: list[float]
    frames_in_bound: int | None
    search_radius_px: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A run between two iterations; what the core of the present engine holds stands beside it.

    Attributes
    ----------
    params : dict
        Every parameter of the run.
    source : Source
    fingerprint : dict
        Of the counts, see :func:`exitwave.counts.fingerprint`.
    mask : bool, shape (Y, X)
    start : dict of arrays
        Start values of the run, placed and scaled: "object", "probe", "positions".
    squeeze : bool
        The object is returned with two dimensions.
    parts : int
        That the scan is cut into.
    random : dict
        State of the random numbers that groups and new modes are drawn from.
    object, probe : complex64
        As the present engine has them.
    positions : float64, shape (N, 2)
        Where the frames are now.
    errors : list of float64 arrays
        Of the engines that are done.
    engine : EngineStanding
        The present engine, which is number ``len(errors)`` of the chain.
    seconds : float
        Wall time so far.
    version : str
        Of the program that wrote it.
    """

    params: dict[str, Any]
    source: Source
    fingerprint: dict[str, Any]
    mask: npt.NDArray[np.bool_]
    start: dict[str, npt.NDArray[Any]]
    squeeze: bool
    parts: int
    random: dict[str, Any]
    object: Complex64
    probe: Complex64
    positions: npt.NDArray[np.float64]
    errors: list[npt.NDArray[np.float64]]
    engine: EngineStanding
    seconds: float
    version: str = exitwave.__version__


@dataclass(frozen=True)
class Resumed:
    """A checkpoint that a run goes on from; ``restore`` hands an engine's core what it held."""

    checkpoint: Checkpoint
    restore: Callable[[Any], None]


class Checkpoints:
    """Writes the checkpoints of a run when they are due.

    Raises
    ------
    InvalidArgument
        The file cannot be written there, or holds a run that nobody has gone on with.
    """

    def __init__(self, params: Parameters, resumed: bool) -> None:
        self._place = None if params.checkpoint is None else Path(params.checkpoint)
        self._every = params.checkpoint_every
        minutes = params.checkpoint_minutes
        if minutes is None and self._every is None:
            minutes = _MINUTES
        self._period = np.inf if minutes is None else 60 * minutes
        self._written_at = time.monotonic()
        # What the last one took to write.
        self.seconds = 0.0
        if self._place is not None:
            _check_place(self._place, resumed)

    @property
    def wanted(self) -> bool:
        return self._place is not None

    def due(self, iterations: int) -> bool:
        """Whether one is to be written after so many iterations of the chain."""
        if self._place is None:
            return False
        after_iterations = self._every is not None and iterations % self._every == 0
        return after_iterations or time.monotonic() - self._written_at >= self._period

    def write(self, checkpoint: Checkpoint, core: Any) -> None:
        """Replace the last checkpoint; it stays where writing fails."""
        from exitwave.io.checkpoint_file import write_checkpoint

        assert self._place is not None
        began = time.monotonic()
        write_checkpoint(self._place, checkpoint, core)
        self._written_at = time.monotonic()
        self.seconds = self._written_at - began


def _check_place(place: Path, resumed: bool) -> None:
    from exitwave.io.atomic import check_place, remove_leftovers

    check_place(place, "checkpoint")
    if place.exists() and not resumed:
        raise InvalidArgument(
            f"checkpoint is {str(place)!r}, which holds a run that was stopped; go on with it by "
            f"exitwave.resume({str(place)!r}), or remove the file."
        )
    if not os.access(place.parent, os.W_OK):
        raise InvalidArgument(
            f"checkpoint is {str(place)!r}, in a folder without permission to write; choose "
            "another."
        )
    remove_leftovers(place)


def remove_checkpoint(params: Parameters, stopped: str | None) -> None:
    """After the end of a run; one that was stopped keeps its checkpoint."""
    if params.checkpoint is not None and stopped is None:
        Path(params.checkpoint).unlink(missing_ok=True)


def find_checkpoint(path: str | Path) -> Path:
    """The checkpoint that a path names: itself, or the one beside a result of that name.

    Raises
    ------
    InvalidArgument
        There is none.
    """
    place = Path(path)
    beside = place.parent / (place.name + SUFFIX)
    if beside.is_file():
        return beside
    if not place.is_file():
        raise InvalidArgument(
            f"there is no checkpoint {str(place)!r}, nor {beside.name!r} beside it; a run that was "
            "given none, or that came to its end, has none."
        )
    return place
