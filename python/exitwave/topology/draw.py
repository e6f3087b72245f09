"""The parts of a scan as a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from exitwave.plots import new_figure, scale_bar
from exitwave.topology.cost import Prediction

Float64 = npt.NDArray[np.float64]

# Of the panel with the scan.
_WIDTH_POINTS = 430
_GOLDEN = (5**0.5 - 1) / 2


def draw(prediction: Prediction, *, title: str | None = None) -> Figure:
    """Parts over the scan, and where the time of an iteration goes.

    Parameters
    ----------
    prediction : Prediction
    title : str or None
        None: machine, devices, engine and time.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure((11.0, 6.2))
    scan, time = figure.subplots(1, 2, width_ratios=(1.6, 1))
    draw_parts(scan, prediction)
    draw_times(time, prediction)
    if title is None:
        job = prediction.job
        title = (
            f"{prediction.machine.name} · {len(prediction.parts)} devices · {job.engine} · "
            f"{1e3 * prediction.seconds:.3g} ms per iteration"
        )
    figure.suptitle(title, fontsize=12)
    return figure


def draw_parts(axes: Axes, prediction: Prediction) -> None:
    """Centres of the frames: a hue for each node, a shade for each device; one tile as outline."""
    job, halo = prediction.job, prediction.halo
    frame = np.array(job.frame_shape)
    centres = job.positions - job.positions.min(axis=0) + frame / 2
    colours = _colours(len(prediction.parts), prediction.machine.devices_per_node)
    of_frame = np.empty((job.frames, 4))
    for colour, frames in zip(colours, prediction.parts, strict=True):
        of_frame[frames] = colour
    # Squares as large as the distance of neighbours.
    spacing = _WIDTH_POINTS * np.sqrt(np.prod(np.ptp(centres, axis=0) + 1) / job.frames)
    size = float(np.clip(spacing / max(halo.object_shape), 0.5, 12)) ** 2
    axes.scatter(centres[:, 1], centres[:, 0], s=size, c=of_frame, lw=0, marker="s")
    middle = np.array(halo.object_shape) / 2
    distance = np.abs(halo.tiles[:, :2] + halo.tiles[:, 2:] - 2 * middle).sum(axis=1)
    y0, x0, y1, x1 = halo.tiles[int(distance.argmin())].astype(float)
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fc="none", ec="k", lw=1.6, ls="--"))
    rows, columns = halo.object_shape
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{len(colours)} parts of {job.frames} frames, and the tile of one", fontsize=11)
    scale_bar(axes, halo.object_shape)


def draw_times(axes: Axes, prediction: Prediction) -> None:
    """Bars of computing, streaming, and of the exchange over each level of links."""
    bars = [("compute", prediction.compute_seconds, "#4c72b0")]
    if 0 < prediction.stream_seconds < np.inf:
        bars.append((f"stream from {prediction.tier}", prediction.stream_seconds, "#8c8c8c"))
    for depth, level in enumerate(prediction.machine.levels):
        for name, traffic, colour in (
            ("halo", prediction.object_traffic, "#dd8452"),
            ("probe", prediction.probe_traffic, "#55a868"),
            ("scalars", prediction.scalar_traffic, "#c44e52"),
        ):
            if traffic.seconds[depth] > 0:
                bars.append((f"{name}, {level.name}", float(traffic.seconds[depth]), colour))
    names, seconds, colours = zip(*bars, strict=True)
    axes.barh(names, 1e3 * np.array(seconds), color=colours)
    axes.invert_yaxis()
    axes.set_xlabel("ms per iteration")
    axes.set_title("time", fontsize=11)
    axes.grid(True, axis="x", color="0.9")
    axes.set_axisbelow(True)


def _colours(parts: int, devices_per_node: int) -> Float64:
    """RGBA of each part."""
    nodes = -(-parts // devices_per_node)
    if nodes == 1:
        return np.asarray(colormaps["turbo"](np.arange(parts) * _GOLDEN % 1))
    hue = np.asarray(colormaps["turbo"](np.linspace(0.05, 0.95, nodes)))
    node, device = np.divmod(np.arange(parts), devices_per_node)
    # Neighbours in the order get shades far apart.
    shade = 0.65 * (device * _GOLDEN % 1)
    colours = hue[node]
    colours[:, :3] += (1 - colours[:, :3]) * shade[:, None]
    return np.asarray(colours)
