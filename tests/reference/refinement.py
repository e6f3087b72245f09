"""Positions, propagation distance, probe defocus and background by gradient.

All with X = dL / d conj(Psi), so that dL = 2 Re <X, dPsi>.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from reference.detector import intensity, loss_factor
from reference.model import (
    Complex,
    NearField,
    Real,
    Scan,
    shifted_probe,
    window,
)
from reference.multislice import back_through, filtered, thick_forward

NO_KERNELS = np.zeros((0, 1, 1), complex)


def move_multipliers(shape: tuple[int, int]) -> Complex:
    """d/dmove of `phase_ramp` over itself, at 0: -2 pi i q for row and column, (2, Y, X)."""
    rows, columns = fft.fftfreq(shape[0]), fft.fftfreq(shape[1])
    pair = np.broadcast_arrays(rows[:, None], columns[None, :])
    return -2j * np.pi * np.stack(pair)


def position_gradient(
    obj, probe, position: Real, propagator, residual: Complex, kernels=NO_KERNELS
) -> Real:
    """dL_j / d position_j (row, column) of the model as it is, corner fixed, all modes.

    Far field: the probe moves, dL = 2 Re < sum_k chi_0, dS(f) P >, with chi_0 the residual brought
    back to the probe. Near field: the wave is moved back on its way to the detector as well, which
    adds 2 Re < X, -dS Psi >. Objects are (K, S, Y, X).
    """
    multipliers = move_multipliers(probe.shape[-2:])
    _, front = back_through(obj, probe, position, propagator, kernels, residual)
    moved = shifted_probe(probe, position)
    gradient = [2 * np.vdot(front.sum(1), filtered(moved, m)).real for m in multipliers]
    if isinstance(propagator, NearField):
        wave = thick_forward(obj, probe, position, propagator, kernels)
        back = [2 * np.vdot(residual, filtered(wave, -m)).real for m in multipliers]
        gradient = np.add(gradient, back)
    return np.array(gradient)


def object_slopes(inside: Complex) -> Complex:
    """dO/dr along rows and columns, (2, ..., Y, X): central differences, as windows do not wrap."""
    return np.stack([np.gradient(inside, axis=-2), np.gradient(inside, axis=-1)])


def position_step(obj, probe, position: Real, chi: Complex, damping: float = 0.0) -> Real:
    """Least squares of || chi - P dO/dr ds ||^2, axis by axis (Odstrcil et al., Opt. Express 2018):

    ds = Re sum conj(P dO/dr) chi / (sum |P dO/dr|^2 + damping), all modes, objects (K, Y, X).
    """
    inside = window(obj, position, probe.shape[-2:])
    change = shifted_probe(probe, position)[None, :, None] * object_slopes(inside)[:, None]
    numerator = (np.conj(change) * chi[None]).real.sum((1, 2, 3, 4))
    return numerator / ((np.abs(change) ** 2).sum((1, 2, 3, 4)) + damping)


def applied_steps(steps: Real, weights: Real, largest_px: float, quiet: float = 0.1) -> Real:
    """Steps (N, 2) as they are applied.

    Frames whose weight sum |P dO/dr|^2 (N,) is below `quiet` times the mean stay; the mean step of
    the others is removed; then each is cut to `largest_px` in length.
    """
    moving = weights >= quiet * weights.mean()
    result = np.where(moving[:, None], steps - steps[moving].mean(axis=0), 0.0)
    length = np.hypot(*result.T)
    return result * np.minimum(1.0, largest_px / np.maximum(length, 1e-300))[:, None]


def distance_gradient(
    obj, probe, position: Real, propagator: NearField, residual, wavelength_m, pixel_m
) -> float:
    """dL_j / d distance of the near field: dPsi = F^-1[i (kz - k) F Psi]; objects (K, Y, X)."""
    wave = thick_forward(obj[:, None], probe, position, propagator, NO_KERNELS)
    return 2 * np.vdot(residual, propagated_change(wave, wavelength_m, pixel_m)).real


def defocus_gradient(
    obj, probe, position: Real, propagator, residual, wavelength_m, pixel_m, kernels=NO_KERNELS
) -> float:
    """dL_j / d defocus of a probe that is A_defocus of a fixed one: 2 Re <chi_0, i (kz - k) P>."""
    _, front = back_through(obj, probe, position, propagator, kernels, residual)
    moved = shifted_probe(probe, position)
    return 2 * np.vdot(front.sum(1), propagated_change(moved, wavelength_m, pixel_m)).real


def propagated_change(wave: Complex, wavelength_m, pixel_m) -> Complex:
    """d/dz of free space: F^-1[i (kz - k) F wave]."""
    k = 2 * np.pi / wavelength_m
    q2 = NearField.squared_frequencies(wave.shape[-2:], pixel_m)
    return filtered(wave, -1j * q2 / (k + np.sqrt(k**2 - q2)))


def background_gradient(scan: Scan, waves, background: Real, noise: str) -> Real:
    """dL / d background (Y, X) = sum_j w L'(sum |Psi_j|^2 + b); waves are those of all frames."""
    total = np.zeros(scan.mask.shape)
    for counts, wave in zip(scan.counts, waves, strict=True):
        model = intensity(wave) + background
        total += np.where(scan.mask, loss_factor(model, counts, noise), 0.0)
    return total


def affine_fit(positions: Real, nominal: Real) -> tuple[Real, Real]:
    """Least-squares map (2, 2) and offset: positions = offset + (nominal - mean) map^T."""
    basis = np.column_stack([nominal - nominal.mean(axis=0), np.ones(len(nominal))])
    solution = np.linalg.lstsq(basis, positions, rcond=None)[0]
    return solution[:2].T, solution[2]


def affine_gradient(position_gradients: Real, nominal: Real) -> tuple[Real, Real]:
    """dL of map and offset from dL / d position (N, 2), by the chain rule."""
    centred = nominal - nominal.mean(axis=0)
    return position_gradients.T @ centred, position_gradients.sum(axis=0)
