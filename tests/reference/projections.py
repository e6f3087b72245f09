"""AP, DM and RAAR: one iteration with the exit waves kept at the detector."""

from __future__ import annotations

import numpy as np

from reference.constraints import apply_supports, clip_amplitude, hold_power, largest, reached
from reference.detector import fourier_terms, modulus_factor
from reference.model import Complex, Real, Scan, Sums, forward, residual_pass, window

# Weight of the object's change in the denominator of the probe's update.
CHANGE_DAMPING = 4.0


def projection_constants(name: str, beta: float) -> tuple[float, float, float]:
    """(a, b, c) of E' = (1 - a - b) E + a model + b g w with w = c model + (1 - c) E.

    AP: 0, 1, 1. DM: -beta, beta, 2 (Thibault et al., Ultramicroscopy 2009).
    RAAR: 1 - 2 beta, beta, 2 (Luke, Inverse Problems 2005).
    """
    return {
        "AP": (0.0, 1.0, 1.0),
        "DM": (-beta, beta, 2.0),
        "RAAR": (1 - 2 * beta, beta, 2.0),
    }[name]


def start_exit_waves(scan: Scan, obj: Complex, probe: Complex) -> list[Complex]:
    """E_j = D_j[P O], (M, K, Y, X) per frame."""
    return [forward(obj, probe, position, scan.propagator) for position in scan.positions]


def guarded_ratio(numerator: Complex, denominator: Real) -> Complex:
    """Numerator / denominator, and 0 where the denominator is 0: that pixel keeps its value."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 0)


def object_update(obj: Complex, sums: Sums, inertia: float) -> Complex:
    """O + nO / (dO + c max dO)."""
    # Unreached pixels have nO = 0 and keep their value whatever the inertia.
    weight = sums.object_denominator
    return obj + guarded_ratio(sums.object_numerator, weight + inertia * largest(weight))


def probe_update(
    scan: Scan, obj: Complex, change: Complex, probe: Complex, sums: Sums, inertia: float
) -> Complex:
    """P + (nP - S P) / (dP + c max dP) for the object O after its change dO.

    S = sum_jk conj(O_kj) dO_kj and dP = sum_jk |O_kj|^2 + d |dO_kj|^2 over the windows. nP is of
    the object before the change; the residual of the changed one is, to first order, the old one
    less P dO. d damps the step where the change is too large for a first order.
    """
    shape = probe.shape[-2:]
    pairs = [(window(obj, p, shape), window(change, p, shape)) for p in scan.positions]
    correction = sum((np.conj(o) * d).sum(0) for o, d in pairs)
    weight = sum((np.abs(o) ** 2 + CHANGE_DAMPING * np.abs(d) ** 2).sum(0) for o, d in pairs)
    numerator = sums.probe_numerator - correction * probe
    return probe + guarded_ratio(numerator, weight + inertia * largest(weight))


def projection_iteration(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    waves: list[Complex] | None,
    constants: tuple[float, float, float],
    *,
    object_inertia: float = 1e-3,
    probe_inertia: float = 1e-3,
    update_probe: bool = True,
    power_bound: float | None = None,
    support=None,
    fourier=None,
    power: float | None = None,
    clip: tuple[float, float] | None = None,
) -> tuple[Complex, Complex, list[Complex], float]:
    """One iteration; returns object, probe, exit waves and the Fourier error before it.

    Object first, then the probe for the new object, from one pass over the frames.
    `waves` None starts them from the model. `power` None leaves the probe's power free.
    """
    old = start_exit_waves(scan, obj, probe) if waves is None else waves
    new: list[Complex] = []
    terms = []

    def rule(j: int, model: Complex) -> Complex:
        new.append(detector_update(model, old[j], scan, j, constants, power_bound))
        terms.append(fourier_terms(model, scan.counts[j], scan.mask))
        return new[-1] - model

    sums = residual_pass(scan, obj, probe, range(len(scan.counts)), rule)
    before, obj = obj, object_update(obj, sums, object_inertia)
    if update_probe:
        probe = probe_update(scan, obj, obj - before, probe, sums, probe_inertia)
        probe = apply_supports(probe, support, fourier)
        if power is not None:
            obj, probe = hold_power(obj, probe, power, reached(sums))
    if clip is not None:
        obj = clip_amplitude(obj, clip, reached(sums))
    numerator, denominator = np.sum(terms, axis=0)
    return obj, probe, new, float(numerator / denominator)


def detector_update(model, wave, scan: Scan, j: int, constants, power_bound=None) -> Complex:
    """E' = (1 - a - b) E + a model + b g w, w = c model + (1 - c) E, g from w."""
    a, b, c = constants
    w = c * model + (1 - c) * wave
    g = modulus_factor(w, scan.counts[j], scan.mask, power_bound)
    return (1 - a - b) * wave + a * model + b * g * w
