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
from exitwave.ranks import ALONE, Ranks
from exitwave.start import StartObject

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
        Of the counts that this rank holds, see :func:`exitwave.fingerprint.fingerprint`.
    mask : bool, shape (Y, X)
    start_object : StartObject
    start : dict of arrays
        Other start values of the run, placed and scaled: "probe", "positions".
    squeeze : bool
        The object is returned with two dimensions.
    parts : int
        That the scan is cut into, for each rank.
    random : dict
        State of the random numbers that groups and new modes are drawn from.
    object, probe : complex64
        As the present engine has them; of the object what this rank holds.
    positions : float64, shape (N, 2)
        Where the frames are now.
    errors : list of float64 arrays
        Of the engines that are done.
    engine : EngineStanding
        The present engine, which is number ``len(errors)`` of the chain.
    seconds : float
        Wall time so far.
    background : float32, shape (Y, X), or None
        Of all frames, as engines that are done refined it.
    refined : dict
        What is refined besides, see :class:`exitwave.refined.Refinements`.
    ranks : int
        That share the run.
    token : str
        Of the files of the ranks, if there are several.
    version : str
        Of the program that wrote it.
    """

    params: dict[str, Any]
    source: Source
    fingerprint: dict[str, Any]
    mask: npt.NDArray[np.bool_]
    start_object: StartObject
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
    background: npt.NDArray[np.float32] | None = None
    refined: dict[str, dict[str, npt.NDArray[np.float64]]] = field(default_factory=dict)
    ranks: int = 1
    token: str = ""
    version: str = exitwave.__version__

    def check_data(self, fingerprint: dict[str, Any]) -> None:
        """Refuse counts that are not those of the run."""
        if self.fingerprint != fingerprint:
            raise InvalidArgument(
                "data are not those that the checkpoint was made with: their shape, type or counts "
                "differ; give the same data."
            )


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

    def __init__(self, params: Parameters, resumed: Resumed | None, ranks: Ranks = ALONE) -> None:
        self._ranks = ranks
        self._token = "" if resumed is None else resumed.checkpoint.token
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
            place = self._place
            ranks.agree(lambda: _check_place(place, resumed))

    @property
    def wanted(self) -> bool:
        return self._place is not None

    def due(self, iterations: int, *, stopping: bool) -> bool:
        """Whether one is to be written after so many iterations of the chain; the same on all
        ranks, whose clocks differ."""
        if self._place is None or stopping:
            return self._place is not None
        after_iterations = self._every is not None and iterations % self._every == 0
        late = time.monotonic() - self._written_at >= self._period
        return after_iterations or (self._period < np.inf and self._ranks.any(late))

    def write(self, checkpoint: Checkpoint, core: Any) -> None:
        """Replace the last checkpoint; it stays where writing fails."""
        from exitwave.io.checkpoint_file import companion, write_checkpoint

        assert self._place is not None
        began = time.monotonic()
        last = self._token
        self._token = write_checkpoint(self._place, checkpoint, core, self._ranks).token
        if last:
            companion(self._place, last, self._ranks.rank).unlink(missing_ok=True)
        self._written_at = time.monotonic()
        self.seconds = self._written_at - began


def _check_place(place: Path, resumed: Resumed | None) -> None:
    from exitwave.io.atomic import check_place
    from exitwave.io.checkpoint_file import remove_leftovers

    check_place(place, "checkpoint")
    if place.exists() and resumed is None:
        raise InvalidArgument(
            f"checkpoint is {str(place)!r}, which holds a run that was stopped; go on with it by "
            f"exitwave.resume({str(place)!r}), or remove the file."
        )
    if not os.access(place.parent, os.W_OK):
        raise InvalidArgument(
            f"checkpoint is {str(place)!r}, in a folder without permission to write; choose "
            "another."
        )
    remove_leftovers(place, "" if resumed is None else resumed.checkpoint.token)


def remove_checkpoint(params: Parameters, stopped: str | None, ranks: Ranks = ALONE) -> None:
    """After the end of a run; one that was stopped keeps its checkpoint."""
    if params.checkpoint is None or stopped is not None:
        return
    from exitwave.io.checkpoint_file import remove_leftovers

    place = Path(params.checkpoint)
    ranks.any(False)  # until all have come to the end
    # First the file that names the others, so that there is never one that lacks them.
    ranks.by_first(lambda: place.unlink(missing_ok=True))
    ranks.agree(lambda: remove_leftovers(place))


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
