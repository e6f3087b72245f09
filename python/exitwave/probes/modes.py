"""Modes of a partially coherent beam."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.probes.grid import Complex, Float, coordinates
from exitwave.propagate import frequencies


def add_modes(
    probe: npt.NDArray[Any],
    modes: int,
    powers: npt.ArrayLike | None = None,
    *,
    plane: str = "pupil",
) -> Complex:
    """Orthogonal modes of a partially coherent beam, from its coherent probe.

    The probe times 1, y, x, y^2, yx, ... made orthogonal: the expansion of the small shifts
    (``plane`` "pupil": coordinates in Fourier space) or tilts ("sample") that a source of finite
    size adds to the beam.

    Parameters
    ----------
    probe : complex, shape (Y, X)
    modes : int
        Number M of modes.
    powers : M positive numbers or None
        Relative powers; None: each half of the one before.
    plane : "pupil" or "sample"

    Returns
    -------
    complex128, shape (M, Y, X), the total power of the probe
    """
    probe = checks.image("probe", probe).astype(np.complex128)
    checks.whole("modes", modes)
    checks.choice("plane", plane, ("pupil", "sample"))
    weights = mode_powers(modes, powers)
    power = np.sum(np.abs(probe) ** 2)
    if plane == "pupil":
        y, x = frequencies((probe.shape[0], probe.shape[1]))
        wave = fft.fft2(probe)
    else:
        y, x = coordinates((probe.shape[0], probe.shape[1]), 1.0)
        wave = probe
    # Coordinates from the beam's centre, of order one: the basis stays well conditioned.
    density = np.abs(wave) ** 2
    y, x = ((c - np.sum(density * c) / density.sum()) for c in (y, x))
    scale = np.sqrt(np.sum(density * (y**2 + x**2)) / density.sum())
    orders = [(n - k, k) for n in range(modes) for k in range(n + 1)][:modes]
    basis = np.stack([wave * (y / scale) ** i * (x / scale) ** j for i, j in orders])
    flat = np.linalg.qr(basis.reshape(modes, -1).T)[0].T.reshape(basis.shape)
    if plane == "pupil":
        flat = fft.ifft2(flat, norm="ortho")
    # The decomposition is free in sign: the first mode shall be the probe itself.
    flat *= np.sign(np.vdot(flat[0], probe).real)
    return np.asarray(flat * np.sqrt(weights * power)[:, None, None])


def mode_powers(modes: int, powers: npt.ArrayLike | None) -> Float:
    """Relative powers with sum one; None: each half of the one before."""
    if powers is None:
        weights = 0.5 ** np.arange(modes)
    else:
        weights = np.asarray(powers, dtype=np.float64)
        if weights.shape != (modes,) or not np.isfinite(weights).all() or (weights <= 0).any():
            raise InvalidArgument(
                f"mode powers were {powers!r}, but must be {modes} positive numbers, one per mode."
            )
    return np.asarray(weights / weights.sum())
