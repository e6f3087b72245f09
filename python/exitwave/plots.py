"""Pictures of reconstructions, made without a screen and without global state.

For display the object's mean phase ramp and median phase are taken away (they are gauge, not
object), it is cropped to the scanned region, and pixels that no probe reaches stay grey.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.metrics import illumination, scan_region

if TYPE_CHECKING:
    from exitwave.resolution import RingCorrelation
    from exitwave.result import Result

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
PixelSize = checks.Pair | None

PHASE_MAP = "twilight_shifted"
_UNREACHED = "0.82"
# Part of the mean illumination above which a pixel counts as scanned, for display.
_REACHED = 0.1
_MODES_SHOWN = 6
_UNITS = ((1.0, "m"), (1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm"), (1e-12, "pm"))


def plot_result(result: Result, *, title: str | None = None) -> Figure:
    """Object, probe modes, scan and errors in one figure; of a thick object the product of slices.

    Parameters
    ----------
    result : exitwave.Result
    title : str or None
        Above the panels; None: name of the data file, frames, and final error.

    Returns
    -------
    matplotlib.figure.Figure
    """
    result = result.on_host()
    obj = _first_mode(result.transmission)
    pixel = result.pixel_size_m
    reached = scan_region(
        result.positions, result.probe.shape[-2:], (obj.shape[0], obj.shape[1]), result.probe,
        _REACHED,
    )  # fmt: skip
    figure = new_figure((13.5, 8.6))
    [upper], [lower] = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.45, 1))
    amplitude, phase, scan = upper.subplots(1, 3)
    plot_amplitude(amplitude, obj, reached, pixel)
    plot_phase(phase, obj, reached, pixel)
    plot_scan(scan, result.positions, result.probe, (obj.shape[0], obj.shape[1]), pixel)
    modes = len(result.probe) if result.probe.ndim == 3 else 1
    widths = ((1.2, 1.6, 2.5)[min(modes, 3) - 1], 1.3)
    [[left, right]] = lower.subfigures(1, 2, squeeze=False, width_ratios=widths)
    plot_probe(left, result.probe, pixel)
    plot_errors(right.subplots(), result.errors, result.engines)
    if title is None:
        source = f"{Path(result.source).name} · " if result.source else ""
        title = (
            f"{source}{len(result.positions)} frames · {' → '.join(result.engines)} · "
            f"Fourier error {result.error:.3g}"
        )
    figure.suptitle(title, fontsize=12)
    return figure


def plot_amplitude(
    axes: Axes, obj: Array, region: Mask | None = None, pixel_size_m: PixelSize = None
) -> None:
    """Amplitude of an object (A, B) or of the strongest of its modes (K, A, B).

    Parameters
    ----------
    axes : matplotlib Axes
    obj : complex
    region : bool, shape (A, B), or None
        Scanned pixels: the picture is cropped to them and others stay grey.
    pixel_size_m : float or (row, column), metres, or None
        For the scale bar; None: pixels.
    """
    image, inside, _ = _cropped(_first_mode(obj), region)
    amplitude = np.abs(image)
    low, high = _limits(amplitude[inside])
    drawn = _show(axes, np.where(inside, amplitude, np.nan), pixel_size_m, "gray", low, high)
    axes.set_title("object amplitude")
    _colour_bar(axes, drawn)
    scale_bar(axes, (image.shape[0], image.shape[1]), pixel_size_m)


def plot_phase(
    axes: Axes, obj: Array, region: Mask | None = None, pixel_size_m: PixelSize = None
) -> None:
    """Phase of an object, free of ramp and median, in a cyclic colour map.

    Parameters as :func:`plot_amplitude`. Phases that stay within a quarter turn of their median
    get a narrower colour scale.
    """
    image, inside, _ = _cropped(_first_mode(obj), region)
    phase = np.angle(flattened(image, inside))
    spread = float(np.quantile(np.abs(phase[inside]), 0.995))
    limit = math.pi if spread > math.pi / 2 else max(spread, 1e-3)
    drawn = _show(axes, np.where(inside, phase, np.nan), pixel_size_m, PHASE_MAP, -limit, limit)
    axes.set_title("object phase")
    bar = _colour_bar(axes, drawn)
    if limit == math.pi:
        bar.set_ticks([-math.pi, -math.pi / 2, 0, math.pi / 2, math.pi])
        bar.set_ticklabels(["−π", "−π/2", "0", "π/2", "π"])
    else:
        bar.set_label("rad")
    scale_bar(axes, (image.shape[0], image.shape[1]), pixel_size_m)


def plot_probe(figure: Figure | SubFigure, probe: Array, pixel_size_m: PixelSize = None) -> None:
    """Probe modes: hue is phase, brightness amplitude, each on its own scale; power in per cent.

    Parameters
    ----------
    figure : matplotlib Figure or SubFigure
        Gets one panel per mode, six at most.
    probe : complex, shape (Y, X) or (M, Y, X)
    pixel_size_m : float or (row, column), metres, or None
    """
    waves = checks.image("probe", probe, stack=True)
    stack = waves if waves.ndim == 3 else waves[None]
    power = np.sum(np.abs(stack.astype(np.complex128)) ** 2, axis=(1, 2))
    order = np.argsort(-power, kind="stable")[:_MODES_SHOWN]
    rows = 1 if len(order) < 4 else 2
    grid = figure.subplots(rows, math.ceil(len(order) / rows), squeeze=False)
    panels = grid.ravel()[: len(order)]
    for empty in grid.ravel()[len(order) :]:
        empty.set_axis_off()
    for panel, mode in zip(panels, order, strict=True):
        _show(panel, complex_to_rgb(stack[mode]), pixel_size_m)
        share = 100 * power[mode] / power.sum() if power.sum() > 0 else 0.0
        name = "probe" if len(stack) == 1 else f"mode {mode + 1}: {share:.3g} %"
        panel.set_title(name, fontsize=11 if len(order) < 4 else 9)
    scale_bar(panels[0], (stack.shape[1], stack.shape[2]), pixel_size_m)
    _colour_wheel(panels[-1])
    if len(stack) > len(order):
        figure.suptitle(f"{len(order)} strongest of {len(stack)} modes", fontsize=9)


def plot_errors(axes: Axes, errors: Sequence[Array], engines: Sequence[str]) -> None:
    """Fourier error over iterations, one curve per engine, logarithmic."""
    if len(errors) != len(engines):
        raise InvalidArgument(
            f"errors had {len(errors)} curves, but engines had {len(engines)} names: give one each."
        )
    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    start = 0
    for index, (curve, name) in enumerate(zip(errors, engines, strict=True)):
        values = np.asarray(curve, dtype=np.float64)
        steps = start + np.arange(1, values.size + 1)
        visible = np.where(values > 0, values, np.nan)
        marker = "o" if values.size < 4 else "none"
        colour = colours[index % 10]
        axes.plot(steps, visible, marker=marker, ms=4, lw=1.6, color=colour, label=name)
        if start:
            axes.axvline(start + 0.5, color="0.75", lw=0.8, zorder=0)
        start += values.size
    if any(np.any(np.asarray(curve) > 0) for curve in errors):
        axes.set_yscale("log")
    axes.set_xlim(0.5, max(start, 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("iteration")
    axes.set_title("Fourier error")
    axes.grid(True, which="major", color="0.9")
    axes.grid(True, which="minor", color="0.95", lw=0.5)
    axes.set_axisbelow(True)
    if errors:
        axes.legend(frameon=False, fontsize=9)


def plot_scan(
    axes: Axes,
    positions_px: Array,
    probe: Array,
    object_shape: tuple[int, int],
    pixel_size_m: PixelSize = None,
) -> None:
    """Centres of the frames over the intensity of all probes together.

    Parameters
    ----------
    axes : matplotlib Axes
    positions_px : (N, 2)
    probe : complex, shape (Y, X) or (M, Y, X)
    object_shape : (A, B)
    pixel_size_m : float or (row, column), metres, or None
    """
    points = checks.positions("positions_px", positions_px)
    light = illumination(points, probe, object_shape)
    frame = np.array(np.shape(probe)[-2:])
    reached = scan_region(points, (frame[0], frame[1]), object_shape, probe, _REACHED)
    image, _, origin = _cropped(light / max(light.max(), 1e-300), reached)
    _show(axes, image, pixel_size_m, "bone", 0, 1)
    centres = points + frame // 2 - np.array(origin)
    size = float(np.clip(2400 / len(points), 1.0, 14.0))
    axes.scatter(centres[:, 1], centres[:, 0], s=size, color="#ff7f0e", lw=0)
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)
    axes.set_title(f"illumination and {len(points)} positions")
    scale_bar(axes, (image.shape[0], image.shape[1]), pixel_size_m)


def plot_frc(axes: Axes, ring: RingCorrelation, unit: str = "px") -> None:
    """Fourier ring correlation with half-bit and one-bit curves.

    Parameters
    ----------
    axes : matplotlib Axes
    ring : RingCorrelation
    unit : str
        Name of the unit of the pixel size that was given to :func:`exitwave.metrics.frc`.
    """
    axes.plot(ring.frequency, ring.correlation, lw=1.6, color="#1f77b4", label="correlation")
    axes.plot(ring.frequency, ring.half_bit, "--", lw=1.2, color="#d62728", label="half bit")
    axes.plot(ring.frequency, ring.one_bit, ":", lw=1.2, color="0.35", label="one bit")
    resolution = ring.resolution()
    if resolution is not None:
        axes.axvline(1 / (2 * resolution), color="0.7", lw=0.8)
    text = "beyond the pixel" if resolution is None else f"{resolution:.3g} {unit}"
    axes.set_title(f"half period at half bit: {text}")
    axes.set_xlabel(f"spatial frequency (1/{unit})")
    axes.set_xlim(0, ring.frequency[-1])
    axes.set_ylim(min(-0.05, float(ring.correlation.min())), 1.05)
    axes.grid(True, color="0.92")
    axes.legend(frameon=False, fontsize=9)


def complex_to_rgb(image: Array, largest: float | None = None) -> Float:
    """Colours (A, B, 3) from 0 to 1: hue is the phase, brightness the amplitude.

    Parameters
    ----------
    image : complex, shape (A, B)
    largest : float or None
        Amplitude of full brightness; None: the largest.
    """
    wave = checks.image("image", image).astype(np.complex128)
    amplitude = np.abs(wave)
    top = float(amplitude.max()) if largest is None else checks.number("largest", largest, above=0)
    value = np.clip(amplitude / top, 0, 1) if top > 0 else np.zeros(wave.shape)
    hue = np.mod(np.angle(wave) / (2 * np.pi), 1.0)
    saturation = np.full(wave.shape, 0.9)
    return np.asarray(hsv_to_rgb(np.stack([hue, saturation, value], axis=-1)))


def flattened(image: Array, region: Mask | None = None) -> npt.NDArray[np.complex128]:
    """Image (A, B) without its phase ramp and median phase in the region.

    The ramp is the place of the spectrum's peak near the mean phase step from pixel to pixel,
    which wraps do not disturb.
    """
    wave = checks.image("image", image).astype(np.complex128)
    inside = np.ones(wave.shape, dtype=bool) if region is None else region
    lit = np.where(inside, wave, 0)
    step = [np.angle(np.vdot(lit[:-1], lit[1:])), np.angle(np.vdot(lit[:, :-1], lit[:, 1:]))]
    cycles = np.array([n * k / (2 * np.pi) for n, k in zip(lit.shape, step, strict=True)])
    for reach in (4.0, 0.25, 1 / 64):
        trials = [c + np.linspace(-reach, reach, 33) for c in cycles]
        rows, columns = (
            np.exp(-2j * np.pi * np.outer(t, np.arange(n)) / n)
            for t, n in zip(trials, lit.shape, strict=True)
        )
        spectrum = np.abs(rows @ lit @ columns.T)
        best = np.unravel_index(int(np.argmax(spectrum)), spectrum.shape)
        cycles = np.array([trial[index] for trial, index in zip(trials, best, strict=True)])
    y, x = (
        np.exp(-2j * np.pi * c * np.arange(n) / n) for c, n in zip(cycles, lit.shape, strict=True)
    )
    wave *= y[:, None] * x[None, :]
    wave *= np.exp(-1j * np.angle(wave[inside].sum()))
    return np.asarray(wave * np.exp(-1j * np.median(np.angle(wave[inside]))))


def scale_bar(axes: Axes, shape: tuple[int, int], pixel_size_m: PixelSize = None) -> None:
    """Bar of a round length, about a fifth of the picture's width, in its lower left corner."""
    width = 1.0 if pixel_size_m is None else checks.pair("pixel_size_m", pixel_size_m)[1]
    length = _round_length(0.28 * shape[1] * width)
    if pixel_size_m is None:
        text = f"{length:g} px"
    else:
        factor, unit = next((u for u in _UNITS if length >= 0.9999 * u[0]), _UNITS[-1])
        text = f"{length / factor:.4g} {unit}"
    size = length / width / shape[1]
    place = axes.transAxes
    axes.add_patch(
        Rectangle((0.035, 0.03), size + 0.03, 0.095, transform=place, fc="k", alpha=0.55, lw=0)
    )
    axes.add_patch(Rectangle((0.05, 0.045), size, 0.014, transform=place, fc="white", lw=0))
    # Over a short bar in a small panel a centred text would leave the picture.
    middle, align = (0.05 + size / 2, "center") if size > 0.12 else (0.05, "left")
    axes.text(middle, 0.068, text, transform=place, color="white", ha=align, fontsize=9)


