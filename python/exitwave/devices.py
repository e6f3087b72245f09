"""From the name of a device to lanes, batches and parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exitwave.cuda_library import has_cuda_module, why_no_gpu
from exitwave.errors import DeviceError, InvalidArgument
from exitwave.memory_limit import MemoryLimits

if TYPE_CHECKING:
    from exitwave.ranks import Ranks

# Emulated devices take more than one frame a step and several parts, so that whatever a GPU would
# meet is met: batches, a last batch that is not full, halos, copies.
_EMULATED_BATCH = 3
_EMULATED_DEVICES = 3


# Streams of a GPU: while one copies or waits, the other computes.
LANES_PER_GPU = 2


@dataclass(frozen=True)
class DescribedDevices:
    """GPUs that need not be there, for a plan.

    ``memory_bytes``: what a run may use of each, ``host_bytes``: of the host's.
    """

    name: str
    count: int
    memory_bytes: int
    host_bytes: int | None = None
    cache_bytes: int = 40 << 20

    def lanes(self, parts: int | None, batch: int | None, frames: int) -> Lanes:
        """As a run on such devices would be spread."""
        from exitwave import _core

        # As the CUDA module of this build plans, else by the same count of bytes without one.
        with_cuda = has_cuda_module()
        settings: Any = _core.CudaSettings() if with_cuda else _core.CpuSettings()
        if with_cuda:
            settings.devices = list(range(self.count))
            settings.streams = LANES_PER_GPU
        else:
            settings.emulated, settings.gpu_lanes = self.count, LANES_PER_GPU
        settings.batch = batch or 1
        spread = parts or min(frames, self.count * LANES_PER_GPU)
        return Lanes(spread, settings, False, self.cache_bytes if batch is None else None)


@dataclass(frozen=True)
class Lanes:
    """How a run is spread: parts of the scan, and the core's settings for the device.

    ``host_is_device``: the lanes work in the host's memory. ``cache_bytes``: of a device; where
    nobody chose a batch, the waves of its two lanes' batches take half of it.
    """

    parts: int
    settings: Any
    host_is_device: bool = True
    cache_bytes: int | None = None

    @property
    def gpus(self) -> list[int]:
        """Numbers of the GPUs that the lanes work on."""
        return list(getattr(self.settings, "devices", []))

    def limited(self, limits: MemoryLimits, wave_bytes: int) -> Any:
        """The settings with limits of memory, for frames whose waves take so many bytes."""
        return self._copied(limits, wave_bytes, planning=False)

    def planning(self, wave_bytes: int) -> Any:
        """The settings of an engine that only counts its memory."""
        return self._copied(MemoryLimits(None, None), wave_bytes, planning=True)

    def _copied(self, limits: MemoryLimits, wave_bytes: int, planning: bool) -> Any:
        from exitwave import _core

        on_gpus = isinstance(self.settings, _core.CudaSettings)
        settings = type(self.settings)()
        of_cpu = ("threads", "emulated", "gpu_lanes")
        for key in ("batch", *(("devices", "streams", "deterministic") if on_gpus else of_cpu)):
            setattr(settings, key, getattr(self.settings, key))
        settings.wave_bytes = wave_bytes
        if self.cache_bytes is not None:
            settings.batch = max(1, self.cache_bytes // (2 * LANES_PER_GPU * wave_bytes))
        settings.memory_limit = (limits.host if self.host_is_device else limits.device) or 0
        settings.host_limit = limits.host or 0
        settings.planning = planning
        return settings


def available_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: str, ranks: Ranks | None = None) -> str:
    """What "auto" stands for: a GPU where one can be used, else the CPU; others stay as they are.

    It is the first GPU that does a small piece of work without an error. Processes of an MPI job
    share all such GPUs of their machines, if each process has one.
    """
    if device != "auto":
        return device
    usable = [] if why_no_gpu() else usable_gpus()
    several = ranks is not None and ranks.size > 1
    if ranks.any(not usable) if ranks is not None else not usable:
        return "cpu"
    if several:
        return "cuda:" + ",".join(map(str, usable))
    return f"cuda:{usable[0]}"


def usable_gpus() -> list[int]:
    """Numbers of those that do a small piece of work without an error."""
    from exitwave import _core

    there = range(len(_core.cuda_devices()))
    return [number for number in there if not _core.why_not_cuda_device(number)]


def is_gpu(device: str) -> bool:
    """Whether the name of a device is one of GPUs."""
    return device.partition(":")[0] == "cuda"


def host_is_device(device: str) -> bool:
    """Whether a device works in the host's memory."""
    return not is_gpu(device) and device.partition(":")[0] != "emulated"


