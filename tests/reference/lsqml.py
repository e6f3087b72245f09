"""Least-squares maximum likelihood (Odstrcil, Menzel & Guizar-Sicairos, Opt. Express 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reference.constraints import apply_supports, clip_amplitude, hold_power, largest
from reference.detector import error_terms, intensity, loss_curvature, loss_factor
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
from reference.projections import guarded_ratio

INERTIA = 0.1
STEP = 0.9
TRIM = 0.1
# Of the normal equations of a frame.
DAMPING = 0.1
# Added to model and data of Poisson's loss.
HALF_A_COUNT = 0.5
# Where Newton's step along the slope starts from.
NEWTON_START = {"poisson": 0.5, "gaussian": 0.0}


def offset_of(noise: str) -> float:
    return HALF_A_COUNT if noise == "poisson" else 0.0


def line_step(model: Real, counts: Real, mask, noise: str) -> float:
    """alpha along Psi (1 - alpha xi), xi = L'(I): towards the minimum of a frame's loss.

    amplitude, anscombe: 1, the modulus constraint, exactly (anscombe up to its offset).
    poisson, gaussian: one step of Newton's method from 1/2 and from 0, within [0, 1].
    """
    if noise not in NEWTON_START:
        return 1.0
    offset, start = offset_of(noise), NEWTON_START[noise]
    light, n = model[mask], counts[mask] + offset
    xi = loss_factor(light + offset, n, noise)
    left = 1 - start * xi
    here = light * left**2  # I, with dI / dalpha and its second derivative
    along, twice = -2 * light * left * xi, 2 * light * xi**2
    slope = loss_factor(here + offset, n, noise)
    first = (slope * along).sum()
    second = (loss_curvature(here + offset, n, noise) * along**2 + slope * twice).sum()
    return float(np.clip(start - first / second, 0, 1)) if second > 0 else start


def best_factor(model: Real, counts: Real, mask, noise: str) -> float:
    """c that brings c^2 model closest to the counts: amplitudes, or counts where they are
    Poisson's. 1 where there is nothing."""
    light, n = model[mask], counts[mask]
    amplitudes = np.sqrt(light * n).sum()
    if amplitudes == 0:
        return 1.0
    return float(np.sqrt(n.sum() / light.sum()) if noise == "poisson" else amplitudes / light.sum())


def detector_residual(
    scan: Scan, j: int, wave: Complex, noise: str, factors=None, refine: bool = False
) -> tuple[Complex, tuple]:
    """-alpha_j K^T[w xi] Psi_j, (M, K, Y, X), and the terms of the Fourier error.

    Psi_j = factors_j wave; with ``refine`` factors_j, which is changed, is found first.
    """
    counts = np.where(scan.mask, scan.counts[j], 0.0)
    if factors is not None:
        if refine:
            model = factors[j] ** 2 * scan.spread(intensity(wave))
            factors[j] *= best_factor(model, counts, scan.mask, noise)
        wave = factors[j] * wave
    model = scan.spread(intensity(wave))
    alpha = line_step(model, counts, scan.mask, noise)
    offset = offset_of(noise)
    xi = np.where(scan.mask, loss_factor(model + offset, counts + offset, noise), 0.0)
    residual = -alpha * scan.spread_adjoint(xi) * wave
    return residual, error_terms(model, counts, scan.mask)


def exit_residual(
    scan: Scan, j: int, obj, probe, noise: str, factors=None, refine: bool = False
) -> tuple[Complex, tuple]:
    """chi_j = D^-1 of the detector's residual, (M, K, Y, X), and the terms of the Fourier error."""
    position = scan.positions[j]
    wave = forward(obj, probe, position, scan.propagator)
    residual, terms = detector_residual(scan, j, wave, noise, factors, refine)
    fraction = corner_and_fraction(position)[1]
    return scan.propagator.backward(residual, fraction), terms


def directions(
    scan: Scan, obj, probe, frames: Sequence[int], chi, inertia=(INERTIA, INERTIA)
) -> tuple[Complex, Complex]:
    """dO = sum_jm conj(P_jm) chi / sqrt(G^2 + (c max G)^2), G = sum_jm |P_jm|^2;
    dP_m = sum_j S(-f_j)[sum_k conj(O_kj) chi] / (W + c max W), W = sum_jk |O_kj|^2."""
    shape = probe.shape[-2:]
    d_obj, weight = np.zeros_like(obj), np.zeros(obj.shape[-2:])
    d_probe, weight_probe = np.zeros_like(probe), np.zeros(shape)
    for j, residual in zip(frames, chi, strict=True):
        position = scan.positions[j]
        fraction = corner_and_fraction(position)[1]
        p, o = shifted_probe(probe, position), window(obj, position, shape)
        window(d_obj, position, shape)[...] += (np.conj(p)[:, None] * residual).sum(0)
        window(weight, position, shape)[...] += (np.abs(p) ** 2).sum(0)
        d_probe += shift((np.conj(o)[None] * residual).sum(1), -fraction)
        weight_probe += (np.abs(o) ** 2).sum(0)
    return (
        guarded_ratio(d_obj, np.hypot(weight, inertia[0] * largest(weight))),
        guarded_ratio(d_probe, weight_probe + inertia[1] * largest(weight_probe)),
    )


