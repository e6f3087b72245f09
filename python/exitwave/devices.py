"""From the name of a device to lanes, batches and parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from exitwave.errors import DeviceError, InvalidArgument

# Emulated devices take more than one frame a step and several parts, so that whatever a GPU would
# meet is met: batches, a last batch that is not full, halos, copies.
_EMULATED_BATCH = 3
_EMULATED_DEVICES = 3


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
    settings = _core.CpuSettings()
    if name == "emulated":
        devices = int(count) if count else _EMULATED_DEVICES
        # On one device several parts share its memory, on several each has a part of its own.
        parts = parts or min(frames, max(devices, _EMULATED_DEVICES))
        settings.emulated = devices
        settings.threads = min(available_threads(), parts)
        settings.batch = batch or _EMULATED_BATCH
    else:
        threads = int(count) if count else available_threads()
        parts = parts or min(frames, threads)
        settings.threads = min(threads, parts)
        settings.batch = batch or 1
    return Lanes(parts, settings)
