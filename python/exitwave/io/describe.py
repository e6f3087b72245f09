"""What a scan is, in numbers: counts, sampling, overlap, and the error that noise alone gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import acos, inf, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError
from exitwave.geometry import Geometry, Pair
from exitwave.io.dataset import Bool, Dataset, Float64
from exitwave.io.frames import FrameReader
from exitwave.poisson import HISTOGRAM_BINS, expected_deviation

if TYPE_CHECKING:
    from exitwave.prepare.centre import Centre

# Diameter by area of the root of a disc's autocorrelation, over the disc's own.
DISC_AUTOCORRELATION = sqrt(3.058)
SYMMETRIC = 0.9  # agreement of a mean frame with its inversion that shows where its centre is
SPECKLE_FRAMES = 64  # frames of which the autocorrelation is taken to estimate the probe's size


@dataclass
class DatasetInfo:
    """What :func:`describe` finds; ``rows()`` gives it as text.

    Attributes
    ----------
    total_counts, mean_counts_per_frame, max_counts : float
        Over valid pixels.
    probe_size_px : float or None
        Diameter of the disc with the probe's effective area, in object pixels (where these are not
        square: in square pixels of the same area).
    step_px : float or None
        Mean distance of a frame to its nearest neighbour, in the same pixels.
    overlap_linear, overlap_area : float or None
        Mean overlap of neighbouring probes of that diameter: ``1 - step / diameter``, and the
        common area of two such discs.
    oversampling : (float, float) or None
        Window over probe diameter, far field.
    poisson_limit : float or None
        Fourier error that counting noise alone leaves, see :func:`poisson_limit`.
    centre_px : (float, float) or None
        Far field: (row, column) about which the mean frame is symmetric, see
        :func:`exitwave.prepare.find_centre`; it belongs at ``(Y // 2, X // 2)``.
    """

    source: str
    format: str
    shape: tuple[int, int, int]
    dtype: str
    total_counts: float
    mean_counts_per_frame: float
    max_counts: float
    valid_pixels: int
    geometry: Geometry | None
    field_of_view_m: Pair | None
    object_shape: tuple[int, int]
    probe_size_px: float | None = None
    probe_size_from: str | None = None
    step_px: float | None = None
    overlap_linear: float | None = None
    overlap_area: float | None = None
    oversampling: Pair | None = None
    poisson_limit: float | None = None
    centre_px: Pair | None = None
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, str]]:
        """(label, value) lines for a table; what is not known is said to be unknown."""
        rows = [
            ("file", self.source),
            ("layout", self.format),
            *self._count_rows(),
            *_geometry_rows(self.geometry),
            ("field of view", _unknown(self.field_of_view_m, _lengths)),
            ("object shape", f"{self.object_shape[0]} x {self.object_shape[1]}"),
            ("probe diameter", self._probe_text()),
            ("step to nearest frame", _unknown(self.step_px, lambda step: f"{step:.4g} px")),
            ("overlap, linear", _unknown(self.overlap_linear, lambda part: f"{part:.0%}")),
            ("overlap, area", _unknown(self.overlap_area, lambda part: f"{part:.0%}")),
            ("centre of the frames", _unknown(self.centre_px, _pixels)),
            ("oversampling", _unknown(self.oversampling, lambda p: f"{p[0]:.3g} x {p[1]:.3g}")),
            ("Poisson limit of the error", _unknown(self.poisson_limit, lambda e: f"{e:.4g}")),
        ]
        return rows + [("note", note) for note in self.notes]

    def _count_rows(self) -> list[tuple[str, str]]:
        frames, height, width = self.shape
        if frames == 0:
            return [("frames", "none, start values only")]
        pixels = height * width
        return [
            ("frames", f"{frames} of {height} x {width}, {self.dtype}"),
            ("counts, total", f"{self.total_counts:.4g}"),
            ("counts per frame, mean", f"{self.mean_counts_per_frame:.4g}"),
            ("counts per pixel, maximum", f"{self.max_counts:.4g}"),
            ("valid pixels", f"{self.valid_pixels} of {pixels} ({self.valid_pixels / pixels:.1%})"),
        ]

    def _probe_text(self) -> str:
        if self.probe_size_px is None:
            return "unknown"
        text = f"{self.probe_size_px:.4g} px"
        if self.geometry is not None:
            text += f" = {length(self.probe_size_px * mean_pixel(self.geometry))}"
        return f"{text} (from {self.probe_size_from})"


def describe(dataset: Dataset) -> DatasetInfo:
    """Look through a scan once, in chunks, and say what it holds.

    Raises
    ------
    FileFormatError
        Frames cannot be read.
    """
    positions, geometry = dataset.positions_px, dataset.geometry
    height, width = dataset.frame_shape
    mask = np.ones((height, width), bool) if dataset.mask is None else dataset.mask
    object_shape = _object_shape(dataset)
    info = DatasetInfo(
        source=dataset.source,
        format=dataset.format,
        shape=(dataset.data.shape[0], height, width),
        dtype=str(dataset.data.dtype),
        total_counts=0.0,
        mean_counts_per_frame=0.0,
        max_counts=0.0,
        valid_pixels=int(mask.sum()),
        geometry=geometry,
        field_of_view_m=None if geometry is None else geometry.field_of_view_m(object_shape),
        object_shape=object_shape,
        step_px=mean_nearest_distance(positions * _anisotropy(geometry)),
        notes=list(dataset.notes),
    )
    mean = None
    # Absurd counts (a damaged file, a wrong dataset) overflow; the rows then say so.
    with np.errstate(over="ignore", invalid="ignore"):
        if len(dataset.data):
            mean = _count(_reader(dataset), dataset.source, mask, info)
            if geometry is None or geometry.regime == "far":
                _measure_centre(mean, mask, info)
        _measure_probe(dataset, mean, mask, info)
    return info


def poisson_limit(histogram: npt.ArrayLike, total_counts: float) -> float:
    """Fourier error that a perfect model has under counting noise alone, 0 without counts.

    ``histogram`` is that of :func:`exitwave.poisson.expected_deviation`, ``total_counts`` the sum
    of the counts of valid pixels.
    """
    return expected_deviation(histogram) / total_counts if total_counts > 0 else 0.0


def mean_nearest_distance(positions_px: Float64) -> float | None:
    """Mean distance from a frame to its nearest neighbour; None for a single frame."""
    if len(positions_px) < 2:
        return None
    from scipy.spatial import KDTree

    distances, _ = KDTree(positions_px).query(positions_px, k=2)
    return float(distances[:, 1].mean())


def overlap_of_discs(step: float, diameter: float) -> float:
    """Common area of two discs of one diameter whose centres are ``step`` apart, over one's."""
    part = min(step / diameter, 1.0)
    return 2 / pi * (acos(part) - part * sqrt(1 - part * part))


def effective_diameter(weight: npt.NDArray[Any]) -> float | None:
    """Diameter in pixels of the disc whose area is ``(sum w)^2 / sum w^2``; a disc's own."""
    weight = np.asarray(weight, dtype=np.float64)
    square = float((weight**2).sum())
    if not (0 < square < inf):
        return None
    return 2 * sqrt(float(weight.sum()) ** 2 / square / pi)


def mean_pixel(geometry: Geometry) -> float:
    """Side of a square with the area of an object pixel, metres: the unit of px in diameters."""
    return sqrt(geometry.pixel_size_m[0] * geometry.pixel_size_m[1])


def length(metres: float) -> str:
    """A length with a unit that suits it: "30.16 nm"."""
    for factor, unit in ((1.0, "m"), (1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm")):
        if abs(metres) >= factor:
            return f"{metres / factor:.4g} {unit}"
    return f"{metres / 1e-12:.4g} pm"


def _object_shape(dataset: Dataset) -> tuple[int, int]:
    """Shape of the start object, else the smallest that holds all windows."""
    if dataset.object is not None:
        return dataset.object.shape[-2], dataset.object.shape[-1]
    reach = np.floor(np.ptp(dataset.positions_px, axis=0) + 0.5).astype(int)
    height, width = dataset.frame_shape
    return int(reach[0]) + height, int(reach[1]) + width


def _reader(dataset: Dataset) -> FrameReader:
    try:
        return FrameReader(dataset.data)
    except FileFormatError as error:
        raise FileFormatError(f"{dataset.source}: {error}") from error


def _count(reader: FrameReader, source: str, mask: Bool, info: DatasetInfo) -> Float64:
    """Fill in the counts; returns the mean pattern, 0 where the mask is False."""
    total = np.zeros(reader.frame_shape)
    histogram = np.zeros(HISTOGRAM_BINS)
    highest, lowest, finite = -np.inf, np.inf, True
    try:
        for block in reader.blocks(range(reader.count)):
            known = valid = block[:, mask]
            if block.dtype.kind == "f":
                known = np.rint(valid[np.isfinite(valid)])
                finite = finite and known.size == valid.size
            if known.size:
                highest = max(highest, float(known.max()))
                lowest = min(lowest, float(known.min()))
            total += block.sum(axis=0, dtype=np.float64)
            whole = np.clip(known, 0, HISTOGRAM_BINS - 1).astype(np.uint8)
            histogram += np.bincount(whole.ravel(), minlength=HISTOGRAM_BINS)
    except FileFormatError as error:
        raise FileFormatError(f"{source}: {error}") from error
    total[~mask] = 0
    info.total_counts = float(total.sum())
    info.mean_counts_per_frame = info.total_counts / reader.count
    info.max_counts = highest
    info.poisson_limit = poisson_limit(histogram, info.total_counts)
    if not finite:
        info.notes.append("valid counts that are not finite are there; mask those pixels.")
    if lowest < 0:
        info.notes.append(f"valid counts are negative, down to {lowest:g}; mask those pixels.")
    if info.total_counts == 0:
        info.notes.append("all valid counts are zero.")
    return total / reader.count


def _measure_centre(mean: Float64, mask: Bool, info: DatasetInfo) -> None:
    """Where far-field frames have their zero frequency; at a corner is the commonest mistake."""
    if not 0 < mean.sum() < inf:
        return
    from exitwave.prepare.centre import find_centre

    found = find_centre(mean, mask)
    info.centre_px = (found.row, found.column)
    height, width = mean.shape
    middle = mean[height // 4 : height - height // 4, width // 4 : width - width // 4].sum()
    turned = np.fft.fftshift(mean)
    corner = turned[height // 4 : height - height // 4, width // 4 : width - width // 4].sum()
    if corner > 3 * middle:
        info.notes.append(
            "the brightest part is at the frames' corners, but the zero frequency belongs in the "
            "middle; apply numpy.fft.fftshift to the frames."
        )
    elif _is_off(found, (height, width)):
        info.notes.append(
            f"the frames seem to be centred at ({found.row:.1f}, {found.column:.1f}), but the zero "
            f"frequency belongs at ({height // 2}, {width // 2}); the option centre moves it there."
        )


def _measure_probe(dataset: Dataset, mean: Float64 | None, mask: Bool, info: DatasetInfo) -> None:
    """Probe size, and what follows from it: overlap and oversampling."""
    geometry = dataset.geometry
    near = geometry is not None and geometry.regime == "near"
    size = None
    if dataset.probe is not None:
        size = effective_diameter((np.abs(dataset.probe) ** 2).sum(axis=0))
        info.probe_size_from = "the start probe"
    elif mean is not None and near:
        size = effective_diameter(mean)
        info.probe_size_from = "the mean frame"
    elif mean is not None:
        size = _size_from_speckle(_reader(dataset), mask)
        info.probe_size_from = "the speckle of the frames, a rough estimate"
    if not size:
        info.probe_size_from = None
        return
    info.probe_size_px = size
    if info.step_px is not None:
        info.overlap_linear = max(0.0, 1 - info.step_px / size)
        info.overlap_area = overlap_of_discs(info.step_px, size)
    if not near:
        shape = dataset.frame_shape
        sampled = geometry or Geometry("far", (1.0, 1.0))
        info.oversampling = sampled.oversampling(shape, size * mean_pixel(sampled))


def _size_from_speckle(reader: FrameReader, mask: Bool) -> float | None:
    """Probe diameter in object pixels from how the far-field frames differ.

    The inverse transform of a frame is the autocorrelation of its exit wave. From frame to frame
    its variance at a shift r is, for an object without long-range order, the autocorrelation of
    the probe's intensity at r, whatever the probe's phase, plus a constant from counting noise.
    Smooth objects raise the variance at small r, so its root is taken, which has the same extent
    and a lower peak. The extent is then compared with that of a flat disc. On simulated pictures
    with probes of many kinds this is right to 20 %, for a focus up to a factor of 2 too large.
    """
    wanted = range(0, reader.count, max(1, reader.count // SPECKLE_FRAMES))
    if len(wanted) < 2:
        return None
    counts = first = second = 0.0
    for block in reader.blocks(wanted):
        valid = np.where(mask & np.isfinite(block), block, 0).astype(np.float64)
        waves = np.fft.ifft2(valid)
        counts = counts + valid.sum()
        first = first + waves.sum(axis=0)
        second = second + (waves.real**2 + waves.imag**2).sum(axis=0)
    noise = counts / len(wanted) / mask.size**2
    variance = second / len(wanted) - np.abs(first / len(wanted)) ** 2 - noise
    variance[0, 0] = 0  # the frames' power, which a drifting beam changes
    variance[variance < 4 * noise / sqrt(len(wanted))] = 0
    size = effective_diameter(np.sqrt(variance))
    return None if size is None else size / DISC_AUTOCORRELATION


def _anisotropy(geometry: Geometry | None) -> Float64:
    """(row, column) factors from object pixels to square pixels of the same area."""
    if geometry is None:
        return np.ones(2)
    return np.asarray(geometry.pixel_size_m) / mean_pixel(geometry)


def _geometry_rows(geometry: Geometry | None) -> list[tuple[str, str]]:
    if geometry is None:
        return [("geometry", "unknown")]
    rows = [("regime", geometry.regime), ("object pixel", _lengths(geometry.pixel_size_m))]
    if geometry.energy_ev is not None and geometry.wavelength_m is not None:
        wavelength = length(geometry.wavelength_m)
        what = "electrons of " if geometry.radiation == "electron" else ""
        rows.append(("energy", f"{what}{geometry.energy_ev / 1e3:.5g} keV ({wavelength})"))
    if geometry.distance_m is not None:
        rows.append(("distance to detector", length(geometry.distance_m)))
    if geometry.detector_pixel_m is not None:
        rows.append(("detector pixel", _lengths(geometry.detector_pixel_m)))
    if geometry.focus_distance_m is not None:
        focus = f"{length(geometry.focus_distance_m)} (magnified {geometry.magnification:.4g} x)"
        rows.append(("focus to sample", focus))
    return rows


def _lengths(pair: Pair) -> str:
    return length(pair[0]) if pair[0] == pair[1] else f"{length(pair[0])} x {length(pair[1])}"


def _is_off(found: Centre, shape: tuple[int, int]) -> bool:
    """Whether a clearly symmetric pattern has its centre elsewhere than in the middle."""
    off = max(abs(found.row - shape[0] // 2), abs(found.column - shape[1] // 2))
    return found.agreement > SYMMETRIC and off > 1


def _pixels(pair: Pair) -> str:
    return f"({pair[0]:.2f}, {pair[1]:.2f}) px by symmetry"


def _unknown(value: Any, shown: Any) -> str:
    return "unknown" if value is None else str(shown(value))
