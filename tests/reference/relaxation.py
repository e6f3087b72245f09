"""ML with a probe for each frame, P_n = P + sum_k w_nk E_k (Odstrcil et al., Opt. Express 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.constraints import apply_supports, largest
from reference.detector import fourier_terms, intensity, loss, loss_curvature, loss_factor
from reference.ml import masked, step_length
from reference.model import Complex, Scan, Sums, adjoint, forward, linear_forward
from reference.projections import guarded_ratio

# Object, probe (M, Y, X), eigen-probes (K, M, Y, X), weights (N, K).
Unknowns = tuple[Complex, Complex, Complex, Complex]

# Mean square weight below which an eigen-probe is taken as if it had that.
LEAST_WEIGHT = 1e-4
# Of the waves' change, second order over first order.
LARGEST_BEND = 0.2


def frame_probe(unknowns: Unknowns, j: int) -> Complex:
    _, probe, eigen, weights = unknowns
    return probe + np.tensordot(weights[j], eigen, axes=1)


def inner(left: Unknowns, right: Unknowns) -> float:
    """Re <left, right> over all unknowns together."""
    return float(sum(np.vdot(x, y).real for x, y in zip(left, right, strict=True)))


def moved(unknowns: Unknowns, direction: Unknowns, t: float) -> Unknowns:
    obj, probe, eigen, weights = (x + t * h for x, h in zip(unknowns, direction, strict=True))
    return obj, probe, eigen, weights


def total_loss(scan: Scan, unknowns: Unknowns, noise: str) -> float:
    total = 0.0
    for j, position in enumerate(scan.positions):
        wave = forward(unknowns[0], frame_probe(unknowns, j), position, scan.propagator)
        total += loss(intensity(wave)[scan.mask], scan.counts[j][scan.mask], noise).sum()
    return float(total)


def gradients(scan: Scan, unknowns: Unknowns, noise: str) -> tuple[Unknowns, Sums, float]:
    """g with dL = 2 Re <g, d>, the sums of object and probe, and the Fourier error.

    With T_n = -g of the frame's own probe:  g_E = -sum_n conj(w_nk) T_n,  g_w = -<E_k, T_n>.
    """
    obj, probe, eigen, weights = unknowns
    sums = Sums.zeros(obj, probe)
    g_eigen, g_weights, terms = np.zeros_like(eigen), np.zeros_like(weights), []
    for j, position in enumerate(scan.positions):
        own = frame_probe(unknowns, j)
        counts = masked(scan.counts[j], scan.mask)
        wave = forward(obj, own, position, scan.propagator)
        terms.append(fourier_terms(wave, counts, scan.mask))
        residual = -masked(loss_factor(intensity(wave), counts, noise), scan.mask) * wave
        before = sums.probe_numerator.copy()
        adjoint(obj, own, position, scan.propagator, residual, sums)
        term = sums.probe_numerator - before
        g_eigen -= np.conj(weights[j])[:, None, None, None] * term
        g_weights[j] = -np.tensordot(np.conj(eigen), term, axes=3)
    numerator, denominator = np.sum(terms, axis=0)
    gradient = -sums.object_numerator, -sums.probe_numerator, g_eigen, g_weights
    return gradient, sums, float(numerator / denominator)


def precondition(
    gradient: Unknowns, unknowns: Unknowns, sums: Sums, damping: tuple[float, float]
) -> Unknowns:
    """As without, and
    z_E = (z of a probe with this gradient) / (mean_n |w_nk|^2 + least),
    z_w = g_w / mean_n sum |E_k|^2 |O|^2.
    """
    _, _, eigen, weights = unknowns
    d_obj = sums.object_denominator + damping[0] * largest(sums.object_denominator)
    d_probe = sums.probe_denominator + damping[1] * largest(sums.probe_denominator)
    of_weights = (np.abs(eigen) ** 2 * sums.probe_denominator).sum((1, 2, 3)) / len(weights)
    of_eigen = (np.abs(weights) ** 2).mean(0) + LEAST_WEIGHT
    return (
        guarded_ratio(gradient[0], d_obj),
        guarded_ratio(gradient[1], d_probe),
        guarded_ratio(gradient[2], d_probe) / of_eigen[:, None, None, None],
        gradient[3] / of_weights,
    )


def step_terms(
    scan: Scan, unknowns: Unknowns, direction: Unknowns, noise: str
) -> tuple[float, float, float, float, float]:
    """(c1, c2, c2_safe) of the loss along the direction, as `ml.step_terms`, and the powers of the
    waves' changes A1 and A2, with

    A1 = D[P_n dO + P_n' O],  A2 = D[P_n' dO + P_n'' O],
    P_n' = dP + sum_k (w dE + dw E),  P_n'' = sum_k dw dE.
    """
    obj, d_obj = unknowns[0], direction[0]
    c = np.zeros(5)
    for j, position in enumerate(scan.positions):
        own = frame_probe(unknowns, j)
        change = direction[1] + np.tensordot(unknowns[3][j], direction[2], axes=1)
        change = change + np.tensordot(direction[3][j], unknowns[2], axes=1)
        bend = np.tensordot(direction[3][j], direction[2], axes=1)
        counts = masked(scan.counts[j], scan.mask)
        wave = forward(obj, own, position, scan.propagator)
        a1 = linear_forward(obj, own, d_obj, change, position, scan.propagator)
        a2 = linear_forward(obj, change, d_obj, bend, position, scan.propagator)
        i1 = 2 * (np.conj(wave) * a1).real.sum((0, 1))
        i2 = intensity(a1) + 2 * (np.conj(wave) * a2).real.sum((0, 1))
        slope = masked(loss_factor(intensity(wave), counts, noise), scan.mask)
        curved = 0.5 * masked(loss_curvature(intensity(wave), counts, noise), scan.mask) * i1**2
        safe = np.maximum(slope, 0) * intensity(a1)
        c += (
            (slope * i1).sum(),
            (slope * i2 + curved).sum(),
            (safe + curved).sum(),
            intensity(a1).sum(),
            intensity(a2).sum(),
        )
    c1, c2, c2_safe, first, second = (float(value) for value in c)
    return c1, c2, c2_safe, first, second


@dataclass
class Memory:
    """Last gradient, direction and <z, g>, and whether probe and eigen-probes moved."""

    gradient: Unknowns
    direction: Unknowns
    norm: float
    moves: tuple[bool, bool]


def ml_iteration(
    scan: Scan,
    unknowns: Unknowns,
    memory: Memory | None,
    *,
    relax: bool,
    update_probe: bool = True,
    noise: str = "poisson",
    object_inertia: float = 0.1,
    probe_inertia: float = 0.1,
    support=None,
) -> tuple[Unknowns, Memory, float]:
    """One step along conjugate directions; returns unknowns, memory, and the error before it."""
    g, sums, error = gradients(scan, unknowns, noise)
    moves = update_probe, relax and update_probe
    free = True, update_probe, moves[1], moves[1]
    g = tuple(x if moving else 0 * x for x, moving in zip(g, free, strict=True))
    z = precondition(g, unknowns, sums, (object_inertia, probe_inertia))
    z = z[0], *(apply_supports(x, support) for x in z[1:3]), z[3]
    steepest = h = tuple(-x for x in z)
    if memory is not None and memory.moves == moves and memory.norm > 0:
        change = tuple(new - old for new, old in zip(g, memory.gradient, strict=True))
        beta = max(0.0, inner(z, change) / memory.norm)
        h = moved(steepest, memory.direction, beta)
        h = h if inner(h, g) < 0 else steepest
    *expansion, first, second = step_terms(scan, unknowns, h, noise)
    t = step_length(*expansion)
    if t**2 * second > LARGEST_BEND**2 * first:
        t = np.sign(t) * LARGEST_BEND * np.sqrt(first / second)
    return moved(unknowns, h, t), Memory(g, h, inner(z, g), moves), error
