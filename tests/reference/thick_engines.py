"""One update of PIE engines and of ML with objects of several slices, (K, S, A, B).

As `reference.pie` and `reference.ml` for thin ones: each slice is divided by the intensity of the
waves that meet it, and by that intensity's largest value. `kernels` are those of each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reference.constraints import largest
from reference.detector import error_terms, intensity, loss, loss_factor, modulus_factor
from reference.ml import masked
from reference.model import Complex, Real, Scan, window
from reference.multislice import (
    incident_waves,
    thick_adjoint,
    thick_forward,
    thick_linear_forward,
)
from reference.pie import pie_denominator
from reference.projections import guarded_ratio

ThickSums = tuple[Complex, Real, Complex, Real]  # nO, dO (S, A, B), nP, dP


def thick_sums(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    kernels: Sequence[Complex],
    rule: Callable[[int, Complex], Complex],
) -> tuple[ThickSums, float]:
    """Sums over all frames of what residuals rule(j, model) say, and the Fourier error.

    dO_s = sum |phi_s|^2 over all modes, with phi_0 = P counted once; dP = sum_k |O_k0|^2.
    """
    n_obj, d_obj = np.zeros_like(obj), np.zeros(obj.shape[1:])
    n_probe, d_probe = np.zeros_like(probe), np.zeros(probe.shape[-2:])
    terms, shape = [], probe.shape[-2:]
    for j, position in enumerate(scan.positions):
        model = thick_forward(obj, probe, position, scan.propagator, kernels[j])
        seen = scan.spread(intensity(model))
        terms.append(error_terms(seen, masked(scan.counts[j], scan.mask), scan.mask))
        more = thick_adjoint(obj, probe, position, scan.propagator, kernels[j], rule(j, model))
        n_obj += more[0]
        n_probe += more[1]
        met, _ = incident_waves(obj, probe, position, kernels[j])
        weights = (np.abs(met) ** 2).sum((1, 2))
        weights[0] /= len(obj)
        window(d_obj, position, shape)[...] += weights
        d_probe += (np.abs(window(obj, position, shape)[:, 0]) ** 2).sum(0)
    numerator, denominator = np.sum(terms, axis=0)
    return (n_obj, d_obj, n_probe, d_probe), float(numerator / denominator)


def thick_pie_update(
    scan: Scan, obj: Complex, probe: Complex, kernels: Sequence[Complex], alpha: float, step: float
) -> tuple[Complex, Complex, float]:
    """rPIE with all frames in one group; slices share the object's step."""

    def rule(j: int, model: Complex) -> Complex:
        return (modulus_factor(model, scan.counts[j], scan.mask) - 1) * model

    (n_obj, d_obj, n_probe, d_probe), error = thick_sums(scan, obj, probe, kernels, rule)
    divided = [pie_denominator(weight, alpha, 0.0) for weight in d_obj]
    new_obj = obj + step / obj.shape[1] * guarded_ratio(n_obj, np.array(divided))
    return new_obj, probe + guarded_ratio(n_probe, pie_denominator(d_probe, alpha, 0.0)), error


def loss_sums(
    scan: Scan, obj: Complex, probe: Complex, kernels: Sequence[Complex], noise: str
) -> tuple[ThickSums, float]:
    """Sums of the negative gradient of the loss, and the Fourier error."""

    def rule(j: int, model: Complex) -> Complex:
        counts = masked(scan.counts[j], scan.mask)
        factor = masked(loss_factor(scan.spread(intensity(model)), counts, noise), scan.mask)
        return -scan.spread_adjoint(factor) * model

    return thick_sums(scan, obj, probe, kernels, rule)


def thick_loss_gradients(
    scan: Scan, obj: Complex, probe: Complex, kernels: Sequence[Complex], noise: str
) -> tuple[Complex, Complex]:
    """dL / d conj(O), dL / d conj(P)."""
    (n_obj, _, n_probe, _), _ = loss_sums(scan, obj, probe, kernels, noise)
    return -n_obj, -n_probe


def thick_ml_update(
    scan: Scan, obj: Complex, probe: Complex, kernels: Sequence[Complex], noise: str, damping: float
) -> tuple[Complex, Complex, float]:
    """First iteration of ML: a step down the preconditioned gradient, to where a parabola through
    the loss, with its slope and curvature there, is lowest."""

    (n_obj, d_obj, n_probe, d_probe), error = loss_sums(scan, obj, probe, kernels, noise)
    slices = [weight + damping * largest(weight) for weight in d_obj]
    h_obj = guarded_ratio(n_obj, np.array(slices))
    h_probe = guarded_ratio(n_probe, d_probe + damping * largest(d_probe))

    def along(t: float) -> float:
        total = 0.0
        for j, position in enumerate(scan.positions):
            moved = obj + t * h_obj, probe + t * h_probe
            light = intensity(thick_forward(*moved, position, scan.propagator, kernels[j]))
            model = scan.spread(light)
            total += loss(model[scan.mask], scan.counts[j][scan.mask], noise).sum()
        return total

    t = 1e-4
    down, here, up = along(-t), along(0.0), along(t)
    slope, curvature = (up - down) / (2 * t), (up - 2 * here + down) / t**2
    length = -slope / curvature
    return obj + length * h_obj, probe + length * h_probe, error


def thick_position_sums(scan: Scan, j: int, obj: Complex, probe: Complex, kernels: Complex) -> Real:
    """(a_yy, a_yx, a_xx, b_y, b_x) of min_d ||X - d . T||^2 at the detector, X the PIE residual.

    T is the change of the wave when the window moves over all slices: their central differences
    inside the window, where at its edge a neighbour inside stands for the one outside.
    """
    position, shape = scan.positions[j], probe.shape[-2:]
    along = []
    for axis in (-2, -1):
        d_obj = np.zeros_like(obj)
        inside = window(obj, position, shape)
        ahead = np.minimum(np.arange(shape[axis]) + 1, shape[axis] - 1)
        behind = np.maximum(np.arange(shape[axis]) - 1, 0)
        change = (np.take(inside, ahead, axis) - np.take(inside, behind, axis)) / 2
        window(d_obj, position, shape)[...] = change
        fields = obj, probe, d_obj, np.zeros_like(probe)
        along.append(thick_linear_forward(*fields, position, scan.propagator, kernels))
    model = thick_forward(obj, probe, position, scan.propagator, kernels)
    residual = (modulus_factor(model, scan.counts[j], scan.mask) - 1) * model
    y, x = along
    pairs = [(y, y), (y, x), (x, x), (y, residual), (x, residual)]
    return np.array([np.vdot(left, right).real for left, right in pairs])
