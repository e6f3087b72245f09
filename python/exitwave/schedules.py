"""Which iterations update what, and rates of optimisers over the iterations of an engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters
    from exitwave.parameters.models import Gradient

# What an exponential schedule leaves of a rate at its end.
_LEFT = 0.01


def due(params: EngineParameters, unknown: str, iteration: int) -> bool:
    """Whether an iteration updates an unknown, by its ``..._start``, ``_stop`` and ``_every``.

    An engine that does not know the unknown never does.
    """
    start = getattr(params, f"{unknown}_start", None)
    stop = getattr(params, f"{unknown}_stop", None)
    return (
        start is not None
        and iteration >= start
        and (stop is None or iteration < stop)
        and (iteration - start) % getattr(params, f"{unknown}_every", 1) == 0
    )


def schedule_factors(params: EngineParameters, iteration: int) -> tuple[float, float]:
    """Factors on the rates of object and probe in an iteration; 0: left alone."""
    if params.name != "gradient":
        return 1.0, 1.0
    given = cast("Gradient", params)
    starts = (given.object_start, given.probe_start)
    stops = (given.object_stop, given.probe_stop)
    schedules = (given.object_schedule, given.probe_schedule)
    of_object, of_probe = (
        factor(schedule, iteration, start, given.iterations if stop is None else stop)
        for schedule, start, stop in zip(schedules, starts, stops, strict=True)
    )
    return of_object, of_probe


def position_factor(params: EngineParameters, iteration: int) -> float:
    """Factor on the steps of positions in an iteration that refines them."""
    schedule = getattr(params, "position_schedule", "constant")
    stop = params.position_stop or params.iterations
    return factor(schedule, iteration, params.position_start, stop)


def factor(schedule: str, iteration: int, start: int | None, stop: int) -> float:
    """Of one rate, from iteration ``start`` (None: never) to the one before ``stop``."""
    if start is None or not start <= iteration < stop:
        return 0.0
    progress = (iteration - start) / (stop - start)
    if schedule == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * progress)
    return math.pow(_LEFT, progress) if schedule == "exponential" else 1.0


def rate(optimiser: str, given: float | None) -> float:
    """Without the schedule; the default is the optimiser's."""
    if given is not None:
        return given
    return 0.1 if optimiser == "adam" else 1.0
