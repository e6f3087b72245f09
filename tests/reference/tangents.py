"""What all frames share by Gauss-Newton: tangents of the exit waves, and sums over all frames."""

from __future__ import annotations

import numpy as np

from reference.model import Complex, Scan, corner_and_fraction, shifted_probe, window


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


def normal_equation(
    scan: Scan, obj: Complex, probe: Complex, tangent, *given, background: float = 0.0
) -> tuple[float, float]:
    """Curvature sum A'^2 and slope sum A' (sqrt n - A), with A' = Re sum conj(Psi) Psi' / A.

    A^2 = sum |Psi|^2 + background. The exit waves change by tangent(probe, object, *given).
    """
    curvature = slope = 0.0
    for counts, position in zip(scan.counts, scan.positions, strict=True):
        moved = shifted_probe(probe, position)[:, None]
        inside = window(obj, position, probe.shape[-2:])[None]
        fraction = corner_and_fraction(position)[1]
        wave = scan.propagator.forward(moved * inside, fraction)
        change = scan.propagator.forward(tangent(moved, inside, *given), fraction)
        amplitude = np.sqrt((np.abs(wave) ** 2).sum((0, 1)) + background)
        along = np.where(scan.mask, (np.conj(wave) * change).real.sum((0, 1)) / amplitude, 0)
        curvature += (along**2).sum()
        slope += (along * np.where(scan.mask, np.sqrt(counts) - amplitude, 0)).sum()
    return float(curvature), float(slope)
