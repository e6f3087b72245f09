"""From the name of a device to lanes, batches and parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from exitwave.errors import DeviceError, InvalidArgument

# The emulated device takes more than one frame a step and several parts, so that whatever a GPU
# would meet is met: batches, a last batch that is not full, halos, copies.
_EMULATED_BATCH = 3
_EMULATED_PARTS = 3


@dataclass(frozen=True)
class Lanes:
    """How a run is spread: parts of the scan, and the core's settings for the device."""

    parts: int
    settings: Any


def available_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_lanes(device: str, parts: int | None, batch: int | None, frames: int) -> Lanes:
    """Lanes for a scan of so many frames.

    Raises
    ------
    DeviceError
        The device is not in this build or on this machine.
    InvalidArgument
        More parts than frames.
    """
    from exitwave import _core

    name, _, count = device.partition(":")
    if name == "cuda":
        raise DeviceError(
            f"device {device!r} cannot be used: {_core.build_info()['cuda']}; use 'cpu'."
        )
    if parts is not None and parts > frames:
        raise InvalidArgument(f"parts is {parts}, but must be at most the {frames} frames.")
    emulated = name == "emulated"
    threads = int(count) if count else available_threads()
    if parts is None:
        parts = min(frames, _EMULATED_PARTS if emulated else threads)
    settings = _core.CpuSettings()
    settings.threads = min(threads, parts)
    settings.batch = batch or (_EMULATED_BATCH if emulated else 1)
    settings.emulated = emulated
    return Lanes(parts, settings)
