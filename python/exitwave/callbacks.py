"""What a run calls between iterations: to look on, to stop it, or to change its arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.device_arrays import on_host
from exitwave.errors import InvalidArgument
from exitwave.parameters.messages import show
from exitwave.ranks import Ranks

Complex64 = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class State:
    """What a callback sees after an iteration. Arrays are the run's own, read-only.

    With output "device" object and probe are CuPy arrays, which must not be written to either.

    Attributes
    ----------
    engine : str
        Name of the engine, which is number ``engine_index`` of the chain.
    iteration : int
        Iteration of this engine that was just done, from 0.
    error : float
        Fourier error of the model that the iteration started from.
    object : complex64, shape (K, A, B), or (K, S, A, B) with slices
    probe : complex64, shape (M, Y, X)
    positions : float64, shape (N, 2), pixels of ``object``
    """

    engine: str
    engine_index: int
    iteration: int
    error: float
    object: Complex64
    probe: Complex64
    positions: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """What a callback returns to go on with other values, as a constraint of its own.

    Attributes
    ----------
    object : complex, shape of ``state.object``, or None
        Without the first axis where that is 1. None: as it is.
    probe : complex, shape of ``state.probe``, or None
        The same.
    stop : bool
        End the run with these.
    """

    object: Any = None
    probe: Any = None
    stop: bool = False


def ask(
    callback: Callable[[State], Any], state: Callable[[], State], ranks: Ranks, *, whole: bool
) -> Change:
    """What a callback, called on the first rank, wants; the same on all.

    Parameters
    ----------
    state : function
        What it sees; called on the first rank only.
    whole : bool
        It sees the whole object.

    Raises
    ------
    InvalidArgument
        It returned arrays that the run cannot go on with.
    """
    kept = Change()

    def call() -> tuple[bool, bool, bool]:
        nonlocal kept
        seen = state()
        answer = callback(seen)
        kept = _checked(answer, seen, whole) if isinstance(answer, Change) else Change()
        return kept.stop or answer is True, kept.object is not None, kept.probe is not None

    stop, new_object, new_probe = ranks.by_first(call)
    return Change(
        ranks.spread(kept.object) if new_object else None,
        ranks.spread(kept.probe) if new_probe else None,
        stop,
    )


def _checked(change: Change, seen: State, whole: bool) -> Change:
    if change.object is not None and not whole:
        raise InvalidArgument(
            "callback returned an object, but gather is False, so that no process has the whole of "
            "it; set gather to True, or return the probe only."
        )
    return Change(
        None if change.object is None else _values("object", change.object, seen.object),
        None if change.probe is None else _values("probe", change.probe, seen.probe),
        bool(change.stop),
    )


def _values(name: str, given: Any, like: Complex64) -> Complex64:
    array = np.asarray(on_host(name, given))
    shapes = [like.shape, like.shape[1:]] if len(like) == 1 else [like.shape]
    if array.dtype.kind != "c" or array.shape not in shapes:
        raise InvalidArgument(
            f"callback returned {name} as {show(array)}; it must be complex and have the shape "
            f"{like.shape} of state.{name}."
        )
    values = np.ascontiguousarray(array.reshape(like.shape), np.complex64)
    if not np.isfinite(values).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InvalidArgument(
            f"callback returned {name} with {values[bad]} at {bad}; all values must be finite."
        )
    return values
