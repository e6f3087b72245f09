"""Gauge of a reconstruction: complex factor, linear phase ramp and common shift.

A reconstruction is defined up to these three; every comparison with a truth removes them first,
or it measures the gauge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.propagate import frequencies, shift, shift_phase

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Region = Mask | tuple[slice, slice] | None

# Around the region the images stay as they are for _GUARD_PX and then fade to zero by _FADE_PX, so
# that nothing outside rings into it when it is shifted.
_GUARD_PX = 3
_FADE_PX = 24
# The first guess is made on images of at most this size.
_COARSE_PX = 384
# Steps of shift (pixels) and ramp (radians across the patch) below which it stands still.
_TOLERANCE = 1e-9
_ITERATIONS = 60


@dataclass(frozen=True)
class Alignment:
    """An image in the gauge of a reference, and how it came there.

    ``image = factor * shift(original * exp(-i ramp . (r - centre)), shift_px)`` with the centre at
    (A//2, B//2).

    Attributes
    ----------
    image : complex128, shape of the original
    factor : complex
    shift_px : (row, column), pixels
        By how much the content was moved.
    ramp_rad_per_px : (row, column), radians per pixel
        Phase ramp that was taken away.
    error : float
        norm(image - reference) / norm(reference) inside the region.
    converged : bool
        False: the images are too different for a unique alignment.
    """

    image: Complex
    factor: complex
    shift_px: tuple[float, float]
    ramp_rad_per_px: tuple[float, float]
    error: float
    converged: bool

    def apply(self, image: npt.NDArray[Any]) -> Complex:
        """Another image (..., A, B) of the same reconstruction in the same gauge."""
        return _apply(image, self.factor, self.shift_px, self.ramp_rad_per_px)


def align(image: npt.NDArray[Any], reference: npt.NDArray[Any], region: Region = None) -> Alignment:
    """Bring an image into the gauge of a reference.

    Removes factor, phase ramp and sub-pixel shift, which are refined together in double precision
    until they stand still: there the difference is orthogonal to every small change of the
    reference's gauge. Ramps of many cycles and shifts of many pixels are found first, from the
    correlation of the spectra and of the images.

    Parameters
    ----------
    image : complex, shape (A, B), or (K, A, B) with one gauge for all K
    reference : complex, the same shape
    region : bool, shape (A, B), or two slices, or None
        Where to compare. It should lie well inside the scan, see
        :func:`exitwave.metrics.scan_region`; None: the middle three quarters of each axis. Where
        it reaches the border of the array, the images are taken as periodic.

    Returns
    -------
    Alignment

    Raises
    ------
    InvalidArgument
        Shapes differ, a value is not finite, the region is empty, or an image is zero in it.
    """
    fit = fit_gauge(image, reference, region)
    moved = fit.whole + fit.part
    aligned = _apply(np.asarray(image), fit.factor, moved, fit.ramp)
    rows, columns = fit.patch.box
    # Inside the region the faded patch is better: nothing rings in from the array's border.
    stack = aligned.reshape(-1, *fit.patch.shape)
    np.copyto(stack[:, rows, columns], fit.image, where=fit.patch.inside)
    return Alignment(
        image=aligned,
        factor=fit.factor,
        shift_px=(float(moved[0]), float(moved[1])),
        ramp_rad_per_px=(float(fit.ramp[0]), float(fit.ramp[1])),
        error=fit.error,
        converged=fit.converged,
    )


@dataclass
class Patch:
    """Rectangle around the region of comparison, in which the images fade out."""

    box: tuple[slice, slice]
    inside: Mask  # (h, w), the region
    fade: Float | None  # (h, w), 1 in the region, 0 at the border; None: the region is everything
    shape: tuple[int, int]  # of the array

    @classmethod
    def around(cls, region: Mask) -> Patch:
        shape = (region.shape[0], region.shape[1])
        margin = _GUARD_PX + _FADE_PX
        box = []
        for axis in (0, 1):
            used = np.flatnonzero(region.any(axis=1 - axis))
            box.append(
                slice(max(int(used[0]) - margin, 0), min(int(used[-1]) + margin + 1, shape[axis]))
            )
        inside = region[box[0], box[1]]
        fade = None if inside.all() else _fade(inside)
        return cls((box[0], box[1]), inside, fade, shape)

    def places(self, whole: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Rows and columns of the array from which the patch is cut."""
        return [
            (np.arange(part.start, part.stop) - moved) % size
            for part, moved, size in zip(self.box, whole, self.shape, strict=True)
        ]

    def cut(
        self, stack: Complex, whole: npt.NDArray[np.int64], ramp: Float | None = None
    ) -> Complex:
        """Patch of the stack, free of the ramp, moved by whole pixels (periodic), faded."""
        places = self.places(whole)
        patch = stack[:, places[0][:, None], places[1][None, :]]
        if ramp is not None:
            y, x = (
                np.exp(-1j * k * (place - size // 2))
                for place, k, size in zip(places, ramp, self.shape, strict=True)
            )
            patch *= y[:, None]
            patch *= x[None, :]
        return patch if self.fade is None else patch * self.fade


@dataclass
class GaugeFit:
    """Gauge inside a patch: factor, shift by whole pixels and a part, ramp."""

    patch: Patch
    whole: npt.NDArray[np.int64]
    ramp: Float
    part: Float
    factor: complex = 1.0
    image: Complex = field(default_factory=lambda: np.empty(0, dtype=np.complex128))
    error: float = np.inf
    converged: bool = False


def fit_gauge(
    image: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    region: Region = None,
    mix_modes: bool = False,
) -> GaugeFit:
    """The work of :func:`align`, without the image outside the region.

    With ``mix_modes`` the K images may also mix by a unitary matrix, which is the gauge of
    incoherent modes; those of the reference must be orthogonal and both strongest first.
    """
    moving, fixed = _stack("image", image), _stack("reference", reference)
    if np.shape(image) != np.shape(reference):
        raise InvalidArgument(
            f"image had shape {np.shape(image)} and reference {np.shape(reference)}, "
            "but both must be the same: crop to the common part."
        )
    inside = as_region(region, (fixed.shape[1], fixed.shape[2]))
    for name, stack in (("image", moving), ("reference", fixed)):
        if not stack[:, inside].any():
            raise InvalidArgument(f"{name} was zero in the whole region, but must have content.")
    patch = Patch.around(inside)
    target = patch.cut(fixed, np.zeros(2, dtype=np.int64))
    fit = _first_guess(moving, target, patch)
    _refine(moving, target, fit, mix_modes)
    return fit


def as_region(region: Region, shape: tuple[int, int]) -> Mask:
    """Boolean region (A, B) from a mask, two slices, or None (the middle three quarters)."""
    if region is None:
        region = (slice(shape[0] // 8, -(shape[0] // 8) or None),
                  slice(shape[1] // 8, -(shape[1] // 8) or None))  # fmt: skip
    if isinstance(region, tuple):
        inside = np.zeros(shape, dtype=bool)
        inside[region] = True
        region = inside
    return checks.mask("region", region, shape)


def _first_guess(moving: Complex, target: Complex, patch: Patch) -> GaugeFit:
    """Ramp and shift to about a tenth of a cycle and of a pixel.

    The ramp shows as a shift of the spectrum, whatever the shift of the image; with the ramp
    known, the shift shows in the correlation of the images, and with both known roughly, each
    is found again more precisely.
    """
    shape = np.array(target.shape[1:])
    spectrum = _low_pass(fft.fft2(patch.cut(moving, np.zeros(2, dtype=np.int64))))
    wanted = _low_pass(fft.fft2(target))
    ratio = shape / np.array(wanted.shape[1:])
    best, ramp, whole = -1.0, np.zeros(2), np.zeros(2, dtype=np.int64)
    for cycles in _spectrum_shifts(spectrum, wanted):
        rolled = np.roll(spectrum, -cycles, axis=(1, 2))
        height, moved = _correlation_peak(rolled, wanted)
        if height > best:
            best, ramp = height, 2 * np.pi * cycles / shape
            whole = np.round(-moved * ratio).astype(np.int64)
    part = np.zeros(2)
    wanted = fft.fft2(target)
    for _ in range(2):
        product = np.einsum("kyx,kyx->yx", patch.cut(moving, whole, ramp), target.conj())
        ramp = ramp + 2 * np.pi * _peak(np.abs(fft.fft2(product)))[1] / shape
        _, moved = _correlation_peak(fft.fft2(patch.cut(moving, whole, ramp)), wanted)
        whole = whole - np.round(moved).astype(np.int64)
        part = np.round(moved) - moved
    return GaugeFit(patch, whole, ramp, part)


def _low_pass(spectrum: Complex) -> Complex:
    """Middle of a spectrum (K, h, w) in FFT order."""
    for axis in (1, 2):
        size = spectrum.shape[axis]
        if size > _COARSE_PX:
            half = _COARSE_PX // 2
            index = np.r_[0:half, size - half : size]
            spectrum = np.asarray(np.take(spectrum, index, axis=axis))
    return spectrum


def _spectrum_shifts(spectrum: Complex, wanted: Complex) -> list[npt.NDArray[np.int64]]:
    """Candidates for the shift of a spectrum, whole cycles per patch."""
    correlation = np.zeros((spectrum.shape[1], spectrum.shape[2]))
    for one, other in zip(spectrum, wanted, strict=True):
        first, second = (fft.fft2(np.abs(s) - np.abs(s).mean()) for s in (one, other))
        correlation += fft.ifft2(first * second.conj()).real
    candidates = [np.zeros(2, dtype=np.int64)]
    for _ in range(3):
        peak = np.round(_peak(correlation)[1]).astype(np.int64)
        candidates.append(peak)
        rows, columns = (peak[axis] + np.arange(-1, 2) for axis in (0, 1))
        rows, columns = rows % correlation.shape[0], columns % correlation.shape[1]
        correlation[np.ix_(rows, columns)] = correlation.min()
    return candidates


def _correlation_peak(spectrum: Complex, wanted: Complex) -> tuple[float, Float]:
    """Height (0 to 1) and place of the correlation's peak: where the image went.

    Half whitened, so that neither the mean of the object nor the noise decides.
    """
    cross = np.einsum("kyx,kyx->yx", spectrum, wanted.conj())
    magnitude = np.abs(cross)
    weight = np.sqrt(magnitude)
    cross = np.divide(cross, weight, out=np.zeros_like(cross), where=weight > 0)
    height, place = _peak(np.abs(fft.ifft2(cross)))
    return height * weight.size / max(float(weight.sum()), 1e-300), place


def _peak(values: Float) -> tuple[float, Float]:
    """Largest value and its signed place in FFT order, refined by parabolas."""
    index = np.unravel_index(int(np.argmax(values)), values.shape)
    place = np.zeros(2)
    for axis, (at, size) in enumerate(zip(index, values.shape, strict=True)):
        line = values[:, index[1]] if axis == 0 else values[index[0], :]
        before, middle, after = line[at - 1], line[at], line[(at + 1) % size]
        bend = before - 2 * middle + after
        offset = 0.5 * (before - after) / bend if bend < 0 else 0.0
        place[axis] = (at if at < (size + 1) // 2 else at - size) + np.clip(offset, -0.5, 0.5)
    return float(values[index]), place


def _refine(moving: Complex, target: Complex, fit: GaugeFit, mix_modes: bool) -> None:
    """Gauss-Newton on factor, shift and ramp with the tangents of the reference.

    The tangents stay as they are, so an iteration costs one shift of the image; the solution is
    where the difference is orthogonal to them.
    """
    patch = fit.patch
    extent = np.array(patch.inside.shape)
    reference = np.where(patch.inside, target, 0)
    norm = np.vdot(reference, reference).real
    solve = _tangent_solver(reference, target, patch, fit.whole, mix_modes)
    for _ in range(_ITERATIONS):
        image = patch.cut(moving, fit.whole, fit.ramp)
        image = fft.ifft2(fft.fft2(image) * shift_phase(image.shape[1:], fit.part))
        within = np.where(patch.inside, image, 0)
        if mix_modes:
            rotation = rotation_between(within, reference)
            image, within = (np.tensordot(rotation, stack, axes=1) for stack in (image, within))
        power = np.vdot(within, within).real
        fit.factor = complex(np.vdot(within, reference) / power) if power > 0 else 0j
        fit.image = fit.factor * image
        difference = reference - fit.factor * within
        fit.error = float(np.sqrt(np.vdot(difference, difference).real / norm))
        shift_step, ramp_step = solve(difference)
        if max(np.abs(shift_step).max(), np.abs(ramp_step * extent).max()) < _TOLERANCE:
            fit.converged = True
            return
        fit.part = fit.part + np.clip(shift_step, -0.5, 0.5)
        fit.ramp = fit.ramp + np.clip(ramp_step, -np.pi / extent, np.pi / extent)
        whole = np.round(fit.part).astype(np.int64) * (np.abs(fit.part) > 1)
        fit.whole, fit.part = fit.whole + whole, fit.part - whole


def _tangent_solver(
    reference: Complex,
    target: Complex,
    patch: Patch,
    whole: npt.NDArray[np.int64],
    mix_modes: bool,
) -> Callable[[Complex], tuple[Float, Float]]:
    """Function: difference -> the steps of shift and ramp that explain it best."""
    shape = patch.inside.shape
    spectrum = fft.fft2(target)
    slopes = [
        np.where(patch.inside, fft.ifft2(2j * np.pi * q * spectrum), 0)
        for q in frequencies((shape[0], shape[1]))
    ]
    # The ramp counts from where a row came, which jumps where a periodic image was wrapped.
    y, x = (place - place.mean() for place in patch.places(whole))
    ramps = [-1j * y[:, None] * reference, -1j * x[None, :] * reference]
    tangents = np.stack([reference, 1j * reference, -slopes[0], -slopes[1], *ramps])
    if mix_modes:
        # A shift of one mode looks much like a mixture with others: leave what is no mixture.
        tangents[2:] -= [_mixture(tangent, reference) for tangent in tangents[2:]]
    flat = tangents.view(np.float64).reshape(len(tangents), -1)
    scale = np.sqrt(np.sum(flat**2, axis=1))
    scale[scale == 0] = 1  # an image without slope along an axis fixes no shift along it
    flat /= scale[:, None]
    inverse = np.linalg.pinv(flat @ flat.T, rcond=1e-12, hermitian=True)

    def solve(difference: Complex) -> tuple[Float, Float]:
        step = inverse @ (flat @ difference.view(np.float64).reshape(-1)) / scale
        return step[2:4], step[4:6]

    return solve


def rotation_between(moving: Complex, fixed: Complex) -> Complex:
    """Unitary U that minimises norm(U moving - fixed) (orthogonal Procrustes problem)."""
    left, _, right = np.linalg.svd(np.einsum("myx,nyx->mn", fixed, moving.conj()))
    return np.asarray(left @ right)


def _mixture(change: Complex, reference: Complex) -> Complex:
    """Part of a change that an infinitesimal rotation A (A^H = -A) of orthogonal modes makes."""
    products = np.einsum("myx,nyx->mn", change, reference.conj())
    power = np.sum(np.abs(reference) ** 2, axis=(1, 2))
    weight = power[:, None] + power[None, :]
    antihermitian = products - products.conj().T
    generator = np.divide(
        antihermitian, weight, out=np.zeros_like(products), where=weight > 1e-12 * power.max()
    )
    return np.asarray(np.tensordot(generator, reference, axes=1))


def _apply(image: npt.NDArray[Any], factor: complex, moved: Any, ramp: Any) -> Complex:
    """factor * shift(image * exp(-i ramp . (r - centre)), moved)."""
    y, x = (
        np.exp(-1j * k * (np.arange(n) - n // 2))
        for n, k in zip(image.shape[-2:], ramp, strict=True)
    )
    return factor * shift(image * y[:, None] * x[None, :], moved)


def _fade(inside: Mask) -> Float:
    """1 in the region and close by, falling smoothly to 0 within _FADE_PX or at the border."""
    distance = np.maximum(ndimage.distance_transform_edt(~inside) - _GUARD_PX, 0)
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in inside.shape)
    border = np.minimum(rows[:, None], columns[None, :])
    t = np.clip(np.maximum(distance / _FADE_PX, distance / np.maximum(distance + border, 1)), 0, 1)
    return np.asarray(np.cos(np.pi / 2 * t) ** 2)


def _stack(name: str, value: npt.NDArray[Any]) -> Complex:
    array = checks.image(name, value, stack=True).astype(np.complex128)
    return array if array.ndim == 3 else array[None]
