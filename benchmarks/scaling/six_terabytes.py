"""A ptychographic tomogram on paper: 498 projections of 2552 frames of 768 x 768."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exitwave import scans
from exitwave.topology import Job, Machine, predict, read_machine

PROJECTIONS = 498
FRAMES = 2552
FRAME_SHAPE = (768, 768)
STEP_PX = 64.0
COUNT_BYTES = 2
CHAIN = (("DM", 300), ("ML", 100))
NODES = (1, 8, 64)
MACHINES = ("a100-pcie", "dgx-a100", "a100-slingshot", "hgx-h200")


@dataclass(frozen=True)
class Plan:
    """The job on some nodes of a machine; each projection is reconstructed alone.

    Attributes
    ----------
    machine : str
    probe_modes, nodes : int
    devices : int
        That share a projection: as few as hold it.
    memory_bytes : float
        Of the device that holds most.
    iterations_s, read_s : float
        Of a projection; reading shares the disk of the node, and nothing hides it.
    rounds : int
        Projections one after the other.
    read_bytes, written_bytes : float
        Of the whole job.
    """

    machine: str
    probe_modes: int
    nodes: int
    devices: int
    memory_bytes: float
    iterations_s: float
    read_s: float
    rounds: int
    read_bytes: float
    written_bytes: float

    @property
    def hours(self) -> float:
        return self.rounds * (self.iterations_s + self.read_s) / 3600


def counts_bytes() -> float:
    """Of all projections."""
    return float(PROJECTIONS * FRAMES * math.prod(FRAME_SHAPE) * COUNT_BYTES)


def waves_bytes(probe_modes: int) -> float:
    """Exit waves of all projections, if all were held at once."""
    return float(PROJECTIONS * FRAMES * math.prod(FRAME_SHAPE) * 8 * probe_modes)


def plans() -> list[Plan]:
    return [plan(name, modes, nodes) for name in MACHINES for modes in (1, 3) for nodes in NODES]


def plan(name: str, probe_modes: int, nodes: int) -> Plan:
    machine = read_machine(name)
    positions = scans.raster(FRAMES, STEP_PX, jitter=0.3)
    jobs = [
        (Job(positions, FRAME_SHAPE, engine, probe_modes, count_bytes=COUNT_BYTES), iterations)
        for engine, iterations in CHAIN
    ]
    devices = _fewest_devices(jobs[0][0], machine)
    runs = [(predict(job, machine, devices=devices), iterations) for job, iterations in jobs]
    at_once = machine.devices_per_node // devices
    read = counts_bytes() / PROJECTIONS
    rows, columns = runs[0][0].halo.object_shape
    return Plan(
        machine=machine.name,
        probe_modes=probe_modes,
        nodes=nodes,
        devices=devices,
        memory_bytes=float(runs[0][0].memory.total.max()),
        iterations_s=sum(run.seconds * iterations for run, iterations in runs),
        read_s=at_once * read / machine.disk.bandwidth_bytes_per_s,
        rounds=math.ceil(PROJECTIONS / (nodes * at_once)),
        read_bytes=read * PROJECTIONS,
        written_bytes=8.0 * PROJECTIONS * (rows * columns + probe_modes * math.prod(FRAME_SHAPE)),
    )


def _fewest_devices(job: Job, machine: Machine) -> int:
    """Devices of a node, 1, 2, 4 ..., of which each has memory for its part of a projection."""
    devices = 1
    while predict(job, machine, devices=devices).tier != "device":
        devices *= 2
        if devices > machine.devices_per_node:
            raise ValueError(f"a projection does not fit a node of {machine.name}")
    return devices
