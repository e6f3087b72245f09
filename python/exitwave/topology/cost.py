"""Time and memory of an iteration on a machine that is only described."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.partition import split_in_parts
from exitwave.topology.halo import Halo, find_halo
from exitwave.topology.machine import Level, Machine
from exitwave.topology.work import Job, Memory, memory_of

Index = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

REDUCTIONS = ("levels", "tree", "ring", "star", "shares")
# Of a message while others are under way: non-blocking messages overlap all but their posting.
MESSAGE_S = 1.5e-6
# Memory of a device or node that the run does not get.
_RESERVE = 0.05
# Sums of a few numbers over all devices in an iteration: errors, largest weights, step of ML.
_SCALAR_SUMS = {"ML": 6}
_OTHER_SCALAR_SUMS = 3


@dataclass(frozen=True)
class Traffic:
    """Bytes over the links of each level, and the time that they take; shape (levels,) each."""

    bytes: Float64
    seconds: Float64

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.bytes + other.bytes, self.seconds + other.seconds)

    def __mul__(self, times: float) -> Traffic:
        return Traffic(self.bytes * times, self.seconds * times)


@dataclass(frozen=True)
class Prediction:
    """What an iteration costs.

    Attributes
    ----------
    machine : Machine
    nodes : int
    job : Job
    parts : list of int64
        Frames of each device.
    halo : Halo
    memory : Memory
        Of each device.
    tier : str
        Where counts and exit waves fit: "device", "host", "disk" or "nowhere".
    compute_seconds : float
        Of the device with most frames.
    stream_seconds : float
        Of moving the blocks that do not fit; hidden behind the computation as far as that lasts.
    object_traffic, probe_traffic, scalar_traffic : Traffic
        Halo sums, sums of the probe, and sums of a few numbers.
    serial_seconds : float
        Of one device with memory for everything.
    """

    machine: Machine
    nodes: int
    job: Job
    parts: list[Index]
    halo: Halo
    memory: Memory
    tier: str
    compute_seconds: float
    stream_seconds: float
    object_traffic: Traffic
    probe_traffic: Traffic
    scalar_traffic: Traffic
    serial_seconds: float

    @property
    def traffic(self) -> Traffic:
        return self.object_traffic + self.probe_traffic + self.scalar_traffic

    @property
    def seconds(self) -> float:
        """Of an iteration: the longer of computing and streaming, and then the exchange.

        Nothing of the exchange is hidden behind frames that do not touch the halo, so that this is
        an upper bound for a program that does it.
        """
        return max(self.compute_seconds, self.stream_seconds) + float(self.traffic.seconds.sum())

    @property
    def speedup(self) -> float:
        return self.serial_seconds / self.seconds

    @property
    def efficiency(self) -> float:
        return self.speedup / len(self.parts)


def predict(
    job: Job,
    machine: Machine,
    nodes: int = 1,
    *,
    devices: int | None = None,
    parts: Sequence[Index] | None = None,
    reduction: str = "levels",
) -> Prediction:
    """Bytes, seconds and memory of an iteration.

    ::

        seconds = max(compute, stream) + sum over levels of (halo + probe + scalars)
        compute = (updates ceil(frames of an update / devices) frame bytes + tile bytes) / memory
        halo    = (1 or 2) (largest bytes of a port / bandwidth + latency + messages 1.5 us)

    with frame bytes and tile bytes from :class:`exitwave.topology.Job`, memory the bandwidth that
    the device sustains, and the port that of a member of the level or of one device, whichever is
    slower. Halo sums go to their owners and, where memory is not shared, the totals come back. PIE
    engines exchange for every update what its group touches: for each halo pixel about as many
    times as windows cover it, and at most once per update; messages of every update.

    Parameters
    ----------
    job : Job
    machine : Machine
    nodes : int
    devices : int or None
        Of all nodes together, filled one after the other; None: all.
    parts : list of int64, or None
        Frames of each device; None: :func:`exitwave.partition.split_in_parts` down the machine's
        levels.
    reduction : "levels", "tree", "ring", "star" or "shares"
        How the sums of the probe meet, see :func:`all_reduce`.

    Raises
    ------
    InvalidArgument
        More devices than frames or than there are, or parts that do not hold each frame once.
    """
    checks.whole("nodes", nodes)
    most = nodes * machine.devices_per_node
    if devices is None:
        devices = most if parts is None else len(parts)
    checks.whole("devices", devices)
    if devices > min(most, job.frames):
        raise InvalidArgument(
            f"devices is {devices}, but {nodes} nodes have {most} and the scan {job.frames} "
            "frames; use fewer."
        )
    if parts is None:
        parts = split_in_parts(
            job.positions, devices, frame_shape=job.frame_shape, together=machine.together
        )
    elif not np.array_equal(np.sort(np.concatenate(parts)), np.arange(job.frames)):
        raise InvalidArgument("parts must hold each frame of the scan once.")
    halo = find_halo(job.positions - job.positions.min(axis=0), parts, job.frame_shape)
    memory = memory_of(job, halo, parts)
    tier, stream_seconds = _stream(job, machine, memory)
    whole = math.prod(halo.object_shape)
    return Prediction(
        machine=machine,
        nodes=nodes,
        job=job,
        parts=list(parts),
        halo=halo,
        memory=memory,
        tier=tier,
        compute_seconds=compute_seconds(job, machine, parts, halo.tile_pixels),
        stream_seconds=stream_seconds,
        object_traffic=exchange_halo(job, machine, halo),
        probe_traffic=all_reduce(machine, devices, job.probe_sum_bytes, reduction) * job.updates,
        scalar_traffic=all_reduce(machine, devices, 32)
        * (_SCALAR_SUMS.get(job.engine, _OTHER_SCALAR_SUMS) * job.updates),
        serial_seconds=compute_seconds(
            job, machine, [np.arange(job.frames)], np.array([whole], dtype=np.int64)
        ),
    )


def compute_seconds(
    job: Job, machine: Machine, parts: Sequence[Index], tile_pixels: Index
) -> float:
    """Of the slowest device; it is bound by its memory.

    A group of PIE has frames on ``frames_per_update`` devices at most, the others wait; its frames
    are spread over the scan, so that each device has the same number of them, rounded up.
    """
    largest = max(len(frames) for frames in parts)
    if job.updates > 1:
        share = largest / job.frames
        largest = job.updates * max(1, math.ceil(job.frames_per_update * share - 1e-9))
    moved = largest * job.frame_bytes + job.tile_bytes_moved * float(tile_pixels.max())
    moved += job.updates * 4 * job.probe_sum_bytes
    return moved / machine.device.sustained_bytes_per_s


def exchange_halo(job: Job, machine: Machine, halo: Halo) -> Traffic:
    """Halo sums of an iteration, there and back; parts are on devices of the same number.

    Bytes are exact for engines that update once per iteration; for PIE engines see
    :func:`predict`.
    """
    size = halo.pixels * float(job.object_sum_bytes)
    times = 1.0
    if job.updates > 1:
        coverage = job.frames * job.frame_pixels / halo.reached_pixels
        times = min(float(job.updates), coverage)
    total = _no_traffic(machine)
    for source, target, back in (
        (halo.sender, halo.owner, False),
        (halo.owner, halo.sender, True),
    ):
        total += send(machine, source, target, size * times, rounds=job.updates, back=back)
    return total


def send(
    machine: Machine,
    source: Index,
    target: Index,
    size: npt.NDArray[np.floating[Any]],
    *,
    rounds: int = 1,
    back: bool = False,
) -> Traffic:
    """Messages between devices, sent at once on the level on which their ends meet.

    Parameters
    ----------
    machine : Machine
    source, target : int64, shape (messages,)
        Devices.
    size : float64, shape (messages,), bytes
    rounds : int
        The messages come in so many rounds, each with a part of the bytes.
    back : bool
        Totals that return to parts: nothing where memory is shared.
    """
    traffic = _no_traffic(machine)
    level_of = machine.level_of(source, target)
    for depth, level in enumerate(machine.levels):
        here = level_of == depth
        if not here.any() or (back and level.shared_memory):
            continue
        ends, bytes_here = (source[here], target[here]), size[here]
        unit = machine.units[depth]
        member = max(np.bincount(end // unit, bytes_here).max() for end in ends)
        device = max(np.bincount(end, bytes_here).max() for end in ends)
        messages = max(np.bincount(end).max() for end in ends)
        traffic.bytes[depth] = bytes_here.sum()
        traffic.seconds[depth] = max(
            member / _member_rate(level), device / _device_rate(level)
        ) + rounds * (level.latency_s + (messages - 1) * MESSAGE_S)
    return traffic


def all_reduce(machine: Machine, devices: int, size: float, how: str = "levels") -> Traffic:
    """A sum of ``size`` bytes over all devices, known to all of them afterwards.

    ::

        levels  on each level, from the inside out, the faster of ring and tree among its m members;
                inside a node each device goes on with its own m-th of the sum, so that all cards of
                a node are in use
        tree    2 ceil(log2 m) (size / bandwidth + latency) on each level, one device of each member
        ring    2 (P - 1) (size / P / (slowest bandwidth) + (largest latency)), through all devices
        star    all send to the first device and get the total from it, as the parts of one process
        shares  each device adds up one P-th, which all others send it, and gives it back to all, as
                ranks with a device each

    One way is enough where memory is shared. Every way moves 2 (P - 1) size bytes in all.

    Parameters
    ----------
    machine : Machine
    devices : int
    size : float, bytes
    how : "levels", "tree", "ring", "star" or "shares"
    """
    checks.choice("reduction", how, REDUCTIONS)
    if devices == 1:
        return _no_traffic(machine)
    if how == "star":
        return _star(machine, devices, size)
    if how == "ring":
        return _ring(machine, devices, size)
    if how == "shares":
        return _shares(machine, devices, size)
    traffic = _no_traffic(machine)
    groups, pieces = devices, 1
    for depth in reversed(range(len(machine.levels))):
        level = machine.levels[depth]
        outside = machine.units[depth - 1] if depth else devices
        units = -(-devices // outside)
        members = min(-(-outside // machine.units[depth]), groups)
        ways = 1 if level.shared_memory else 2
        traffic.bytes[depth] = ways * (groups - units) * size
        if members > 1:
            # All devices of a member send their pieces at once.
            rate = min(_device_rate(level), _member_rate(level) / pieces)
            piece = size / pieces
            tree = math.ceil(math.log2(members)) * (piece / rate + level.latency_s)
            ring = (members - 1) * (piece / members / rate + level.latency_s)
            traffic.seconds[depth] = ways * (min(tree, ring) if how == "levels" else tree)
        if how == "levels":
            pieces *= members
        groups = units
    return traffic


def _star(machine: Machine, devices: int, size: float) -> Traffic:
    others = np.arange(1, devices)
    first = np.zeros_like(others)
    sizes = np.full(others.shape, size, dtype=np.float64)
    return send(machine, others, first, sizes) + send(machine, first, others, sizes, back=True)


def _ring(machine: Machine, devices: int, size: float) -> Traffic:
    """All links work at once; the time is booked on the outermost level in use."""
    traffic = _no_traffic(machine)
    here = np.arange(devices)
    links = np.bincount(machine.level_of(here, np.roll(here, -1)), minlength=len(machine.levels))
    traffic.bytes[:] = links * 2 * (devices - 1) / devices * size
    used = [level for level, count in zip(machine.levels, links, strict=True) if count]
    step = size / devices / min(map(_device_rate, used)) + max(level.latency_s for level in used)
    traffic.seconds[int(np.flatnonzero(links)[0])] = 2 * (devices - 1) * step
    return traffic


def _shares(machine: Machine, devices: int, size: float) -> Traffic:
    """What :func:`send` would say of all pairs of devices."""
    traffic = _no_traffic(machine)
    here = np.arange(devices)
    outside = np.zeros_like(here)
    for depth, level in enumerate(machine.levels):
        inside = here // machine.units[depth]
        others = np.bincount(outside)[outside] - np.bincount(inside)[inside]
        outside = inside
        if not others.any():
            continue
        ways = 1 if level.shared_memory else 2
        moved = others * (size / devices)
        member = np.bincount(inside, moved).max() / _member_rate(level)
        latency = level.latency_s + (others.max() - 1) * MESSAGE_S
        traffic.bytes[depth] = ways * moved.sum()
        traffic.seconds[depth] = ways * (max(member, moved.max() / _device_rate(level)) + latency)
    return traffic


def _no_traffic(machine: Machine) -> Traffic:
    return Traffic(np.zeros(len(machine.levels)), np.zeros(len(machine.levels)))


def _device_rate(level: Level) -> float:
    """Bytes per second of one device's port."""
    return level.efficiency * (level.device_bandwidth_bytes_per_s or level.bandwidth_bytes_per_s)