def new_figure(size_inches: tuple[float, float] = (6.4, 4.8)) -> Figure:
    """Figure with its own canvas: no window, no pyplot, safe in batch jobs and threads."""
    figure = Figure(figsize=size_inches, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: float = 150) -> None:
    """Write a figure; the ending of the name decides the format (png, pdf, svg, ...)."""
    ending = Path(path).suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if ending not in known:
        raise InvalidArgument(
            f"path was {str(path)!r}, but must end in one of {', '.join(sorted(known))}."
        )
    figure.savefig(path, dpi=checks.number("dpi", dpi, above=0))


def _first_mode(obj: Array) -> Array:
    """Object (A, B): itself, or the strongest of its modes."""
    array = np.asarray(obj)
    if array.ndim == 2:
        return checks.image("obj", array)
    stack = array.reshape(-1, *array.shape[-2:])
    return checks.image("obj", stack[int(np.argmax(np.sum(np.abs(stack) ** 2, axis=(1, 2))))])


def _cropped(image: Array, region: Mask | None) -> tuple[Array, Mask, tuple[int, int]]:
    """Image and region cut to the region's bounds, and the first row and column."""
    if region is None:
        return image, np.ones(image.shape, dtype=bool), (0, 0)
    inside = checks.mask("region", region, image.shape)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return image[box], inside[box], (int(rows[0]), int(columns[0]))


