"""Refinement of a background that all frames have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reference.constraints import largest
from reference.detector import intensity, loss_curvature, loss_factor, point_image
from reference.model import Complex, Real, Scan, forward

INERTIA = 0.03


def background_sums(
    scan: Scan, obj: Complex, probe: Complex, background: Real, noise: str
) -> tuple[Real, Real]:
    """S = -sum dL/dI, W = sum d2L/dI2 over all frames, (Y, X), 0 at invalid pixels.

    Of the model K I0 + b; W where counts agree with the model.
    """
    slope, curvature = np.zeros(scan.mask.shape), np.zeros(scan.mask.shape)
    for counts, position in zip(scan.counts, scan.positions, strict=True):
        light = intensity(forward(obj, probe, position, scan.propagator))
        model = scan.spread(light) + background
        slope -= np.where(scan.mask, loss_factor(model, np.where(scan.mask, counts, 0), noise), 0)
        curvature += np.where(scan.mask, loss_curvature(model, model, noise), 0)
    return slope, curvature


def background_step(
    scan: Scan, obj: Complex, probe: Complex, background: Real, noise: str, smooth_px: float = 0.0
) -> Real:
    """b <- max(0, b + G[ G[S] / (G[W] + d max G[W]) ] / G[1]).

    G is a Gaussian, which nothing enters from beyond the edge.
    """
    slope, curvature = background_sums(scan, obj, probe, background, noise)
    gauss = replace(scan, point_spread=point_image(smooth_px))
    weight = gauss.spread(curvature)
    step = gauss.spread(gauss.spread(slope) / (weight + INERTIA * largest(weight)))
    return np.maximum(background + step / gauss.spread(np.ones_like(step)), 0)
