"""Thick objects (Cowley & Moodie 1957; Maiden, Humphry & Rodenburg, J. Opt. Soc. Am. A 2012).

psi_1 = P O_1, psi_{s+1} = O_{s+1} A_s psi_s, Psi = D psi_S, with A_s the angular spectrum over the
distance from slice s to s + 1, cut at two thirds of the highest frequency of each axis. Objects are
(K, S, A, B), upstream slice first; a thin object has S = 1 and no kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from reference.detector import intensity, loss, loss_factor
from reference.model import (
    Complex,
    NearField,
    Real,
    Scan,
    corner_and_fraction,
    phase_ramp,
    shift,
    shifted_probe,
    window,
)


def band_limit(shape: tuple[int, int]) -> Real:
    """1 inside (q_y / q_y,max)^2 + (q_x / q_x,max)^2 <= (2/3)^2, with q_max = 1/2 per pixel."""
    rows, columns = 2 * fft.fftfreq(shape[0]), 2 * fft.fftfreq(shape[1])
    return (rows[:, None] ** 2 + columns[None, :] ** 2 <= (2 / 3) ** 2).astype(float)


def slice_kernels(
    shape: tuple[int, int],
    wavelength_m: float,
    distances_m: Sequence[float],
    pixel_m: tuple[float, float],
    slope: Sequence[float] = (0.0, 0.0),
) -> Complex:
    """A_s(q) = limit(q) exp(i z_s (kz - k)) exp(-2 pi i q z_s slope / pixel), (S - 1, Y, X).

    A beam tilted by tan(tilt) = slope (row, column) moves by z_s slope from slice to slice.
    """
    kernels = np.zeros((len(distances_m), *shape), complex)
    for kernel, z in zip(kernels, distances_m, strict=True):
        free = NearField.angular_spectrum(shape, wavelength_m, z, pixel_m).kernel
        kernel[:] = band_limit(shape) * free * phase_ramp(shape, z * np.divide(slope, pixel_m))
    return kernels


def distance_derivatives(kernels, wavelength_m, pixel_m, slope=(0.0, 0.0)) -> Complex:
    """dA_s / dz_s = A_s i (kz - k - 2 pi q slope / pixel), (S - 1, Y, X)."""
    shape, k = kernels.shape[-2:], 2 * np.pi / wavelength_m
    q2 = NearField.squared_frequencies(shape, pixel_m)
    rows, columns = fft.fftfreq(shape[0], pixel_m[0]), fft.fftfreq(shape[1], pixel_m[1])
    moved = 2 * np.pi * (rows[:, None] * slope[0] + columns[None, :] * slope[1])
    return 1j * (-q2 / (k + np.sqrt(k**2 - q2)) - moved) * kernels


def slope_derivatives(kernels, distances_m, pixel_m) -> Complex:
    """dA_s / dslope = -2 pi i q z_s / pixel A_s, (2, S - 1, Y, X) for row and column."""
    shape, z = kernels.shape[-2:], np.reshape(distances_m, (-1, 1, 1))
    rows, columns = fft.fftfreq(shape[0], pixel_m[0]), fft.fftfreq(shape[1], pixel_m[1])
    return (
        -2j
        * np.pi
        * z
        * kernels
        * np.stack([np.broadcast_to(q, (1, *shape)) for q in (rows[:, None], columns[None, :])])
    )


def filtered(wave: Complex, kernel: Complex) -> Complex:
    """F^-1[kernel F wave]."""
    return fft.ifft2(kernel * fft.fft2(wave))


def incident_waves(obj, probe, position: Real, kernels: Complex) -> tuple[Complex, Complex]:
    """Waves that meet each slice, (S, M, K, Y, X), and the exit wave, (M, K, Y, X)."""
    inside = window(obj, position, probe.shape[-2:])  # (K, S, Y, X)
    wave = np.repeat(shifted_probe(probe, position)[:, None], len(obj), axis=1)
    met = [wave]
    for s, kernel in enumerate(kernels):
        met.append(filtered(met[-1] * inside[None, :, s], kernel))
    return np.array(met), met[-1] * inside[None, :, -1]


def thick_forward(obj, probe, position: Real, propagator, kernels: Complex) -> Complex:
    """Detector waves (M, K, Y, X)."""
    fraction = corner_and_fraction(position)[1]
    return propagator.forward(incident_waves(obj, probe, position, kernels)[1], fraction)


def exit_change(obj, probe, d_obj, d_probe, position: Real, kernels: Complex) -> Complex:
    """Derivative of the exit wave along (dO, dP), (M, K, Y, X): the product rule slice by slice."""
    shape = probe.shape[-2:]
    inside, d_inside = window(obj, position, shape), window(d_obj, position, shape)
    met, _ = incident_waves(obj, probe, position, kernels)
    d_wave = np.repeat(shifted_probe(d_probe, position)[:, None], len(obj), axis=1)
    for s in range(obj.shape[1]):
        d_wave = d_wave * inside[None, :, s] + met[s] * d_inside[None, :, s]
        if s < len(kernels):
            d_wave = filtered(d_wave, kernels[s])
    return d_wave


def thick_linear_forward(obj, probe, d_obj, d_probe, position, propagator, kernels) -> Complex:
    """Derivative of `thick_forward` along (dO, dP)."""
    fraction = corner_and_fraction(position)[1]
    change = exit_change(obj, probe, d_obj, d_probe, position, kernels)
    return propagator.forward(change, fraction)


def back_through(obj, probe, position, propagator, kernels, residual) -> tuple[Complex, Complex]:
    """Residual behind each slice, chi_s (S, M, K, Y, X), and in front of the first, (M, K, Y, X).

    chi_S = D^-1 residual, chi_s = A_s* [conj(O_{s+1}) chi_{s+1}].
    """
    fraction = corner_and_fraction(position)[1]
    inside = window(obj, position, probe.shape[-2:])
    behind = [propagator.backward(residual, fraction)]
    for s in range(len(kernels) - 1, -1, -1):
        behind.append(filtered(np.conj(inside[None, :, s + 1]) * behind[-1], np.conj(kernels[s])))
    return np.array(behind[::-1]), np.conj(inside[None, :, 0]) * behind[-1]


def thick_adjoint(obj, probe, position, propagator, kernels, residual) -> tuple[Complex, Complex]:
    """(nO, nP), the adjoint of `thick_linear_forward`:

    nO_ks = sum_m conj(phi_smk) chi_smk in the window, phi_s the wave that meets slice s;
    nP_m = S(-f)[sum_k chi_0mk].
    """
    fraction = corner_and_fraction(position)[1]
    met, _ = incident_waves(obj, probe, position, kernels)
    behind, front = back_through(obj, probe, position, propagator, kernels, residual)
    n_obj = np.zeros_like(obj)
    terms = (np.conj(met) * behind).sum(1)  # (S, K, Y, X)
    window(n_obj, position, probe.shape[-2:])[...] += np.moveaxis(terms, 0, 1)
    return n_obj, shift(front.sum(1), -fraction)


def kernel_gradient(obj, probe, position, propagator, kernels, derivatives, residual) -> Real:
    """dL of one frame for kernels that change by derivatives (S - 1, Y, X), for each s.

    With X = dL / d conj(Psi): dL_s = 2 Re < conj(O_{s+1}) chi_{s+1}, dA_s [O_s phi_s] >.
    """
    inside = window(obj, position, probe.shape[-2:])
    met, _ = incident_waves(obj, probe, position, kernels)
    behind, _ = back_through(obj, probe, position, propagator, kernels, residual)
    return np.array(
        [
            2 * np.vdot(
                np.conj(inside[None, :, s + 1]) * behind[s + 1],
                filtered(met[s] * inside[None, :, s], derivative),
            ).real
            for s, derivative in enumerate(derivatives)
        ]
    )  # fmt: skip


def thick_loss(scan: Scan, obj, probe, kernels, noise: str) -> float:
    """Sum of the loss over all frames and valid pixels."""
    total = 0.0
    for counts, position in zip(scan.counts, scan.positions, strict=True):
        model = intensity(thick_forward(obj, probe, position, scan.propagator, kernels))
        total += loss(model[scan.mask], counts[scan.mask], noise).sum()
    return float(total)


def thick_residual(scan: Scan, j: int, obj, probe, kernels, noise: str) -> Complex:
    """X_j = dL / d conj(Psi_j) = w L'(I) Psi_j, (M, K, Y, X)."""
    wave = thick_forward(obj, probe, scan.positions[j], scan.propagator, kernels)
    counts = np.where(scan.mask, scan.counts[j], 0.0)
    return np.where(scan.mask, loss_factor(intensity(wave), counts, noise), 0.0) * wave


def thick_gradients(scan: Scan, obj, probe, kernels, noise: str) -> tuple[Complex, Complex]:
    """(g_O, g_P) with dL = 2 Re <g, d>."""
    g_obj, g_probe = np.zeros_like(obj), np.zeros_like(probe)
    for j, position in enumerate(scan.positions):
        residual = thick_residual(scan, j, obj, probe, kernels, noise)
        terms = thick_adjoint(obj, probe, position, scan.propagator, kernels, residual)
        g_obj += terms[0]
        g_probe += terms[1]
    return g_obj, g_probe