def _member_rate(level: Level) -> float:
    """Bytes per second of a member's port."""
    return level.efficiency * level.bandwidth_bytes_per_s


def _stream(job: Job, machine: Machine, memory: Memory) -> tuple[str, float]:
    """Where counts and waves fit, and the seconds of moving what does not fit on a device.

    ML reads its counts twice; waves are read and written, at the same time on the way to the host.
    """
    room = (1 - _RESERVE) * machine.device.memory_bytes
    if (memory.total <= room).all():
        return "device", 0.0
    if (memory.fixed > room).any():
        return "nowhere", math.inf
    left = np.clip((memory.total - room) / memory.blocks, 0, 1)
    counts = left * memory.counts * (2 if job.engine == "ML" else 1)
    waves = left * memory.waves
    node = np.arange(len(left)) // machine.devices_per_node
    of_node = float(np.bincount(node, left * memory.blocks).max())
    shared = machine.levels[-1].shared_memory
    if not shared and of_node <= (1 - _RESERVE) * machine.host.memory_bytes:
        return "host", float((counts + waves).max()) / machine.host.bandwidth_bytes_per_s
    if of_node <= machine.disk.memory_bytes:
        moved = float(np.bincount(node, counts + 2 * waves).max())
        return "disk", moved / machine.disk.bandwidth_bytes_per_s
    return "nowhere", math.inf
