"""Descent along the gradient of a loss, group by group, with an optimiser for each unknown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from reference.constraints import apply_supports, clip_amplitude, hold_power, largest
from reference.detector import error_terms, intensity
from reference.ml import gradients, under_windows
from reference.model import Complex, Real, Scan, forward
from reference.projections import guarded_ratio

# Slope of each loss near its minimum, in units of that of squared amplitudes.
SLOPE = {"poisson": 2.0, "gaussian": 2.0, "amplitude": 1.0, "anscombe": 1.0}


@dataclass
class Optimiser:
    """Steps along z, the preconditioned negative gradient; averages start at zero.

    sgd:      x += rate z
    momentum: v <- k v + (1 - k) z;  x += rate v
    adam:     m <- k m + (1 - k) z;  s <- k' s + (1 - k') |z|^2;
              x += rate a m^ / (sqrt(s^) + rate0 a), a = rms of x, ^ = unbiased, pixel by pixel
    """

    kind: str
    rate: float
    step_memory: float
    square_memory: float
    mean: Complex | float = 0.0
    square: Real | float = 0.0
    seen: Real | float = field(default=0.0)
    square_seen: Real | float = field(default=0.0)

    def step(self, z: Complex, touched, amplitude: float, schedule: float) -> Complex:
        """The change of x at the touched pixels, 0 elsewhere."""

        def average(old, new, keep: float):
            return np.where(touched, keep * old + (1 - keep) * new, old)

        rate = self.rate * schedule
        if self.kind == "sgd":
            return rate * z
        self.mean = average(self.mean, z, self.step_memory)
        if self.kind == "momentum":
            return np.where(touched, rate * self.mean, 0)
        self.square = average(self.square, np.abs(z) ** 2, self.square_memory)
        self.seen = average(self.seen, 1.0, self.step_memory)
        self.square_seen = average(self.square_seen, 1.0, self.square_memory)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(self.square / self.square_seen) + self.rate * amplitude
            change = rate * amplitude * self.mean / self.seen / spread
        return np.where(touched, change, 0)


def rms(values: Complex, pixels: int) -> float:
    """Root of the power of all modes, per pixel."""
    return float(np.sqrt((np.abs(values) ** 2).sum() / pixels))


def preconditioned(numerator: Complex, weight: Real, slope: float, inertia: float) -> Complex:
    """-gradient / (slope (weight + d max weight))."""
    return guarded_ratio(numerator, slope * (weight + inertia * largest(weight)))


def gradient_iteration(
    scan: Scan,
    obj: Complex,
    probe: Complex,
    groups: list[list[int]],
    optimisers: tuple[Optimiser, Optimiser],
    *,
    schedules: tuple[float, float] = (1.0, 1.0),
    noise: str = "amplitude",
    object_inertia: float = 0.0,
    probe_inertia: float = 0.0,
    update_probe: bool = True,
    support=None,
    fourier=None,
    power: float | None = None,
    clip=None,
) -> tuple[Complex, Complex, float]:
    """Object, probe and Fourier error of one iteration; a schedule of 0 leaves the object alone."""
    everywhere = under_windows(scan, obj)
    amplitudes = rms(obj[:, everywhere], int(everywhere.sum())), rms(probe, probe[0].size)
    terms = []
    for group in groups:
        part = replace(scan, counts=scan.counts[group], positions=scan.positions[group])
        for counts, position in zip(part.counts, part.positions, strict=True):
            wave = forward(obj, probe, position, scan.propagator)
            terms.append(error_terms(scan.spread(intensity(wave)), counts, scan.mask))
        (g_obj, g_probe), sums, _ = gradients(part, obj, probe, noise)
        touched = under_windows(part, obj)
        z_obj = preconditioned(-g_obj, sums.object_denominator, SLOPE[noise], object_inertia)
        z_probe = preconditioned(-g_probe, sums.probe_denominator, SLOPE[noise], probe_inertia)
        if schedules[0] > 0:
            obj = obj + optimisers[0].step(z_obj, touched, amplitudes[0], schedules[0])
        if update_probe:
            probe = probe + optimisers[1].step(z_probe, True, amplitudes[1], schedules[1])
            probe = apply_supports(probe, support, fourier)
    if power is not None and update_probe:
        obj, probe = hold_power(obj, probe, power, everywhere)
    if clip is not None:
        obj = clip_amplitude(obj, clip, everywhere)
    numerator, denominator = np.sum(terms, axis=0)
    return obj, probe, float(numerator / denominator)
