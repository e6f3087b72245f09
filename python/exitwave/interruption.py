"""Ctrl-C and SIGTERM during a run: the iteration under way is finished, the state so far kept."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

# What Result.stopped says of each.
_REASONS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
# Batch systems signal processes, and so do the launchers that they signal: that is one request.
_SAME_REQUEST_S = 1.0


class Interruption:
    """Context in which Ctrl-C or SIGTERM only sets ``reason``; one that comes later raises.

    Signals can be caught in the main thread alone; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._asked_at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._request) for each in _REASONS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            if time.monotonic() - self._asked_at < _SAME_REQUEST_S:
                return
            if number == signal.SIGTERM:
                raise SystemExit(128 + number)
            raise KeyboardInterrupt
        self._asked_at = time.monotonic()
        self.reason = _REASONS[signal.Signals(number)]
