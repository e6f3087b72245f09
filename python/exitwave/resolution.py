"""Fourier ring correlation of two reconstructions and the resolution it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from exitwave import checks
from exitwave.alignment import Region, align, as_region
from exitwave.errors import InvalidArgument
from exitwave.propagate import frequencies

Float = npt.NDArray[np.float64]

# Signal-to-noise ratio of each of the two images at the threshold (van Heel & Schatz 2005).
_RATIO = {"half_bit": (2**0.5 - 1) / 2, "one_bit": 0.5}


@dataclass(frozen=True)
class RingCorrelation:
    """Fourier ring correlation and its thresholds.

    Attributes
    ----------
    frequency : float64, shape (R,)
        Cycles per unit of the pixel size, from 0 to the smaller Nyquist frequency.
    correlation : float64, shape (R,)
    pixels : float64, shape (R,)
        Independent Fourier pixels of each ring, less than there are because of the apodisation.
    half_bit, one_bit : float64, shape (R,)
        Thresholds of van Heel & Schatz, J. Struct. Biol. 151, 250 (2005), for two images of half
        of the data each.
    """

    frequency: Float
    correlation: Float
    pixels: Float
    half_bit: Float
    one_bit: Float

    def resolution(self, threshold: str = "half_bit") -> float | None:
        """Half period at which the correlation first falls below the threshold.

        In the unit of the pixel size; None where it stays above up to the Nyquist frequency.
        """
        checks.choice("threshold", threshold, _RATIO)
        excess = self.correlation - getattr(self, threshold)
        # The first ring holds the mean, which apodisation has mixed with its neighbours.
        below = np.flatnonzero(excess[1:] < 0) + 1
        if below.size == 0:
            return None
        last = int(below[0])
        step = excess[last - 1] / (excess[last - 1] - excess[last]) if excess[last - 1] > 0 else 0.0
        crossing = self.frequency[last - 1] + step * (
            self.frequency[last] - self.frequency[last - 1]
        )
        return float(1 / (2 * max(crossing, self.frequency[1])))


def frc(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    region: Region = None,
    *,
    pixel_size: checks.Pair = 1.0,
    edge_px: float | None = None,
    align_images: bool = True,
) -> RingCorrelation:
    """Fourier ring correlation of two images, for instance of two halves of the data.

    Parameters
    ----------
    first, second : complex or real, shape (A, B)
    region : bool, shape (A, B), or two slices, or None
        None: the middle three quarters of each axis.
    pixel_size : float or (row, column)
        Pixel in any unit; frequencies and resolution are in it.
    edge_px : float or None
        Width over which the images fade out inside the region; None: a quarter of its smaller side.
    align_images : bool
        Bring the first into the gauge of the second before.

    Returns
    -------
    RingCorrelation

    Raises
    ------
    InvalidArgument
        Shapes differ, or the region is too small for three rings.
    """
    one, other = checks.image("first", first), checks.image("second", second)
    if one.shape != other.shape:
        raise InvalidArgument(
            f"first had shape {one.shape} and second {other.shape}, but both must be the same."
        )
    inside = as_region(region, (one.shape[0], one.shape[1]))
    if align_images:
        one = align(one, other, inside).image
    rows, columns = ndimage.find_objects(inside.astype(np.int8))[0]
    window = _window(inside[rows, columns], edge_px)
    shape = (window.shape[0], window.shape[1])
    spectra = []
    for image in (one, other):
        patch = image[rows, columns]
        spectra.append(fft.fft2(window * (patch - np.sum(window * patch) / window.sum())))

    u, v = frequencies(shape, pixel_size)
    pixel = checks.pair("pixel_size", pixel_size)
    width = max(1 / (n * p) for n, p in zip(shape, pixel, strict=True))
    rings = int(1 / (2 * max(pixel)) / width) + 1
    if rings < 4:
        raise InvalidArgument(f"region was {shape} pixels, but must be at least 8 x 8 for rings.")
    ring = np.minimum(np.round(np.hypot(u, v) / width).astype(np.int64), rings)

    def total(values: npt.NDArray[Any]) -> Float:
        sums = np.bincount(ring.ravel(), values.ravel(), minlength=rings + 1)
        return np.asarray(sums[:rings], dtype=np.float64)

    power = [total(np.abs(spectrum) ** 2) for spectrum in spectra]
    norm = np.sqrt(power[0] * power[1])
    cross = total((spectra[0] * spectra[1].conj()).real)
    correlation = np.divide(cross, norm, out=np.zeros(rings), where=norm > 0)
    pixels = np.maximum(_independent_pixels(ring, window, rings), 1)
    return RingCorrelation(
        frequency=np.arange(rings) * width,
        correlation=correlation,
        pixels=pixels,
        half_bit=threshold_curve(pixels, _RATIO["half_bit"]),
        one_bit=threshold_curve(pixels, _RATIO["one_bit"]),
    )


def _independent_pixels(ring: npt.NDArray[np.int64], window: Float, rings: int) -> Float:
    """Number of independent Fourier pixels of each ring.

    Apodisation correlates neighbours: pixels q and q' by |W(q - q')|^2, W the transform of the
    window's square. A ring of n pixels counts as n^2 / sum over its pairs of |W / W(0)|^2.
    """
    correlation = np.abs(fft.fft2(window**2)) ** 2
    correlation /= correlation[0, 0]
    count = np.bincount(ring.ravel(), minlength=rings + 1)[:rings].astype(np.float64)
    pairs = np.zeros(rings)
    for row in range(-2, 3):
        for column in range(-2, 3):
            both = ring[ring == np.roll(ring, (row, column), axis=(0, 1))]
            pairs += correlation[row, column] * np.bincount(both, minlength=rings + 1)[:rings]
    return count**2 / pairs


def threshold_curve(pixels: Float, signal_to_noise: float) -> Float:
    """(s + (2 sqrt(s) + 1) / sqrt(n)) / (s + 1 + 2 sqrt(s) / sqrt(n)), van Heel & Schatz eq. 17."""
    root = 2 * np.sqrt(signal_to_noise / pixels)
    return np.asarray((signal_to_noise + root + 1 / np.sqrt(pixels)) / (signal_to_noise + 1 + root))


def _window(inside: npt.NDArray[np.bool_], edge_px: float | None) -> Float:
    """1 in the middle of the region, falling to 0 towards its edge."""
    if edge_px is None:
        edge_px = min(inside.shape) / 4
    checks.number("edge_px", edge_px, above=0)
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] - 0.5
    return np.asarray(np.sin(np.pi / 2 * np.clip(distance / edge_px, 0, 1)) ** 2)
