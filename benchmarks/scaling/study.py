"""What the study counts and predicts: rows of its tables and points of its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from data import FRAMES_PER_DEVICE, SCANS, jittered_raster, job_of
from strategies import STRATEGIES, Strategy, scattered_tiles

from exitwave.topology import Machine, Prediction, known_machines, read_machine

MACHINE = "dgx-a100"
LINK_MACHINES = ("dgx-a100", "a100-pcie")
LINK_DEVICES = 64
STRONG = tuple(2**i for i in range(13))
LARGE = (1, 8, 64, 512, 4096)
WEAK = tuple(4**i for i in range(7))
# Beyond, the counts for these would take longer than all others together.
MOST_WEAK = {"stripes": 1024, "k-means": 1024}


@dataclass(frozen=True)
class Row:
    """One prediction, and what it is of."""

    scan: str
    machine: str
    strategy: str
    devices: int
    frames_least: int
    frames_most: int
    level_bytes: dict[str, float]  # halo sums of an iteration, by the name of the links
    probe_bytes: dict[str, float]
    memory_bytes: float  # of the device that holds most
    compute_s: float
    exchange_s: float
    seconds: float
    serial_s: float

    @property
    def speedup(self) -> float:
        return self.serial_s / self.seconds

    @property
    def efficiency(self) -> float:
        return self.speedup / self.devices


def links() -> list[Row]:
    """Bytes over each kind of link, 64 devices, on two machines."""
    ways = {**STRATEGIES, "tiles at random": scattered_tiles}
    return [
        _row(scan, name, strategy, ways[strategy], read_machine(name), LINK_DEVICES, scan_of())
        for name in LINK_MACHINES
        for scan, scan_of in SCANS.items()
        for strategy in ways
    ]


def strong() -> list[Row]:
    """The same scan on 1 to 4,096 devices."""
    machine = read_machine(MACHINE)
    return [
        _row(scan, MACHINE, strategy, way, machine, devices, positions)
        for scan, positions in ((name, scan_of()) for name, scan_of in SCANS.items())
        for strategy, way in STRATEGIES.items()
        for devices in STRONG
    ]


def weak() -> list[Row]:
    """64 frames on each of 1 to 4,096 devices."""
    machine = read_machine(MACHINE)
    return [
        _row(
            "jittered raster", MACHINE, strategy, way, machine, devices,
            jittered_raster(FRAMES_PER_DEVICE * devices),
        )
        for devices in WEAK
        for strategy, way in STRATEGIES.items()
        if devices <= MOST_WEAK.get(strategy, devices)
    ]  # fmt: skip


def machines() -> list[Row]:
    """Our tiles on every machine that comes with the package."""
    positions = jittered_raster()
    return [
        _row("jittered raster", name, "tiles (ours)", STRATEGIES["tiles (ours)"],
             read_machine(name), devices, positions)
        for name in known_machines()
        for devices in (8, 64, 512)
        if name != "laptop" or devices == 8
    ]  # fmt: skip


def engines() -> Iterator[tuple[str, Prediction]]:
    """Our tiles with other engines, 8 to 512 devices."""
    machine, positions = read_machine(MACHINE), jittered_raster()
    for name in ("DM", "ML", "ePIE"):
        for devices in (8, 64, 512):
            yield name, STRATEGIES["tiles (ours)"](job_of(positions, name), machine, devices)


def large_frames() -> list[Row]:
    """Our tiles on frames of 1024 x 1024: sixteen times the work, and the bytes, per frame."""
    machine, positions = read_machine(MACHINE), jittered_raster()
    return [
        _row("1024 x 1024", MACHINE, "tiles (ours)", STRATEGIES["tiles (ours)"], machine, devices,
             positions, magnified=4)
        for devices in LARGE
    ]  # fmt: skip


def select(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """Rows with these values."""
    return [row for row in rows if all(getattr(row, k) == v for k, v in wanted.items())]


def _row(
    scan: str,
    machine_name: str,
    strategy: str,
    way: Strategy,
    machine: Machine,
    devices: int,
    positions: np.ndarray,
    *,
    magnified: int = 1,
) -> Row:
    prediction = way(job_of(positions, magnified=magnified), machine, devices)
    sizes = [len(part) for part in prediction.parts]
    names = [level.name for level in machine.levels]
    exchange = float(prediction.traffic.seconds.sum())
    return Row(
        scan=scan,
        machine=machine_name,
        strategy=strategy,
        devices=devices,
        frames_least=min(sizes) if len(sizes) == devices else 0,
        frames_most=max(sizes),
        level_bytes=dict(zip(names, prediction.object_traffic.bytes.tolist(), strict=True)),
        probe_bytes=dict(zip(names, prediction.probe_traffic.bytes.tolist(), strict=True)),
        memory_bytes=float(prediction.memory.total.max()),
        compute_s=prediction.compute_seconds,
        exchange_s=exchange,
        seconds=prediction.seconds,
        serial_s=prediction.serial_seconds,
    )
