"""Exceptions that exitwave raises; all of them derive from :class:`ExitwaveError`."""

from __future__ import annotations

from typing import Any


class ExitwaveError(Exception):
    """Base class of all errors raised by exitwave.

    Attributes
    ----------
    agreed : bool
        Whether all processes of a run raised it, so that none waits for another.
    reported_elsewhere : bool
        Whether another process of the run reports it.
    """

    agreed = False
    reported_elsewhere = False


class InvalidArgument(ExitwaveError, ValueError):  # noqa: N818  reads as what it is
    """An argument has a wrong shape, type or value; the message names it."""


class FileFormatError(ExitwaveError, ValueError):
    """A file is malformed, truncated, or in a layout that is not understood."""


class DeviceError(ExitwaveError, RuntimeError):
    """The device asked for does not exist in this build or on this machine."""


class OutOfMemory(ExitwaveError, MemoryError):  # noqa: N818  as the interpreter's own
    """A device or the host has less memory than is needed; the message says how much."""


class DivergenceError(ExitwaveError, RuntimeError):
    """A reconstruction diverged or met a value that is not finite.

    Attributes
    ----------
    result : exitwave.Result or None
        State when it was noticed; its errors end at the failing iteration.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result
