"""What a frame says about its position, and where that moves it (Odstrcil et al. 2018)."""

from __future__ import annotations

import numpy as np

from reference.model import Complex, Real, corner_and_fraction, shifted_probe, window

QUIET = 0.02


def position_sums(
    obj: Complex, probe: Complex, position: Real, propagator, residual: Complex
) -> Real:
    """(a_yy, a_yx, a_xx, b_y, b_x) of min_d ||chi - P (d . grad O)||^2, chi = D^-1 residual.

    Over all modes and the pixels inside the window, where central differences see only pixels of
    the window: a_st = Re sum conj(P dO/ds) P dO/dt, b_s = Re sum conj(P dO/ds) chi.
    """
    chi = propagator.backward(residual, corner_and_fraction(position)[1])[..., 1:-1, 1:-1]
    p = shifted_probe(probe, position)[:, None, 1:-1, 1:-1]
    o = window(obj, position, probe.shape[-2:])
    along_y = p * (o[None, :, 2:, 1:-1] - o[None, :, :-2, 1:-1]) / 2
    along_x = p * (o[None, :, 1:-1, 2:] - o[None, :, 1:-1, :-2]) / 2
    pairs = [
        (along_y, along_y),
        (along_y, along_x),
        (along_x, along_x),
        (along_y, chi),
        (along_x, chi),
    ]
    return np.array([np.vdot(left, right).real for left, right in pairs])


def moved_positions(
    positions: Real, sums: Real, step: float, longest_px: float, slope: float = 1.0
) -> Real:
    """Each frame by its own equations; too long steps cut, quiet frames left, mean removed."""
    gradient = sums[:, 0] + sums[:, 2]
    loud = gradient > QUIET * gradient.mean()
    moves = np.zeros_like(positions)
    for j in np.flatnonzero(loud):
        a = np.array([[sums[j, 0], sums[j, 1]], [sums[j, 1], sums[j, 2]]])
        a += 0.01 * gradient[j] * np.eye(2)
        moves[j] = step / slope * np.linalg.solve(a, sums[j, 3:])
        moves[j] *= min(1.0, longest_px / np.linalg.norm(moves[j]))
    moves[loud] -= moves[loud].mean(axis=0)
    return positions + moves