def _limits(values: Array) -> tuple[float, float]:
    """Colour limits that ignore half a per cent at both ends."""
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _show(
    axes: Axes,
    image: Array,
    pixel_size_m: PixelSize,
    colours: str | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    row, column = (1.0, 1.0) if pixel_size_m is None else checks.pair("pixel_size_m", pixel_size_m)
    colour_map = None if colours is None else colormaps[colours].with_extremes(bad=_UNREACHED)
    drawn = axes.imshow(
        image, cmap=colour_map, vmin=low, vmax=high, aspect=row / column, interpolation="nearest"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    return drawn


def _colour_bar(axes: Axes, drawn: Any) -> Any:
    bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)
    return bar


def _colour_wheel(axes: Axes) -> None:
    """Key to hue and brightness in the upper right corner."""
    inset = axes.inset_axes((0.76, 0.76, 0.22, 0.22))
    y, x = np.mgrid[1:-1:97j, -1:1:97j]
    radius = np.hypot(y, x)
    colours = np.ones((97, 97, 4))
    colours[..., :3] = complex_to_rgb((x + 1j * y) * (radius <= 1), largest=1.0)
    colours[..., 3] = np.clip((1 - radius) * 48, 0, 1)
    inset.imshow(colours, interpolation="bilinear")
    inset.set_axis_off()


def _round_length(length: float) -> float:
    """Largest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10 ** math.floor(math.log10(length))
    return float(max(step for step in (1, 2, 5) if step * power <= length * 1.0001) * power)
