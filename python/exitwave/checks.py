"""Checks of arguments that simulator, probes, scans and metrics share.

Each returns the checked value or raises :class:`InvalidArgument` in one sentence that names the
argument, what it was and what it must be.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument

Pair = float | tuple[float, float]


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """Finite real number within its limits (``above`` excluded, the others included)."""
    limits = []
    if above is not None:
        limits.append(f"above {above:g}")
    if least is not None:
        limits.append(f"at least {least:g}")
    if most is not None:
        limits.append(f"at most {most:g}")
    wanted = "a finite number" + (" " + " and ".join(limits) if limits else "")
    real = isinstance(value, int | float | np.integer | np.floating)
    if (
        not real
        or isinstance(value, bool)
        or not np.isfinite(value)
        or (above is not None and value <= above)
        or (least is not None and value < least)
        or (most is not None and value > most)
    ):
        raise InvalidArgument(f"{name} was {value!r}, but must be {wanted}.")
    return float(value)


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """Whole number of at least ``least``."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InvalidArgument(
            f"{name} was {value!r}, but must be a whole number of at least {least}."
        )
    return int(value)


def pair(name: str, value: Any, *, above: float = 0.0) -> tuple[float, float]:
    """(row, column) from one number for both axes or from two numbers."""
    values = np.asarray(value, dtype=object).reshape(-1)
    if values.size not in (1, 2):
        raise InvalidArgument(
            f"{name} had {values.size} values, but must be one number or (row, column)."
        )
    row, column = (number(name, each, above=above) for each in (values[0], values[-1]))
    return row, column


def shape2(name: str, value: Any, *, least: int = 4) -> tuple[int, int]:
    """(rows, columns) from one whole number for both or from two."""
    values = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != 2:
        raise InvalidArgument(f"{name} was {value!r}, but must be (rows, columns).")
    rows, columns = (whole(name, each, least=least) for each in values)
    return rows, columns


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """One of the allowed words; the nearest is suggested."""
    words = list(allowed)
    if value in words:
        return str(value)
    near = get_close_matches(str(value), words, n=1)
    hint = f", perhaps {near[0]!r}" if near else ""
    raise InvalidArgument(
        f"{name} was {value!r}, but must be one of {', '.join(map(repr, words))}{hint}."
    )


def positions(name: str, value: Any) -> npt.NDArray[np.float64]:
    """(N, 2) finite float64 copy."""
    array = np.array(value, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or array.shape[0] == 0:
        raise InvalidArgument(
            f"{name} had shape {array.shape}, but must be (N, 2): row and column of each frame."
        )
    if not np.isfinite(array).all():
        raise InvalidArgument(f"{name} has values that are not finite, but all must be numbers.")
    return array


def image(name: str, value: Any, *, stack: bool = False) -> npt.NDArray[Any]:
    """Finite array of two dimensions, or of three too with ``stack``."""
    array = np.asarray(value)
    if array.ndim != 2 and not (stack and array.ndim == 3):
        wanted = "(rows, columns) or (modes, rows, columns)" if stack else "(rows, columns)"
        raise InvalidArgument(f"{name} had shape {array.shape}, but must be {wanted}.")
    if array.size == 0 or not np.issubdtype(array.dtype, np.number):
        raise InvalidArgument(
            f"{name} had shape {array.shape} and type {array.dtype}, but must hold numbers."
        )
    if not np.isfinite(array).all():
        raise InvalidArgument(f"{name} has values that are not finite, but all must be numbers.")
    return array


def mask(name: str, value: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Boolean array of the given shape with at least one True."""
    array = np.asarray(value)
    if array.shape != shape or array.dtype != np.bool_:
        raise InvalidArgument(
            f"{name} had shape {array.shape} and type {array.dtype}, "
            f"but must be bool of shape {shape}, True = valid."
        )
    if not array.any():
        raise InvalidArgument(f"{name} has no True pixel, but at least one must be valid.")
    return array
