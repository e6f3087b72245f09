"""Thick objects: whether their slices are told apart, on simulated data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

import exitwave
from cases import CaseFunction, Settings
from exitwave import metrics, specimens
from exitwave.simulation import Simulation
from results import Measurement

SLICES = 10
# Distance of the slices in units of pixel^2 / wavelength. Light up to two thirds of the highest
# frequency has a depth of focus of 9 of them, but features of ten pixels, seen in a beam of half
# that angle, one of about 50.
DISTANCE = 48
# Features of one slice lie between these lengths (standard deviations of Gaussians, pixels): what
# is coarser looks alike in all slices, and no data can tell in which of them it is.
FINEST, COARSEST = 2.0, 5.0
PHASE_RAD = 0.8


@dataclass(frozen=True)
class Closeness:
    """How close a reconstruction is to the truth, free of factor, ramp and shift.

    Attributes
    ----------
    product : float
        Relative error of the product of all slices, exp(i total phase).
    phase : float
        Error of the total phase relative to the deviation of the total phase from its mean.
    slices : list of float
        Correlation of the phase of each slice with the true one, ramp removed.
    """

    product: float
    phase: float
    slices: list[float]


def textures(shape: tuple[int, int]) -> np.ndarray:
    """Slices (S, A, B), each with a picture of its own with a weak phase."""
    pictures = np.angle(specimens.from_slices(shape, SLICES, phase_range_rad=(0.0, 1.0)))
    fine = gaussian_filter(pictures, (0, FINEST, FINEST), mode="reflect")
    fine -= gaussian_filter(fine, (0, COARSEST, COARSEST), mode="reflect")
    fine -= fine.min(axis=(1, 2), keepdims=True)
    return np.exp(1j * PHASE_RAD * fine / fine.max(axis=(1, 2), keepdims=True))


@cache
def thick_scan(quick: bool) -> Simulation:
    """400 frames of 128 x 128, 1e7 counts each, a defocused lens on a spiral, overlap 0.95."""
    size, frames, overlap = (64, 60, 0.85) if quick else (128, 400, 0.95)
    thin = exitwave.simulate(size, 4)
    options: dict[str, Any] = {
        "slices": SLICES,
        "slice_distance_m": DISTANCE * thin.pixel_size_m[0] ** 2 / thin.wavelength_m,
        "overlap": overlap,
        "counts_per_frame": 1e7,
        "seed": 1,
    }
    shape = exitwave.simulate(size, frames, **options | {"counts_per_frame": None}).object.shape
    return exitwave.simulate(size, frames, obj=textures((shape[1], shape[2])), **options)


def closeness(scan: Simulation, obj: np.ndarray) -> Closeness:
    """Of an object (S, A, B), over the pixels that the scan's light reaches."""
    region = metrics.scan_region(
        scan.positions_px, scan.data.shape[1:], scan.object.shape[1:], scan.probe
    )
    product, true = (np.exp(1j * np.angle(each).sum(axis=0)) for each in (obj, scan.object))
    plane = np.column_stack([*np.nonzero(region), np.ones(region.sum())]).astype(float)

    def flat(phase: np.ndarray) -> np.ndarray:
        values = phase[region]
        return values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]

    pairs = [[flat(np.angle(each)) for each in both] for both in zip(obj, scan.object, strict=True)]
    total, true_total = (np.sum(each, axis=0) for each in zip(*pairs, strict=True))
    return Closeness(
        metrics.relative_error(product, true, region),
        float(np.linalg.norm(total - true_total) / np.linalg.norm(true_total)),
        [float(np.corrcoef(*pair)[0, 1]) for pair in pairs],
    )


def engines(quick: bool) -> list[dict[str, Any]]:
    """LSQML, told that nothing absorbs.

    Smoothness takes away what no data speak of: frequencies above two thirds of the highest do not
    pass from slice to slice, and without it the noise there is most of the error.
    """
    return [
        {
            "name": "LSQML",
            "iterations": 3 if quick else 30,
            "slices": SLICES,
            "noise": "poisson",
            "smoothness": 0.02,
            "object_clip": (1, 1),
        }
    ]


def ten_slices(settings: Settings) -> Iterator[Measurement]:
    """From the true probe, which is updated, and slices of ones."""
    scan = thick_scan(settings.quick)
    params = {
        "engines": engines(settings.quick),
        "propagation": scan.propagation,
        "device": settings.device,
        "progress": False,
    }
    result = exitwave.ptychography(*scan, params)
    close = closeness(scan, result.object)
    details = {
        "engines": " ".join(f"{each['name']}:{each['iterations']}" for each in params["engines"]),
        "frames": len(scan.data),
        "slice_distance_m": scan.slice_distances_m[0] if scan.slice_distances_m else None,
        "pixel_size_m": list(scan.pixel_size_m),
        "wavelength_m": scan.wavelength_m,
        "correlations": close.slices,
        "fourier_error": result.error,
        "seconds": result.seconds,
    }
    case = "quality/10 slices"
    for quantity, value in (
        ("error of the product of all slices", close.product),
        ("error of the total phase over its deviation", close.phase),
    ):
        yield Measurement(
            case=case,
            quantity=quantity,
            value=value,
            target=settings.target(0.02),
            details=details,
        )
    yield Measurement(
        case=case,
        quantity="least correlation of a slice",
        value=min(close.slices),
        target=settings.target(0.9),
        at_least=True,
        details=details,
    )


CASES: dict[str, CaseFunction] = {"10 slices": ten_slices}