def frame_steps(
    obj, probe, d_obj, d_probe, position: Real, chi: Complex, damping: float = DAMPING
) -> tuple[float, float]:
    """(s_O, s_P), real, that minimise || chi - s_O P dO - s_P O dP ||^2 over all modes.

    The 2 x 2 normal equations, their diagonal raised by `damping`; a direction that is zero has no
    step.
    """
    shape = probe.shape[-2:]
    by_object = shifted_probe(probe, position)[:, None] * window(d_obj, position, shape)[None]
    by_probe = shifted_probe(d_probe, position)[:, None] * window(obj, position, shape)[None]
    along = np.vdot(by_object, by_object).real, np.vdot(by_object, chi).real
    return solved_steps(along, by_object, by_probe, chi, damping)


def solved_steps(
    along: tuple[float, float], by_object: Complex, by_probe: Complex, chi: Complex, damping: float
) -> tuple[float, float]:
    """Of the 2 x 2 equations; along: the object's change squared, and its product with chi."""
    cross = np.vdot(by_object, by_probe).real
    matrix = [
        [(1 + damping) * along[0], cross],
        [cross, (1 + damping) * np.vdot(by_probe, by_probe).real],
    ]
    right = [along[1], np.vdot(by_probe, chi).real]
    steps = np.linalg.lstsq(matrix, right, rcond=1e-12)[0]
    return float(steps[0]), float(steps[1])


def trimmed_mean(values) -> float:
    """Mean without the tenth of the values at either end (whole values, rounded down)."""
    ordered = np.sort(values)
    cut = int(TRIM * len(ordered))
    return float(ordered[cut : len(ordered) - cut].mean())


def lsqml_group(
    scan: Scan,
    obj,
    probe,
    frames: Sequence[int],
    noise: str = "amplitude",
    *,
    object_step: float = STEP,
    probe_step: float = STEP,
    object_inertia: float = INERTIA,
    probe_inertia: float = INERTIA,
    update_probe: bool = True,
    support=None,
    fourier=None,
    factors=None,
    refine: bool = False,
) -> tuple[Complex, Complex, list[tuple[float, float]]]:
    """One update from one group: object, probe, and the terms of the Fourier error.

    Steps per frame, of which a part of the trimmed mean over the group is applied. Without the
    probe's update the steps are those of the object alone.
    """
    found = [exit_residual(scan, j, obj, probe, noise, factors, refine) for j in frames]
    chi, terms = [chi for chi, _ in found], [term for _, term in found]
    d_obj, d_probe = directions(scan, obj, probe, frames, chi, (object_inertia, probe_inertia))
    if not update_probe:
        d_probe = np.zeros_like(probe)
    steps = np.array(
        [
            frame_steps(obj, probe, d_obj, d_probe, scan.positions[j], residual)
            for j, residual in zip(frames, chi, strict=True)
        ]
    )
    obj = obj + object_step * trimmed_mean(steps[:, 0]) * d_obj
    if update_probe:
        probe = probe + probe_step * trimmed_mean(steps[:, 1]) * d_probe
        probe = apply_supports(probe, support, fourier)
    return obj, probe, terms


@dataclass
class Momentum:
    """Before an iteration, if the error fell in the one before: v = eta v + (x - x_last);
    x += eta v; x_last = x, for object and probe. If it did not fall, v = 0 and x_last = x after it.
    """

    eta: float
    error: float | None = None
    falling: bool = False
    last: list[Complex] | None = None
    velocity: list[Complex] | None = None

    def before(self, obj: Complex, probe: Complex, update_probe: bool) -> tuple[Complex, Complex]:
        if not self.falling:
            return obj, probe
        fields = [obj, probe]
        for i in range(2 if update_probe else 1):
            self.velocity[i] = self.eta * self.velocity[i] + (fields[i] - self.last[i])
            fields[i] = fields[i] + self.eta * self.velocity[i]
            self.last[i] = fields[i]
        return fields[0], fields[1]

    def after(self, obj: Complex, probe: Complex, error: float) -> None:
        self.falling = self.error is not None and error < self.error
        self.error = error
        if not self.falling:
            self.last = [obj, probe]
            self.velocity = [np.zeros_like(obj), np.zeros_like(probe)]


def lsqml_iteration(
    scan: Scan,
    obj,
    probe,
    groups: Sequence[Sequence[int]],
    momentum: Momentum,
    *,
    touched,
    power: float | None = None,
    clip: tuple[float, float] | None = None,
    group: Callable[..., tuple[Complex, Complex, list]] = lsqml_group,
    **options,
) -> tuple[Complex, Complex, float]:
    """All groups once; power and clip at the end. Returns object, probe and the Fourier error of
    the models met on the way. When nothing more follows, `momentum.after` is to be told.

    ``group`` makes the update of one, by default that of thin objects.
    """
    update_probe = options.get("update_probe", True)
    obj, probe = momentum.before(obj, probe, update_probe)
    terms = []
    for frames in groups:
        obj, probe, new = group(scan, obj, probe, frames, **options)
        terms += new
    if options.get("refine"):
        mean = options["factors"].mean()
        options["factors"] /= mean
        if update_probe:
            probe = mean * probe
        else:
            obj = np.where(touched, mean * obj, obj)
    if power is not None and update_probe:
        obj, probe = hold_power(obj, probe, power, touched)
    obj = obj if clip is None else clip_amplitude(obj, clip, touched)
    numerator, denominator = np.sum(terms, axis=0)
    return obj, probe, float(numerator / denominator)
