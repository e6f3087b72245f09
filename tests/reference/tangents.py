"""What all frames share by Gauss-Newton: tangents of the exit waves, and sums over all frames."""

from __future__ import annotations

import numpy as np

from reference.model import Complex, Scan, corner_and_fraction, window
from reference.multislice import filtered, incident_waves


def differences(wave: Complex, axis: int, pixel_m: float) -> Complex:
    """Central first differences, inside the window; 0 at its edge."""
    result = np.zeros(wave.shape, complex)
    ahead, behind = np.roll(wave, -1, axis), np.roll(wave, 1, axis)
    result[..., 1:-1, 1:-1] = ((ahead - behind) / (2 * pixel_m))[..., 1:-1, 1:-1]
    return result


def laplacian(wave: Complex, pixel_m: tuple[float, float]) -> Complex:
    """Second differences, inside the window; 0 at its edge."""
    result = np.zeros(wave.shape, complex)
    for axis, pixel in zip((-2, -1), pixel_m, strict=True):
        second = np.roll(wave, -1, axis) + np.roll(wave, 1, axis) - 2 * wave
        result[..., 1:-1, 1:-1] += (second / pixel**2)[..., 1:-1, 1:-1]
    return result


def distance_tangent(probe: Complex, obj: Complex, wavelength_m: float, pixel_m) -> Complex:
    """i / k grad P . grad O = L(P O) - L(P) O - P L(O) with L = i / (2 k) laplace, free space."""
    k = 2 * np.pi / wavelength_m
    return sum(
        1j / k * differences(probe, axis, pixel) * differences(obj, axis, pixel)
        for axis, pixel in zip((-2, -1), pixel_m, strict=True)
    )


def defocus_tangent(probe: Complex, obj: Complex, wavelength_m: float, pixel_m) -> Complex:
    """i / (2 k) laplace P O."""
    k = 2 * np.pi / wavelength_m
    return 1j / (2 * k) * laplacian(probe, pixel_m) * obj


def map_tangent(probe: Complex, obj: Complex, entry: tuple[int, int]) -> Complex:
    """-P r_b d_a O for entry (a, b) of the map, r from the middle of the window."""
    a, b = entry
    place = np.indices(probe.shape[-2:])[b] - (probe.shape[b - 2] - 1) / 2
    return -probe * place * differences(obj, a - 2, 1.0)


def no_tangent(probe: Complex, obj: Complex) -> Complex:
    """Of what happens between slices alone."""
    return np.zeros(np.broadcast_shapes(probe.shape, obj.shape), complex)


def normal_equation(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    tangent,
    *given,
    background: float = 0.0,
    kernels: Complex = (),
    d_kernels: Complex | None = None,
    first_only: bool = False,
) -> tuple[float, float]:
    """Curvature sum A'^2 and slope sum A' (sqrt n - A), with A' = Re sum conj(Psi) Psi' / A.

    A^2 = sum |Psi|^2 + background. The wave behind a slice changes by tangent(phi, O, *given), phi
    being what meets it, and by what comes from the slices before: psi' = O (A psi' + A' psi). Thin
    objects are (K, A, B), others (K, S, A, B) with kernels (S - 1, Y, X). `first_only`: the tangent
    is that of the probe.
    """
    obj = obj if obj.ndim == 4 else obj[:, None]
    curvature = slope = 0.0
    for counts, position in zip(scan.counts, scan.positions, strict=True):
        fraction = corner_and_fraction(position)[1]
        inside = window(obj, position, probe.shape[-2:])[None]
        met, exit_wave = incident_waves(obj, probe, position, kernels)
        change = tangent(met[0], inside[:, :, 0], *given)
        for s, kernel in enumerate(kernels):
            change = filtered(change, kernel)
            if d_kernels is not None:
                change = change + filtered(met[s] * inside[:, :, s], d_kernels[s])
            change = change * inside[:, :, s + 1]
            if not first_only:
                change = change + tangent(met[s + 1], inside[:, :, s + 1], *given)
        wave = scan.propagator.forward(exit_wave, fraction)
        change = scan.propagator.forward(change, fraction)
        amplitude = np.sqrt((np.abs(wave) ** 2).sum((0, 1)) + background)
        along = np.where(scan.mask, (np.conj(wave) * change).real.sum((0, 1)) / amplitude, 0)
        curvature += (along**2).sum()
        slope += (along * np.where(scan.mask, np.sqrt(counts) - amplitude, 0)).sum()
    return float(curvature), float(slope)
