"""Least-squares maximum likelihood with objects of several slices, (K, S, A, B).

Slice by slice (Odstrcil, Menzel & Guizar-Sicairos, Opt. Express 26, 3108 (2018); Tsai et al., Opt.
Express 24, 29089 (2016)): the residual goes back through the slices, and what is behind each of
them says where that slice is to go. How far, all slices together say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reference.constraints import largest
from reference.lsqml import (
    DAMPING,
    INERTIA,
    STEP,
    detector_residual,
    solved_steps,
    trimmed_mean,
)
from reference.model import Complex, Scan, corner_and_fraction, shift, shifted_probe, window
from reference.multislice import back_through, exit_change, incident_waves, thick_forward
from reference.projections import guarded_ratio


def residuals_behind(
    scan: Scan, j: int, obj, probe, kernels: Complex, noise: str, factors=None, refine: bool = False
) -> tuple[Complex, tuple]:
    """chi_s behind each slice, (S, M, K, Y, X), and the terms of the Fourier error."""
    position = scan.positions[j]
    wave = thick_forward(obj, probe, position, scan.propagator, kernels)
    residual, terms = detector_residual(scan, j, wave, noise, factors, refine)
    behind, _ = back_through(obj, probe, position, scan.propagator, kernels, residual)
    return behind, terms


def thick_directions(
    scan: Scan, obj, probe, frames: Sequence[int], kernels, behind, inertia=(INERTIA, INERTIA)
) -> tuple[Complex, Complex]:
    """dO_s = sum_jm conj(phi_sjm) chi_s / sqrt(G_s^2 + (c max G_s)^2), G_s = sum_j |phi_sj|^2 over
    all modes, with phi_0 = P counted once; dP as for thin objects, from the first slice."""
    shape = probe.shape[-2:]
    d_obj, weight = np.zeros_like(obj), np.zeros(obj.shape[1:])
    d_probe, weight_probe = np.zeros_like(probe), np.zeros(shape)
    for j, chi in zip(frames, behind, strict=True):
        position = scan.positions[j]
        fraction = corner_and_fraction(position)[1]
        met, _ = incident_waves(obj, probe, position, kernels[j])
        first = window(obj, position, shape)[:, 0]
        window(d_obj, position, shape)[...] += (np.conj(met) * chi).sum(1).swapaxes(0, 1)
        weights = (np.abs(met) ** 2).sum((1, 2))
        weights[0] /= len(obj)
        window(weight, position, shape)[...] += weights
        d_probe += shift((np.conj(first)[None] * chi[0]).sum(1), -fraction)
        weight_probe += (np.abs(first) ** 2).sum(0)
    floors = np.array([inertia[0] * largest(each) for each in weight])
    return (
        guarded_ratio(d_obj, np.hypot(weight, floors[:, None, None])),
        guarded_ratio(d_probe, weight_probe + inertia[1] * largest(weight_probe)),
    )


def thick_frame_steps(
    obj, probe, d_obj, d_probe, position, kernels, behind: Complex, damping: float = DAMPING
) -> tuple[float, float]:
    """(s_O, s_P) of a frame: one step for all slices.

    s_O is measured behind the last slice, where the changes of all slices have come together; its
    overlap with the probe's change behind the first one, with that slice alone.
    """
    shape = probe.shape[-2:]
    change = exit_change(obj, probe, d_obj, np.zeros_like(probe), position, kernels)
    first, d_first = (window(each, position, shape)[:, 0] for each in (obj, d_obj))
    return solved_steps(
        (np.vdot(change, change).real, np.vdot(change, behind[-1]).real),
        shifted_probe(probe, position)[:, None] * d_first[None],
        shifted_probe(d_probe, position)[:, None] * first[None],
        behind[0],
        damping,
    )


def thick_lsqml_group(
    scan: Scan,
    obj,
    probe,
    frames: Sequence[int],
    kernels: Sequence[Complex],
    noise: str = "amplitude",
    *,
    object_step: float = STEP,
    probe_step: float = STEP,
    object_inertia: float = INERTIA,
    probe_inertia: float = INERTIA,
    update_probe: bool = True,
    factors=None,
    refine: bool = False,
) -> tuple[Complex, Complex, list[tuple[float, float]]]:
    """One update from one group, as `reference.lsqml.lsqml_group`."""
    found = [
        residuals_behind(scan, j, obj, probe, kernels[j], noise, factors, refine) for j in frames
    ]
    behind, terms = [chi for chi, _ in found], [term for _, term in found]
    inertia = object_inertia, probe_inertia
    d_obj, d_probe = thick_directions(scan, obj, probe, frames, kernels, behind, inertia)
    if not update_probe:
        d_probe = np.zeros_like(probe)
    steps = np.array(
        [
            thick_frame_steps(obj, probe, d_obj, d_probe, scan.positions[j], kernels[j], chi)
            for j, chi in zip(frames, behind, strict=True)
        ]
    )
    obj = obj + object_step * trimmed_mean(steps[:, 0]) * d_obj
    if update_probe:
        probe = probe + probe_step * trimmed_mean(steps[:, 1]) * d_probe
    return obj, probe, terms
