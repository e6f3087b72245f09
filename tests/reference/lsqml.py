"""Least-squares maximum likelihood (Odstrcil, Menzel & Guizar-Sicairos, Opt. Express 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reference.constraints import largest
from reference.detector import SMALLEST_INTENSITY, fourier_terms, intensity, loss_factor
from reference.model import (
    Complex,
    Real,
    Scan,
    corner_and_fraction,
    forward,
    shift,
    shifted_probe,
    window,
)

DAMPING = 0.1
APPLIED = 0.9
TRIM = 0.1


def line_step(model: Real, counts: Real, mask, noise: str, iterations: int = 8) -> float:
    """alpha that minimises a frame's loss along Psi (1 - alpha xi), xi = L'(I) at alpha = 0.

    amplitude: 1, the modulus constraint, exactly; anscombe: 1, up to its offset.
    poisson: sum xi [I (1 - alpha xi) - n / (1 - alpha xi)] = 0, which is the fixed point
        alpha = sum xi (I - n / (1 - alpha xi)) / sum xi^2 I, near 1/2; the map's slope is near -1
        there, so that going half way each time converges.
    gaussian: Newton's method, from 0.
    """
    if noise in ("amplitude", "anscombe"):
        return 1.0
    light, n = np.maximum(model[mask], SMALLEST_INTENSITY), counts[mask]
    xi = loss_factor(light, n, noise)
    if not xi.any():
        return 0.0
    if noise == "poisson":
        alpha = 0.5
        for _ in range(iterations):
            goal = (xi * (light - n / (1 - alpha * xi))).sum() / (xi**2 * light).sum()
            alpha = (alpha + goal) / 2
        return float(alpha)
    alpha = 0.0
    for _ in range(iterations):
        scale = 1 - alpha * xi
        now, slope = light * scale**2, -2 * light * xi * scale  # I and dI / dalpha
        first = ((now - n) / (n + 1) * slope).sum()
        second = (slope**2 / (n + 1) + (now - n) / (n + 1) * 2 * light * xi**2).sum()
        alpha -= first / second
    return float(alpha)


def exit_residual(scan: Scan, j: int, obj, probe, noise: str) -> tuple[Complex, tuple]:
    """chi_j = D^-1[-alpha_j w xi Psi_j], (M, K, Y, X), and the terms of the Fourier error."""
    position = scan.positions[j]
    wave = forward(obj, probe, position, scan.propagator)
    counts = np.where(scan.mask, scan.counts[j], 0.0)
    model = intensity(wave)
    alpha = line_step(model, counts, scan.mask, noise)
    xi = np.where(scan.mask, loss_factor(model, counts, noise), 0.0)
    fraction = corner_and_fraction(position)[1]
    chi = scan.propagator.backward(-alpha * xi * wave, fraction)
    return chi, fourier_terms(wave, counts, scan.mask)


def directions(scan: Scan, obj, probe, frames: Sequence[int], chi) -> tuple[Complex, Complex]:
    """dO = sum_jm conj(P_jm) chi / sqrt(G^2 + (0.1 max G)^2), G = sum_jm |P_jm|^2;
    dP_m = mean_j S(-f_j)[sum_k conj(O_kj) chi]."""
    shape = probe.shape[-2:]
    d_obj, weight, d_probe = np.zeros_like(obj), np.zeros(obj.shape[-2:]), np.zeros_like(probe)
    for j, residual in zip(frames, chi, strict=True):
        position = scan.positions[j]
        fraction = corner_and_fraction(position)[1]
        p, o = shifted_probe(probe, position), window(obj, position, shape)
        window(d_obj, position, shape)[...] += (np.conj(p)[:, None] * residual).sum(0)
        window(weight, position, shape)[...] += (np.abs(p) ** 2).sum(0)
        d_probe += shift((np.conj(o)[None] * residual).sum(1), -fraction)
    return d_obj / np.hypot(weight, DAMPING * largest(weight)), d_probe / len(frames)


def frame_steps(obj, probe, d_obj, d_probe, position: Real, chi: Complex) -> tuple[float, float]:
    """(s_O, s_P), real, that minimise || chi - s_O P dO - s_P O dP ||^2 over all modes.

    The 2 x 2 normal equations; where both directions are one, the shorter solution.
    """
    shape = probe.shape[-2:]
    by_object = shifted_probe(probe, position)[:, None] * window(d_obj, position, shape)[None]
    by_probe = shifted_probe(d_probe, position)[:, None] * window(obj, position, shape)[None]
    cross = np.vdot(by_object, by_probe).real
    matrix = [
        [np.vdot(by_object, by_object).real, cross],
        [cross, np.vdot(by_probe, by_probe).real],
    ]
    right = [np.vdot(by_object, chi).real, np.vdot(by_probe, chi).real]
    steps = np.linalg.lstsq(matrix, right, rcond=1e-12)[0]
    return float(steps[0]), float(steps[1])


def trimmed_mean(values) -> float:
    """Mean without the tenth of the values at either end (whole values, rounded down)."""
    ordered = np.sort(values)
    cut = int(TRIM * len(ordered))
    return float(ordered[cut : len(ordered) - cut].mean())


def lsqml_group(
    scan: Scan, obj, probe, frames: Sequence[int], noise: str = "amplitude", update_probe=True
) -> tuple[Complex, Complex, list[tuple[float, float]]]:
    """One update from one group: object, probe, and the terms of the Fourier error.

    Steps per frame, of which 0.9 of the trimmed mean over the group is applied. Without the probe's
    update the steps are those of the object alone.
    """
    found = [exit_residual(scan, j, obj, probe, noise) for j in frames]
    chi, terms = [chi for chi, _ in found], [term for _, term in found]
    d_obj, d_probe = directions(scan, obj, probe, frames, chi)
    if not update_probe:
        d_probe = np.zeros_like(probe)
    steps = np.array(
        [
            frame_steps(obj, probe, d_obj, d_probe, scan.positions[j], residual)
            for j, residual in zip(frames, chi, strict=True)
        ]
    )
    s_obj, s_probe = APPLIED * trimmed_mean(steps[:, 0]), APPLIED * trimmed_mean(steps[:, 1])
    return obj + s_obj * d_obj, probe + s_probe * d_probe, terms
