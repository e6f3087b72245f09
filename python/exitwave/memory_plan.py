"""Which frames stay on a device and which come and go, decided before anything is allocated.

The core tells what an engine would hold: it is built in a memory that only counts. So a plan is
what the run does, not a formula beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exitwave.errors import OutOfMemory
from exitwave.memory_limit import MemoryLimits

HOST = "host memory"  # as the core names it
# More in one slot only takes memory: transfers of this size run at full speed.
_SLOT_BYTES = 256 << 20
_KEEPS_WAVES = ("DM", "RAAR")


@dataclass(frozen=True)
class MemoryUse:
    """Bytes in one memory: the most at one time, and what they are for."""

    name: str
    peak_bytes: int
    uses: dict[str, int]


@dataclass(frozen=True)
class EnginePlan:
    """How an engine keeps its frames, and what it holds.

    Attributes
    ----------
    name : str
        The engine's.
    memory : list of MemoryUse
        Of each device, then of the host where that is another.
    block_frames : int
        Frames of a block; 0 where nothing comes and goes.
    counts : "device", "host" or "file"
        Where counts stay between passes.
    waves : "device", "host", "file" or None
        Where exit waves stay; None: none are kept.
    read_bytes, written_bytes : int
        Bytes that come to the devices in an iteration, and go back.
    parts, batch : int
        Parts that the scan is cut into, and frames per step.
    """

    name: str
    memory: list[MemoryUse]
    block_frames: int
    counts: str
    waves: str | None
    read_bytes: int
    written_bytes: int
    parts: int = 1
    batch: int = 1

    @property
    def moved_bytes(self) -> int:
        return self.read_bytes + self.written_bytes

    @property
    def device_bytes(self) -> int:
        """Most that a device holds; on the CPU the host is the device."""
        devices = [use.peak_bytes for use in self.memory if use.name != HOST]
        return max(devices) if devices else self.host_bytes

    @property
    def host_bytes(self) -> int:
        """What the engine holds of the host's memory; counts in the caller's array come on top."""
        return sum(use.peak_bytes for use in self.memory if use.name == HOST)


@dataclass(frozen=True)
class FrameStore:
    """What the choice depends on besides the engine.

    ``counts_at``: where the counts are at home: "host", "file", or "device" where they are on
    a GPU already. ``host_is_device``: the lanes see
    the host's memory, so that only a file is elsewhere. ``part_frames``: of the largest part.
    ``arrays_bytes``: what the host holds beside the engine.
    """

    frames: int
    part_frames: int
    frame_count_bytes: int
    frame_pixels: int
    counts_at: str
    host_is_device: bool
    scratch_folder: str
    arrays_bytes: int = 0


def plan_engine(
    build: Callable[[Any], list[Any]],
    options: Any,
    store: FrameStore,
    limits: MemoryLimits,
    what: str | None = None,
) -> EnginePlan:
    """The fastest way of keeping the frames that fits; ``options.storage`` is set to it.

    Parameters
    ----------
    build : function
        build(options): the core's MemoryUse of an engine that only counts.
    options : the core's EngineOptions
    what : str, optional
        What an error says does not fit; None: the engine.

    Raises
    ------
    OutOfMemory
        Not even blocks of one frame fit.
    """
    for counts, waves in _ways(options.name, store):
        plan = _plan_way(build, options, store, limits, counts, waves)
        if _fits(plan, store, limits):
            return plan
    raise OutOfMemory(_too_little(what or plan.name, plan, store, limits))


def _ways(engine: str, store: FrameStore) -> list[tuple[str, str | None]]:
    """Where counts and exit waves may stay, the least traffic first."""
    counts = ["device", store.counts_at]
    if store.host_is_device and store.counts_at == "host":
        counts = ["host"]  # read where they are, so nothing moves
    waves: list[str | None] = [None]
    if engine in _KEEPS_WAVES:
        waves = ["device", "file"] if store.host_is_device else ["device", "host", "file"]
    cost = {"device": 0, "host": 1, "file": 10, None: 0}
    ways = [(c, w) for c in dict.fromkeys(counts) for w in waves]
    # Waves are four times as many bytes as counts and move both ways.
    return sorted(ways, key=lambda way: cost[way[0]] + 8 * cost[way[1]])


def _plan_way(
    build: Callable[[Any], list[Any]],
    options: Any,
    store: FrameStore,
    limits: MemoryLimits,
    counts: str,
    waves: str | None,
) -> EnginePlan:
    """The plan of one way, with blocks as large as fit, of one frame at least."""
    from exitwave import _core

    in_place = store.host_is_device and store.counts_at == "host"
    options.storage.stream_counts = counts != "device" and not in_place
    options.storage.waves = getattr(_core.WaveTier, waves or "device")
    options.storage.scratch_folder = store.scratch_folder

    def use_of(block_frames: int) -> EnginePlan:
        options.storage.block_frames = block_frames
        memory = [MemoryUse(use.name, use.peak, dict(use.uses)) for use in build(options)]
        moved = _moved_bytes(options, store)
        return EnginePlan(options.name, memory, block_frames, counts, waves, *moved)

    if not options.storage.stream_counts and waves in (None, "device"):
        return use_of(0)
    one, two = use_of(1), use_of(2)
    frame_bytes = max(1, two.device_bytes - one.device_bytes)
    frames = min(store.part_frames, max(1, 3 * _SLOT_BYTES // frame_bytes))
    for limit, least, most in (
        (None if store.host_is_device else limits.device, one.device_bytes, two.device_bytes),
        (limits.host, one.host_bytes + store.arrays_bytes, two.host_bytes + store.arrays_bytes),
    ):
        if limit is not None and most > least:
            frames = min(frames, 1 + max(0, limit - least) // (most - least))
    return use_of(frames)


def _moved_bytes(options: Any, store: FrameStore) -> tuple[int, int]:
    """Read: counts once for each pass over the frames, and waves; written: waves."""
    from exitwave import _core

    counts = waves = 0
    if options.storage.stream_counts:
        counts = store.frame_count_bytes * (2 if options.name == "ML" else 1)
    if options.name in _KEEPS_WAVES and options.storage.waves != _core.WaveTier.device:
        bytes_of_pixel = 4 if options.storage.half else 8
        waves = store.frame_pixels * options.probe_modes * options.object_modes * bytes_of_pixel
    return (counts + waves) * store.frames, waves * store.frames


def _fits(plan: EnginePlan, store: FrameStore, limits: MemoryLimits) -> bool:
    host_bytes = plan.host_bytes + store.arrays_bytes
    return (limits.device is None or plan.device_bytes <= limits.device) and (
        limits.host is None or host_bytes <= limits.host
    )


def _too_little(what: str, plan: EnginePlan, store: FrameStore, limits: MemoryLimits) -> str:
    where, needed, limit = "each device", plan.device_bytes, limits.device
    if limit is None or needed <= limit:
        where, needed, limit = "the host", plan.host_bytes + store.arrays_bytes, limits.host
    largest = max(plan.memory[0].uses.items(), key=lambda use: use[1])
    spread = "use fewer parts" if store.host_is_device else "use more devices"
    return (
        f"memory_limit leaves {limit} bytes on {where}, but {what} needs {needed} there "
        f"with blocks of one frame, most of it "
        f"for {largest[0]} ({largest[1]} bytes); raise it, {spread}, or crop the frames."
    )
