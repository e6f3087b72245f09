"""Constraints on probe and object between updates.

Order: supports after each probe update (real space, then Fourier space); power and clip at the end
of an iteration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from reference.model import Complex, Real, Sums


def disc(shape: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """Pixels within `radius`, a fraction of half the window along each axis, of (Y//2, X//2)."""
    rows = (np.arange(shape[0]) - shape[0] // 2) / (shape[0] / 2)
    columns = (np.arange(shape[1]) - shape[1] // 2) / (shape[1] / 2)
    return rows[:, None] ** 2 + columns[None, :] ** 2 <= radius**2


def real_support(probe: Complex, support: NDArray[np.bool_]) -> Complex:
    """P = 0 outside the support."""
    return np.where(support, probe, 0)


def fourier_support(probe: Complex, support: NDArray[np.bool_]) -> Complex:
    """F P = 0 outside the support, given with the zero frequency in the middle."""
    return fft.ifft2(fft.fft2(probe) * fft.ifftshift(support))


def apply_supports(probe: Complex, support=None, fourier=None) -> Complex:
    """Real support first, then the Fourier support, each where given."""
    probe = probe if support is None else real_support(probe, support)
    return probe if fourier is None else fourier_support(probe, fourier)


def probe_power(probe: Complex) -> float:
    """sum over modes and pixels of |P|^2."""
    return float((np.abs(probe) ** 2).sum())


def reached(sums: Sums) -> NDArray[np.bool_]:
    """Object pixels with any illumination (sum |P|^2 > 0); all others keep their value."""
    return sums.object_denominator > 0


def hold_power(
    obj: Complex, probe: Complex, power: float, touched: NDArray[np.bool_]
) -> tuple[Complex, Complex]:
    """P s and O / s with s = sqrt(power / sum|P|^2): exit waves stay as they are."""
    scale = np.sqrt(power / probe_power(probe))
    return np.where(touched, obj / scale, obj), probe * scale


def clip_amplitude(obj: Complex, limits: tuple[float, float], touched=True) -> Complex:
    """|O| into [lowest, highest] with the phase kept; an exact zero becomes `lowest`."""
    amplitude = np.abs(obj)
    direction = np.where(amplitude > 0, obj / np.where(amplitude > 0, amplitude, 1), 1)
    return np.where(touched, direction * np.clip(amplitude, *limits), obj)


def largest(denominator: Real) -> float:
    """<.>_max of a denominator."""
    return float(denominator.max())
