"""AP, DM and RAAR: one iteration with the exit waves kept at the detector."""

from __future__ import annotations

import numpy as np

from reference.constraints import apply_supports, clip_amplitude, hold_power, largest, reached
from reference.detector import fourier_terms, modulus_factor
from reference.model import Complex, Real, Scan, Sums, forward, residual_pass


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


def overlap_update(
    obj: Complex,
    probe: Complex,
    sums: Sums,
    object_inertia: float,
    probe_inertia: float,
    probe_step: float,
) -> tuple[Complex, Complex]:
    """O + nO / (dO + c max dO) and P + probe_step nP / (dP + c max dP), both from old values."""
    d_obj, d_probe = sums.object_denominator, sums.probe_denominator
    # Unreached pixels have nO = 0 and keep their value whatever the inertia.
    new_obj = obj + guarded_ratio(sums.object_numerator, d_obj + object_inertia * largest(d_obj))
    step = guarded_ratio(sums.probe_numerator, d_probe + probe_inertia * largest(d_probe))
    return new_obj, probe + probe_step * step


def projection_iteration(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    waves: list[Complex] | None,
    constants: tuple[float, float, float],
    *,
    object_inertia: float = 1e-3,
    probe_inertia: float = 1e-3,
    probe_step: float = 0.5,
    update_probe: bool = True,
    power_bound: float | None = None,
    support=None,
    fourier=None,
    power: float | None = None,
    clip: tuple[float, float] | None = None,
) -> tuple[Complex, Complex, list[Complex], float]:
    """One iteration; returns object, probe, exit waves and the Fourier error before it.

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
    step = probe_step if update_probe else 0.0
    obj, probe_new = overlap_update(obj, probe, sums, object_inertia, probe_inertia, step)
    if update_probe:
        probe = apply_supports(probe_new, support, fourier)
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
