"""Pictures of the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from data import SCANS, job_of
from matplotlib.axes import Axes
from strategies import STRATEGIES, tiles
from study import LINK_DEVICES, LINK_MACHINES, MACHINE, Row, select

from exitwave.plots import new_figure, save_figure
from exitwave.topology import read_machine
from exitwave.topology.draw import draw_parts

COLOURS = {
    "tiles (ours)": "#1f77b4",
    "tiles at random": "#9ecae1",
    "stripes": "#d62728",
    "k-means": "#2ca02c",
    "replicas": "0.4",
}
MARKERS = {"tiles (ours)": "o", "stripes": "s", "k-means": "^", "replicas": "x"}
# Parallel efficiency from 2 to 12 GPUs without and with input and output, as quoted for PyNX.
PYNX = (12, 0.87, 0.78)
_DPI = 80


def parts(folder: Path) -> None:
    """The parts of the three scans on 64 devices."""
    figure = new_figure((13, 4.8))
    machine = read_machine(MACHINE)
    for axes, (name, positions_of) in zip(figure.subplots(1, 3), SCANS.items(), strict=True):
        draw_parts(axes, tiles(job_of(positions_of()), machine, LINK_DEVICES))
        axes.set_title(name, fontsize=11)
    figure.suptitle(f"64 parts on 8 nodes of {machine.name}: hue for a node, shade for a GPU")
    save_figure(figure, folder / "parts.png", _DPI)


def links(rows: Sequence[Row], folder: Path) -> None:
    """Bytes over each kind of link, a row of panels per machine."""
    figure = new_figure((13, 7.5))
    grid = figure.subplots(len(LINK_MACHINES), len(SCANS), sharex="row", squeeze=False)
    for panels, machine in zip(grid, LINK_MACHINES, strict=True):
        levels = [level.name for level in read_machine(machine).levels]
        for axes, scan in zip(panels, SCANS, strict=True):
            shown = select(rows, machine=machine, scan=scan)
            height = 0.8 / len(shown)
            for index, row in enumerate(shown):
                values = [row.level_bytes[name] / 1e6 for name in levels]
                place = np.arange(len(levels)) + (index - (len(shown) - 1) / 2) * height
                axes.barh(place, values, height, color=COLOURS[row.strategy], label=row.strategy)
            axes.set_yticks(range(len(levels)), levels)
            axes.invert_yaxis()
            axes.set_xscale("log")
            axes.set_xlim(1, 5e4)
            axes.grid(True, axis="x", color="0.9")
            axes.set_axisbelow(True)
            axes.set_title(f"{read_machine(machine).name}: {scan}", fontsize=10)
            if machine == LINK_MACHINES[-1]:
                axes.set_xlabel("MB of object sums per iteration")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save_figure(figure, folder / "links.png", _DPI)


def strong(rows: Sequence[Row], large: Sequence[Row], folder: Path) -> None:
    """Speed over numbers of GPUs."""
    figure = new_figure((13, 4.6))
    for axes, scan in zip(figure.subplots(1, 3, sharey=True), SCANS, strict=True):
        _curves(axes, select(rows, scan=scan), "speedup")
        if scan == "jittered raster":
            _large_frames(axes, large, "speedup")
        ends = [1, max(row.devices for row in rows)]
        axes.plot(ends, ends, ":", color="0.6", label="ideal")
        axes.set_yscale("log", base=2)
        axes.set_ylim(0.8, 6000)
        axes.set_yticks([1, 8, 64, 512, 4096], ["1", "8", "64", "512", "4096"])
        axes.set_title(scan, fontsize=11)
    figure.axes[0].set_ylabel("predicted speed over one GPU")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle("Strong scaling: 16,384 frames of 256 × 256, DM, 3 modes, DGX A100")
    save_figure(figure, folder / "strong.png", _DPI)


def efficiency(rows: Sequence[Row], large: Sequence[Row], folder: Path) -> None:
    """The same from 1 to 64 GPUs as efficiency, with published points."""
    figure = new_figure((6.5, 4.6))
    axes = figure.subplots()
    few = [row for row in select(rows, scan="jittered raster") if row.devices <= 64]
    _curves(axes, few, "efficiency")
    _large_frames(axes, [row for row in large if row.devices <= 64], "efficiency")
    devices, computing, with_files = PYNX
    axes.plot(devices, computing, "*", ms=13, color="k", label="PyNX, from 2 to 12 GPUs (quoted)")
    axes.plot(devices, with_files, "*", ms=13, mfc="w", color="k", label="the same with files")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("predicted efficiency")
    axes.set_title("Strong scaling, jittered raster", fontsize=11)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    save_figure(figure, folder / "efficiency.png", _DPI)


def memory(rows: Sequence[Row], folder: Path) -> None:
    """Largest memory of a GPU over numbers of GPUs."""
    figure = new_figure((13, 4.6))
    for axes, scan in zip(figure.subplots(1, 3, sharey=True), SCANS, strict=True):
        _curves(axes, select(rows, scan=scan), "memory_bytes", 1e-9)
        axes.set_yscale("log")
        axes.set_title(scan, fontsize=11)
    figure.axes[0].set_ylabel("GB on the GPU that holds most")
    figure.axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle("Memory: 16,384 frames of 256 × 256, DM, 3 modes")
    save_figure(figure, folder / "memory.png", _DPI)


def weak(rows: Sequence[Row], folder: Path) -> None:
    """Time and memory with 64 frames on each GPU."""
    figure = new_figure((11, 4.6))
    time, held = figure.subplots(1, 2)
    _curves(time, rows, "seconds", 1e3)
    time.set_yscale("log")
    time.set_yticks([3, 5, 10, 20, 50], ["3", "5", "10", "20", "50"], minor=False)
    time.set_yticks([], minor=True)
    time.set_ylabel("predicted ms per iteration")
    _curves(held, rows, "memory_bytes", 1e-9)
    held.set_yscale("log")
    held.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"], minor=False)
    held.set_yticks([], minor=True)
    held.set_ylabel("GB on the GPU that holds most")
    time.legend(frameon=False, fontsize=9)
    figure.suptitle("Weak scaling: 64 frames of 256 × 256 per GPU, jittered raster, DM, DGX A100")
    save_figure(figure, folder / "weak.png", _DPI)


def _large_frames(axes: Axes, rows: Sequence[Row], quantity: str) -> None:
    """Those that fit the memory of their GPUs; one alone streams."""
    shown = [row for row in rows if row.devices > 1]
    axes.plot(
        [row.devices for row in shown], [getattr(row, quantity) for row in shown], "--o", mfc="w",
        color=COLOURS["tiles (ours)"], ms=5, label="tiles (ours), 1024 × 1024",
    )  # fmt: skip


def _curves(axes: Axes, rows: Sequence[Row], quantity: str, unit: float = 1.0) -> None:
    for strategy in STRATEGIES:
        shown = select(rows, strategy=strategy)
        axes.plot(
            [row.devices for row in shown], [unit * getattr(row, quantity) for row in shown],
            marker=MARKERS[strategy], ms=5, lw=1.5, color=COLOURS[strategy], label=strategy,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = [n for n in (1, 4, 8, 16, 64, 512, 4096) if n <= max(row.devices for row in rows)]
    if ticks[-1] > 64:
        ticks = [n for n in ticks if n not in (4, 16)]
    axes.set_xticks(ticks, map(str, ticks))
    axes.set_xlabel("GPUs")
    axes.grid(True, color="0.92")