def free_device_bytes(device: str, ranks: Ranks | None = None) -> int | None:
    """Memory that a run could take of each GPU that the name stands for; None: it is the host's."""
    if not is_gpu(device) or why_no_gpu():
        return None
    from exitwave import _core

    numbers = _gpu_numbers(device, len(_core.cuda_devices()))
    sharers = 1 if ranks is None else -(-ranks.on_node // len(numbers))
    return min(int(_core.cuda_free_bytes(number)) for number in numbers) // sharers


def choose_lanes(
    device: str,
    parts: int | None,
    batch: int | None,
    frames: int,
    deterministic: bool = False,
    ranks: Ranks | None = None,
) -> Lanes:
    """Lanes of this process for a scan of so many frames.

    Parameters
    ----------
    parts : int or None
        Of each rank.
    ranks : Ranks or None
        Processes that share the scan, and cores and GPUs of a machine; None: this one alone.

    Raises
    ------
    DeviceError
        The device is not in this build or on this machine.
    InvalidArgument
        More parts than frames.
    """
    from exitwave import _core

    device = choose_device(device)
    cores = available_threads() if ranks is None else ranks.cores
    name, _, count = device.partition(":")
    processes = 1 if ranks is None else ranks.size
    if name == "cuda" and (reason := why_no_gpu()):
        raise DeviceError(f"device {device!r} cannot be used: {reason}; use 'cpu'.")
    if parts is not None and parts * processes > frames:
        each = f" for each of {processes} processes" if processes > 1 else ""
        raise InvalidArgument(f"parts is {parts}{each}, but must be at most the {frames} frames.")
    if processes > frames:
        raise InvalidArgument(
            f"data has {frames} frames for {processes} MPI processes, but each needs one; start "
            "fewer."
        )
    if name == "cuda":
        return _gpu_lanes(device, parts, batch, frames // processes, deterministic, ranks)
    settings = _core.CpuSettings()
    if name == "emulated":
        devices = int(count) if count else _EMULATED_DEVICES
        # On one device several parts share its memory, on several each has a part of its own.
        parts = parts or min(frames // processes, max(devices, _EMULATED_DEVICES))
        settings.emulated = devices
        settings.threads = min(cores, parts)
        settings.batch = batch or _EMULATED_BATCH
    else:
        threads = int(count) if count else cores
        parts = parts or min(frames // processes, threads)
        settings.threads = min(threads, parts)
        settings.batch = batch or 1
    return Lanes(parts, settings, host_is_device(device))


def _gpu_lanes(
    device: str,
    parts: int | None,
    batch: int | None,
    frames: int,
    deterministic: bool,
    ranks: Ranks | None,
) -> Lanes:
    from exitwave import _core

    there = _core.cuda_devices()
    settings = _core.CudaSettings()
    settings.devices = _own_gpus(device, len(there), ranks)
    settings.streams = LANES_PER_GPU
    settings.batch = batch or 1
    settings.deterministic = deterministic
    cache_bytes = min(int(there[i].cache_bytes) for i in settings.devices)
    spread = parts or min(frames, len(settings.devices) * LANES_PER_GPU)
    return Lanes(spread, settings, False, cache_bytes if batch is None else None)


def _own_gpus(device: str, there: int, ranks: Ranks | None) -> list[int]:
    """Those that this process uses: ranks of a machine share the GPUs, or several use one."""
    if ranks is None or ranks.size == 1:
        return _gpu_numbers(device, there)
    if device == "cuda":
        device = "cuda:" + ",".join(map(str, range(there)))
    numbers = _gpu_numbers(device, there)
    each = max(1, len(numbers) // ranks.on_node)
    first = ranks.rank_on_node * each % len(numbers)
    return numbers[first : first + each]


def _gpu_numbers(device: str, there: int) -> list[int]:
    """The GPUs of a device's name; without numbers it is the first one."""
    numbers = [int(number) for number in (device.partition(":")[2] or "0").split(",")]
    if len(set(numbers)) < len(numbers):
        raise InvalidArgument(f"device is {device!r}, but must name each GPU once.")
    if max(numbers) >= there:
        found = "cuda:0" if there == 1 else f"cuda:0 to cuda:{there - 1}"
        raise DeviceError(f"device {device!r} cannot be used: there is only {found}; use that.")
    return numbers
