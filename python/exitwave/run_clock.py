"""The time that a run takes, and the limit that it may have."""

from __future__ import annotations

import time

from exitwave.durations import seconds_of


class RunClock:
    """Wall time of a run, that before it was resumed included; its limit is of this call alone.

    Parameters
    ----------
    time_limit : seconds, str or None
    """

    def __init__(self, time_limit: float | str | None) -> None:
        self._began = self._lap_began = time.perf_counter()
        self._limit_s = None if time_limit is None else seconds_of(time_limit)
        self._longest_lap_s = 0.0
        # Of the calls before.
        self.before_s = 0.0

    @property
    def seconds(self) -> float:
        return self.before_s + time.perf_counter() - self._began

    def begin_laps(self) -> None:
        """What an iteration takes is not known of a new engine."""
        self._longest_lap_s, self._lap_began = 0.0, time.perf_counter()

    def lap(self) -> None:
        """An iteration is done."""
        now = time.perf_counter()
        self._longest_lap_s = max(self._longest_lap_s, now - self._lap_began)
        self._lap_began = now

    def ends_before_next(self, seconds_after: float) -> bool:
        """Whether another iteration, and what takes so long after it, would pass the limit."""
        if self._limit_s is None:
            return False
        end = time.perf_counter() + self._longest_lap_s + seconds_after
        return end - self._began > self._limit_s
