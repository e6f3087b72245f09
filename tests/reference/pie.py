"""ePIE, rPIE and mPIE in groups (Maiden & Rodenburg 2009; Maiden, Johnson & Li, Optica 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reference.constraints import apply_supports, clip_amplitude, hold_power, largest
from reference.detector import fourier_terms, modulus_factor
from reference.model import Complex, Real, Scan, Sums, residual_pass
from reference.projections import guarded_ratio


def pie_denominator(weight: Real, alpha: float, inertia: float) -> Real:
    """(1 - alpha) d + (alpha + c) max d; alpha = 1 is ePIE."""
    return (1 - alpha) * weight + (alpha + inertia) * largest(weight)


def pie_group(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    frames: Sequence[int],
    *,
    object_step: float = 1.0,
    probe_step: float = 1.0,
    object_alpha: float = 1.0,
    probe_alpha: float = 1.0,
    object_inertia: float = 0.0,
    probe_inertia: float = 0.0,
    update_probe: bool = True,
    support=None,
    fourier=None,
) -> tuple[Complex, Complex, Sums, list[tuple[float, float]]]:
    """One update from one group: object, probe, the sums, and the terms of the Fourier error.

    X = (g - 1) model; O += step nO / ((1 - alpha) dO + (alpha + c) max dO), the probe alike, both
    from the object and probe before the update.
    """
    terms = []

    def rule(j: int, model: Complex) -> Complex:
        terms.append(fourier_terms(model, scan.counts[j], scan.mask))
        return (modulus_factor(model, scan.counts[j], scan.mask) - 1) * model

    sums = residual_pass(scan, obj, probe, frames, rule)
    d_obj = pie_denominator(sums.object_denominator, object_alpha, object_inertia)
    obj = obj + object_step * guarded_ratio(sums.object_numerator, d_obj)
    if update_probe:
        d_probe = pie_denominator(sums.probe_denominator, probe_alpha, probe_inertia)
        probe = probe + probe_step * guarded_ratio(sums.probe_numerator, d_probe)
        probe = apply_supports(probe, support, fourier)
    return obj, probe, sums, terms


@dataclass
class Momentum:
    """mPIE: after every `period` group updates v = eta v + (O - O_last); O += eta v; O_last = O.

    `updates` counts over the whole run of the engine, not from each iteration.
    """

    eta: float
    period: int
    last: Complex
    velocity: Complex
    updates: int = 0

    @classmethod
    def start(cls, obj: Complex, eta: float, period: int) -> Momentum:
        return cls(eta, period, obj.copy(), np.zeros_like(obj))

    def after_update(self, obj: Complex) -> Complex:
        self.updates += 1
        if self.updates % self.period:
            return obj
        self.velocity = self.eta * self.velocity + (obj - self.last)
        self.last = obj + self.eta * self.velocity
        return self.last


def pie_iteration(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    groups: Sequence[Sequence[int]],
    *,
    momentum: Momentum | None = None,
    power: float | None = None,
    clip: tuple[float, float] | None = None,
    **options,
) -> tuple[Complex, Complex, float]:
    """All groups once; power and clip at the end. Returns object, probe and the Fourier error.

    The error is that of the models met on the way: each frame before its own update.
    """
    touched = np.zeros(obj.shape[-2:], bool)
    terms = []
    for frames in groups:
        obj, probe, sums, new = pie_group(scan, obj, probe, frames, **options)
        obj = obj if momentum is None else momentum.after_update(obj)
        touched |= sums.object_denominator > 0
        terms += new
    if power is not None and options.get("update_probe", True):
        obj, probe = hold_power(obj, probe, power, touched)
    obj = obj if clip is None else clip_amplitude(obj, clip, touched)
    numerator, denominator = np.sum(terms, axis=0)
    return obj, probe, float(numerator / denominator)
