"""What happens at the detector: modulus factor, power bound, noise models, Fourier error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reference.model import Complex, Real, Scan, forward

# Smallest intensity that is divided by. Below it a pixel is dark in the model, and the wave that
# the factor multiplies is zero as well.
SMALLEST_INTENSITY = 1e-20


def intensity(waves: Complex) -> Real:
    """I = sum_mk |Psi_mk|^2, shape (Y, X)."""
    return (np.abs(waves) ** 2).sum((0, 1))


def point_image(point_spread: Real | tuple[float, float] | float | None) -> Real | None:
    """What becomes of a point of light, of sum 1: as given, or a Gaussian of these deviations.

    The Gaussian is sampled at pixels and ends beyond five deviations.
    """
    if point_spread is None:
        return None
    if np.ndim(point_spread) == 2:
        return np.asarray(point_spread) / np.sum(point_spread)
    image = np.ones((1, 1))
    for axis, deviation in enumerate(np.broadcast_to(point_spread, 2)):
        half = int(np.ceil(5 * deviation))
        k = np.arange(-half, half + 1)
        profile = np.exp(-((k / deviation) ** 2) / 2) if half else np.ones(1)
        image = image * np.expand_dims(profile / profile.sum(), 1 - axis)
    return image


def modulus_factor(
    waves: Complex,
    counts: Real,
    mask: NDArray[np.bool_],
    power_bound: float | None = None,
) -> Real:
    """g = sqrt(I_measured) / sqrt(I of these waves), 1 at invalid pixels, shape (Y, X).

    With a power bound p the frame's mean squared amplitude deviation over the valid pixels
    e = mean (A - sqrt I)^2 decides: e <= p leaves the frame alone (g = 1), else the amplitude
    becomes sqrt I + (A - sqrt I) sqrt(p / e) (Giewekemeyer et al., PNAS 2010).
    """
    amplitude = np.sqrt(np.maximum(intensity(waves), SMALLEST_INTENSITY))
    measured = np.sqrt(np.where(mask, counts, 0.0))
    if power_bound is not None:
        mean = ((amplitude - measured) ** 2)[mask].mean()
        if mean <= power_bound:
            return np.ones(mask.shape)
        measured = measured + (amplitude - measured) * np.sqrt(power_bound / mean)
    return np.where(mask, measured / amplitude, 1.0)


def loss(model: Real, counts: Real, noise: str) -> Real:
    """Loss per pixel of the model intensity; see formulas of the noise models.

    poisson:   I - n ln I         gaussian: (I - n)^2 / (2 (n + 1))
    amplitude: (sqrt I - sqrt n)^2   anscombe: (sqrt(I + 3/8) - sqrt(n + 3/8))^2
    """
    safe = np.maximum(model, SMALLEST_INTENSITY)
    if noise == "poisson":
        return model - counts * np.log(safe)
    if noise == "gaussian":
        return (model - counts) ** 2 / (2 * (counts + 1))
    offset = 3 / 8 if noise == "anscombe" else 0.0
    return (np.sqrt(model + offset) - np.sqrt(counts + offset)) ** 2


def loss_factor(model: Real, counts: Real, noise: str) -> Real:
    """dL/dI: what multiplies Psi in the gradient."""
    safe = np.maximum(model, SMALLEST_INTENSITY)
    if noise == "poisson":
        return 1 - counts / safe
    if noise == "gaussian":
        return (model - counts) / (counts + 1)
    offset = 3 / 8 if noise == "anscombe" else 0.0
    return 1 - np.sqrt((counts + offset) / (safe + offset))


def loss_curvature(model: Real, counts: Real, noise: str) -> Real:
    """d^2 L / dI^2, never negative."""
    safe = np.maximum(model, SMALLEST_INTENSITY)
    if noise == "poisson":
        return counts / safe**2
    if noise == "gaussian":
        return 1 / (counts + 1)
    offset = 3 / 8 if noise == "anscombe" else 0.0
    return 0.5 * np.sqrt(counts + offset) * (safe + offset) ** -1.5


def fourier_terms(waves: Complex, counts: Real, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """One frame's numerator and denominator of the Fourier error."""
    return error_terms(intensity(waves), counts, mask)


def error_terms(model: Real, counts: Real, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The same of the model's intensity."""
    measured = np.where(mask, counts, 0.0)
    deviation = np.where(mask, np.sqrt(model) - np.sqrt(measured), 0.0)
    return float((deviation**2).sum()), float(measured.sum())


def fourier_error(scan: Scan, obj: Complex, probe: Complex) -> float:
    """sum_valid (sqrt I_measured - sqrt I_model)^2 / sum_valid I_measured over all frames."""
    terms = [
        error_terms(
            scan.spread(intensity(forward(obj, probe, position, scan.propagator))),
            counts,
            scan.mask,
        )
        for position, counts in zip(scan.positions, scan.counts, strict=True)
    ]
    numerator, denominator = np.sum(terms, axis=0)
    return float(numerator / denominator)
