"""ML: preconditioned conjugate gradient (Thibault & Guizar-Sicairos, New J. Phys. 2012)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.constraints import apply_supports, largest
from reference.detector import error_terms, intensity, loss, loss_curvature, loss_factor
from reference.model import (
    Complex,
    Real,
    Scan,
    Sums,
    forward,
    linear_forward,
    residual_pass,
    window,
)
from reference.prior import Prior
from reference.quasi_newton import Lbfgs, Pair, divided, inner


def total_loss(scan: Scan, obj: Complex, probe: Complex, noise: str) -> float:
    """Sum of the loss over all frames and valid pixels."""
    total = 0.0
    for counts, position in zip(scan.counts, scan.positions, strict=True):
        model = scan.spread(intensity(forward(obj, probe, position, scan.propagator)))
        total += loss(model[scan.mask], counts[scan.mask], noise).sum()
    return float(total)


def masked(values: Real, mask) -> Real:
    """0 at invalid pixels, whatever stands there."""
    return np.where(mask, values, 0.0)


def gradients(scan: Scan, obj: Complex, probe: Complex, noise: str) -> tuple[Pair, Sums, float]:
    """(g_O, g_P) with dL = 2 Re <g, d>, the sums (denominators) and the Fourier error.

    X = -K^T[factor] model, so that g_O = -nO and g_P = -nP: the gradient is 2 dL/d conj(O) / 2.
    """
    terms = []

    def rule(j: int, model: Complex) -> Complex:
        counts = masked(scan.counts[j], scan.mask)
        seen = scan.spread(intensity(model))
        terms.append(error_terms(seen, counts, scan.mask))
        factor = masked(loss_factor(seen, counts, noise), scan.mask)
        return -scan.spread_adjoint(factor) * model

    sums = residual_pass(scan, obj, probe, range(len(scan.counts)), rule)
    numerator, denominator = np.sum(terms, axis=0)
    gradient = (-sums.object_numerator, -sums.probe_numerator)
    return gradient, sums, float(numerator / denominator)


def weights(sums: Sums, damping: tuple[float, float]) -> tuple[Real, Real]:
    """dO + d max dO, dP + d max dP."""
    d_obj = sums.object_denominator + damping[0] * largest(sums.object_denominator)
    d_probe = sums.probe_denominator + damping[1] * largest(sums.probe_denominator)
    return d_obj, d_probe


def precondition(gradient: Pair, sums: Sums, damping: tuple[float, float]) -> Pair:
    """g_O / (dO + d max dO), g_P / (dP + d max dP)."""
    return divided(gradient, weights(sums, damping))


def step_terms(
    scan: Scan, obj: Complex, probe: Complex, direction: Pair, noise: str
) -> tuple[float, float, float]:
    """(c1, c2, c2_safe) of the loss along the direction: L(t) = L0 + c1 t + c2 t^2 + ...

    I(t) = |Psi + t A1 + t^2 A2|^2 = I0 + t I1 + t^2 I2 + ..., A1 = D[P dO + dP O], A2 = D[dP dO],
    I1 = 2 Re(conj(Psi) A1), I2 = |A1|^2 + 2 Re(conj(Psi) A2), each of them spread;
    c1 = sum L' I1, c2 = sum [L' I2 + L'' I1^2 / 2],
    c2_safe = sum [max(L', 0) |A1|^2 + L'' I1^2 / 2], which is never negative.
    """
    c = np.zeros(3)
    for j, position in enumerate(scan.positions):
        counts = masked(scan.counts[j], scan.mask)
        wave = forward(obj, probe, position, scan.propagator)
        a1 = linear_forward(obj, probe, *direction, position, scan.propagator)
        a2 = forward(*direction, position, scan.propagator)
        i0, light1 = scan.spread(intensity(wave)), scan.spread(intensity(a1))
        i1 = scan.spread(2 * (np.conj(wave) * a1).real.sum((0, 1)))
        i2 = light1 + scan.spread(2 * (np.conj(wave) * a2).real.sum((0, 1)))
        slope = masked(loss_factor(i0, counts, noise), scan.mask)
        bend = 0.5 * masked(loss_curvature(i0, counts, noise), scan.mask) * i1**2
        safe = np.maximum(slope, 0) * light1
        c += (slope * i1).sum(), (slope * i2 + bend).sum(), (safe + bend).sum()
    return float(c[0]), float(c[1]), float(c[2])


def step_length(c1: float, c2: float, c2_safe: float) -> float:
    """t = -c1 / (2 c2); where the curvature c2 is next to nothing, c2_safe takes its place.

    0 if that is 0 as well: the direction changes nothing that is measured.
    """
    curvature = c2 if c2 > 0.02 * c2_safe else c2_safe
    return -c1 / (2 * curvature) if curvature > 0 else 0.0


def roughness(obj: Complex, touched) -> float:
    """S(O) = sum over modes and pairs of neighbours, both reached, of |O(r) - O(r + e)|^2."""
    rows = touched[1:] & touched[:-1]
    columns = touched[:, 1:] & touched[:, :-1]
    down, right = np.diff(obj, axis=-2), np.diff(obj, axis=-1)
    return float((np.abs(down) ** 2 * rows).sum() + (np.abs(right) ** 2 * columns).sum())


def roughness_gradient(obj: Complex, touched) -> Complex:
    """dS / d conj(O): sum of the differences to the reached neighbours."""
    rows = touched[1:] & touched[:-1]
    columns = touched[:, 1:] & touched[:, :-1]
    down, right = np.diff(obj, axis=-2) * rows, np.diff(obj, axis=-1) * columns
    gradient = np.zeros_like(obj)
    gradient[..., 1:, :] += down
    gradient[..., :-1, :] -= down
    gradient[..., :, 1:] += right
    gradient[..., :, :-1] -= right
    return gradient


def under_windows(scan: Scan, obj: Complex):
    """Object pixels under the window of some frame, whatever the probe is there, (A, B) bool."""
    touched = np.zeros(obj.shape[-2:], bool)
    for position in scan.positions:
        window(touched, position, scan.mask.shape)[...] = True
    return touched


def smoothness_weight(smoothness: float, frames: int, touched) -> float:
    """mu N / (reached pixels): with |P|^2 it makes the weight mu x the mean illumination."""
    return smoothness * frames / touched.sum()


def smoothness_loss(obj: Complex, probe: Complex, weight: float, touched) -> float:
    """R = weight sum|P|^2 S(O): quadratic smoothness in units of the mean illumination.

    weight sum|P|^2 is mu times the mean over the reached pixels of sum_j |P_j|^2, so that R counts
    in the units of the Poisson loss, and neither the exposure nor a common factor traded between
    probe and object changes what mu means.
    """
    return weight * float((np.abs(probe) ** 2).sum()) * roughness(obj, touched)


def smoothness_gradients(obj: Complex, probe: Complex, weight: float, touched) -> Pair:
    """dR / d conj(O), dR / d conj(P)."""
    power = float((np.abs(probe) ** 2).sum())
    return (
        weight * power * roughness_gradient(obj, touched),
        weight * roughness(obj, touched) * probe,
    )


def smoothness_terms(obj, probe, direction: Pair, weight: float, touched) -> tuple[float, float]:
    """(c1, c2) of R along the direction."""
    power, rough = float((np.abs(probe) ** 2).sum()), roughness(obj, touched)
    power1 = 2 * np.vdot(probe, direction[1]).real
    rough1 = 2 * np.vdot(roughness_gradient(obj, touched), direction[0]).real
    power2 = float((np.abs(direction[1]) ** 2).sum())
    rough2 = roughness(direction[0], touched)
    c1 = power * rough1 + power1 * rough
    c2 = power * rough2 + power1 * rough1 + power2 * rough
    return weight * c1, weight * c2


@dataclass
class Memory:
    """What the conjugate gradient keeps: last gradient, direction, <z, g>, and whether the probe
    moved."""

    gradient: Pair
    direction: Pair
    norm: float
    probe_moved: bool


def search_direction(gradient: Pair, z: Pair, memory: Memory | None, update_probe: bool) -> Pair:
    """h = -z + beta h_last, beta = max(0, Re<z, g - g_last> / <z_last, g_last>) (Polak-Ribiere).

    Steepest descent (beta = 0) at the start, when the probe starts or stops moving, and when the
    direction would lead uphill.
    """
    steepest = (-z[0], -z[1])
    if memory is None or memory.probe_moved != update_probe or memory.norm <= 0:
        return steepest
    change = tuple(new - old for new, old in zip(gradient, memory.gradient, strict=True))
    beta = max(0.0, inner(z, change) / memory.norm)
    h = tuple(s + beta * old for s, old in zip(steepest, memory.direction, strict=True))
    return h if inner(h, gradient) < 0 else steepest


def ml_iteration(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    memory: Memory | Lbfgs | None = None,
    *,
    noise: str = "poisson",
    object_inertia: float = 0.1,
    probe_inertia: float = 0.1,
    update_probe: bool = True,
    smoothness: float = 0.0,
    support=None,
    fourier=None,
    prior: Prior | None = None,
    illumination: float = 0.0,
) -> tuple[Complex, Complex, Memory | Lbfgs, float, float]:
    """One step; returns object, probe, memory, step length and the Fourier error before it.

    A support restricts the probe's part of the preconditioned gradient, so the step is along what
    may change. Loss, direction and step are the same for (O / s, P s), so a held probe power is
    restored once, when the engine ends. What is known of the object beforehand (`prior`) counts in
    units of the mean illumination, with the probe's power at the start. `memory` chooses the
    direction: conjugate, or L-BFGS, whose memory is changed.
    """
    g, sums, error = gradients(scan, obj, probe, noise)
    touched = under_windows(scan, obj)
    strength = smoothness_weight(smoothness, len(scan.counts), touched)
    if smoothness:
        extra = smoothness_gradients(obj, probe, strength, touched)
        g = (g[0] + extra[0], g[1] + extra[1])
    if prior is not None:
        g = (g[0] + illumination * prior.gradient(obj), g[1])
    if not update_probe:
        g = (g[0], np.zeros_like(probe))
    weight = weights(sums, (object_inertia, probe_inertia))

    def restrict(field: Pair) -> Pair:
        return field[0], apply_supports(field[1], support, fourier)

    z = restrict(divided(g, weight))
    if isinstance(memory, Lbfgs):
        h = memory.direction((obj, probe), g, weight, restrict, update_probe)
    else:
        h = search_direction(g, z, memory, update_probe)
    c1, c2, safe = step_terms(scan, obj, probe, h, noise)
    if smoothness:
        r1, r2 = smoothness_terms(obj, probe, h, strength, touched)
        c1, c2, safe = c1 + r1, c2 + r2, safe + max(r2, 0.0)
    if prior is not None:
        r1, r2 = prior.terms(obj, h[0])
        c1, c2, safe = (c + illumination * r for c, r in ((c1, r1), (c2, r2), (safe, r2)))
    t = step_length(c1, c2, safe)
    if not isinstance(memory, Lbfgs):
        memory = Memory(g, h, inner(z, g), update_probe)
    return obj + t * h[0], probe + t * h[1], memory, t, error
