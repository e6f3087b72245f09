"""Forward model D[P_jm O_kj], its adjoint, and the pass that every engine shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


def phase_ramp(shape: tuple[int, int], move: Real) -> Complex:
    """Fourier multiplier exp(-2 pi i q.move) that moves an image by `move` = (row, column) px.

    Order of frequencies as in `scipy.fft.fftfreq` (zero first), also for the Nyquist frequency
    -1/2 of even sizes, so that the multiplier is unitary and its conjugate moves back exactly.
    """
    rows, columns = fft.fftfreq(shape[0]), fft.fftfreq(shape[1])
    return np.exp(-2j * np.pi * (rows[:, None] * move[0] + columns[None, :] * move[1]))


def shift(wave: Complex, move: Real) -> Complex:
    """S(move): the image moved by a fraction of a pixel (Fourier shift theorem)."""
    return fft.ifft2(fft.fft2(wave) * phase_ramp(wave.shape[-2:], move))


@dataclass(frozen=True)
class FarField:
    """Centred unitary FFT, kernel exp(-2 pi i u x), zero frequency at (Y // 2, X // 2).

    The exit wave's own shift does not change the intensity, so the fraction plays no part.
    """

    def forward(self, wave: Complex, fraction: Real) -> Complex:
        axes = (-2, -1)
        return fft.fftshift(fft.fft2(fft.ifftshift(wave, axes), norm="ortho"), axes)

    def backward(self, wave: Complex, fraction: Real) -> Complex:
        axes = (-2, -1)
        return fft.fftshift(fft.ifft2(fft.ifftshift(wave, axes), norm="ortho"), axes)


@dataclass(frozen=True)
class NearField:
    """D_j = A_z S(-f_j): the illumination stands still on the detector, the object moves.

    `kernel` (Y, X) is the Fourier multiplier of A_z, zero frequency first, of modulus 1.
    """

    kernel: Complex

    @staticmethod
    def squared_frequencies(shape: tuple[int, int], pixel_m: tuple[float, float]) -> Real:
        rows = 2 * np.pi * fft.fftfreq(shape[0], pixel_m[0])
        columns = 2 * np.pi * fft.fftfreq(shape[1], pixel_m[1])
        return rows[:, None] ** 2 + columns[None, :] ** 2

    @classmethod
    def angular_spectrum(
        cls,
        shape: tuple[int, int],
        wavelength_m: float,
        distance_m: float,
        pixel_m: tuple[float, float],
    ) -> NearField:
        """exp(i z (sqrt(k^2 - q^2) - k)); the common phase k z is left out, it is never measured.

        Written as -z q^2 / (k + sqrt(k^2 - q^2)), which does not cancel.
        """
        k, q2 = 2 * np.pi / wavelength_m, cls.squared_frequencies(shape, pixel_m)
        if q2.max() > k**2:
            raise ValueError("pixel_m: smaller than what a propagating wave can resolve")
        return cls(np.exp(-1j * distance_m * q2 / (k + np.sqrt(k**2 - q2))))

    @classmethod
    def fresnel(
        cls,
        shape: tuple[int, int],
        wavelength_m: float,
        distance_m: float,
        pixel_m: tuple[float, float],
    ) -> NearField:
        """exp(-i z q^2 / (2 k))."""
        k, q2 = 2 * np.pi / wavelength_m, cls.squared_frequencies(shape, pixel_m)
        return cls(np.exp(-1j * distance_m * q2 / (2 * k)))

    def forward(self, wave: Complex, fraction: Real) -> Complex:
        return fft.ifft2(fft.fft2(wave) * self.kernel * phase_ramp(wave.shape[-2:], -fraction))

    def backward(self, wave: Complex, fraction: Real) -> Complex:
        back = np.conj(self.kernel * phase_ramp(wave.shape[-2:], -fraction))
        return fft.ifft2(fft.fft2(wave) * back)


def fresnel_scaling(
    distance_m: float, pixel_m: float, focus_distance_m: float
) -> tuple[float, float]:
    """Cone beam as parallel beam: M = (f + d) / f, distance d / M, pixel p / M."""
    magnification = (focus_distance_m + distance_m) / focus_distance_m
    return distance_m / magnification, pixel_m / magnification


@dataclass(frozen=True)
class Scan:
    """Measured counts (N, Y, X), mask (Y, X), positions (N, 2) in pixels, and the propagator.

    `point_spread` (odd lengths) is the image of a point of light, None: a point.
    """

    counts: Real
    mask: NDArray[np.bool_]
    positions: Real
    propagator: FarField | NearField
    point_spread: Real | None = None

    def spread(self, light: Real) -> Real:
        """K I0: I(r) = sum_k w(k) I0(r - k); nothing comes from beyond the edge."""
        if self.point_spread is None:
            return light
        return _correlated(light, self.point_spread[::-1, ::-1])

    def spread_adjoint(self, factor: Real) -> Real:
        """K^T f: f0(r) = sum_k w(k) f(r + k)."""
        if self.point_spread is None:
            return factor
        return _correlated(factor, self.point_spread)


def _correlated(image: Real, weights: Real) -> Real:
    """sum_k weights(k) image(r + k), k from the middle of the weights, 0 outside the image."""
    half = np.array(weights.shape) // 2
    padded = np.pad(image, [(n, n) for n in half])
    result = np.zeros(image.shape)
    for (row, column), weight in np.ndenumerate(weights):
        result += weight * padded[row : row + image.shape[0], column : column + image.shape[1]]
    return result


def corner_and_fraction(position: Real) -> tuple[NDArray[np.int64], Real]:
    """corner = floor(position + 1/2), fraction = position - corner, in [-1/2, 1/2)."""
    corner = np.floor(position + 0.5).astype(int)
    return corner, position - corner


def shifted_probe(probe: Complex, position: Real) -> Complex:
    """P_jm = S(f_j) P_m."""
    return shift(probe, corner_and_fraction(position)[1])


def window(obj: NDArray, position: Real, shape: tuple[int, int]) -> NDArray:
    """O_kj = O_k(r + corner_j): a view into the object."""
    row, column = corner_and_fraction(position)[0]
    return obj[..., row : row + shape[0], column : column + shape[1]]


def exit_waves(obj: Complex, probe: Complex, position: Real) -> Complex:
    """psi_jmk = P_jm O_kj, shape (M, K, Y, X)."""
    return shifted_probe(probe, position)[:, None] * window(obj, position, probe.shape[-2:])[None]


def forward(obj: Complex, probe: Complex, position: Real, propagator) -> Complex:
    """Detector waves Psi_jmk = D_j[P_jm O_kj], shape (M, K, Y, X)."""
    fraction = corner_and_fraction(position)[1]
    return propagator.forward(exit_waves(obj, probe, position), fraction)


def linear_forward(obj, probe, d_obj, d_probe, position: Real, propagator) -> Complex:
    """Derivative of `forward`: D_j[P_jm dO_kj + dP_jm O_kj], shape (M, K, Y, X)."""
    return forward(d_obj, probe, position, propagator) + forward(obj, d_probe, position, propagator)


@dataclass
class Sums:
    """Numerators and denominators of the object (K, A, B), (A, B) and probe (M, Y, X), (Y, X)."""

    object_numerator: Complex
    object_denominator: Real
    probe_numerator: Complex
    probe_denominator: Real

    @classmethod
    def zeros(cls, obj: Complex, probe: Complex) -> Sums:
        return cls(
            np.zeros_like(obj),
            np.zeros(obj.shape[-2:]),
            np.zeros_like(probe),
            np.zeros(probe.shape[-2:]),
        )


def adjoint(obj, probe, position: Real, propagator, residual: Complex, sums: Sums) -> None:
    """Add one frame's terms of the four sums to `sums`, with chi = D_j^-1 residual.

    nO_k += sum_m conj(P_jm) chi_mk        dO += sum_m |P_jm|^2
    nP_m += sum_k S(-f_j)[conj(O_kj) chi]  dP += sum_k |O_kj|^2  (not shifted: it only weighs)

    (nO, nP) is the adjoint of `linear_forward`.
    """
    fraction, shape = corner_and_fraction(position)[1], probe.shape[-2:]
    chi = propagator.backward(residual, fraction)
    p, o = shifted_probe(probe, position), window(obj, position, shape)
    window(sums.object_numerator, position, shape)[...] += (np.conj(p)[:, None] * chi).sum(0)
    window(sums.object_denominator, position, shape)[...] += (np.abs(p) ** 2).sum(0)
    sums.probe_numerator += shift((np.conj(o)[None] * chi).sum(1), -fraction)
    sums.probe_denominator += (np.abs(o) ** 2).sum(0)


def residual_pass(
    scan: Scan, obj, probe, frames: Iterable[int], rule: Callable[[int, Complex], Complex]
) -> Sums:
    """Sums over a group of frames; rule(j, model waves) gives the residual wave X_j."""
    sums = Sums.zeros(obj, probe)
    for j in frames:
        residual = rule(j, forward(obj, probe, scan.positions[j], scan.propagator))
        adjoint(obj, probe, scan.positions[j], scan.propagator, residual, sums)
    return sums


def simulate_counts(obj: Complex, probe: Complex, positions: Real, propagator) -> Real:
    """Noise-free intensities sum_mk |Psi_jmk|^2, shape (N, Y, X)."""
    waves = (forward(obj, probe, position, propagator) for position in positions)
    return np.array([(np.abs(wave) ** 2).sum((0, 1)) for wave in waves])
