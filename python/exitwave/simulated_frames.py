"""Intensities of simulated frames, and the counts that a detector makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave.errors import InvalidArgument
from exitwave.imperfections import Imperfections
from exitwave.propagate import Detector
from exitwave.simulation import Truth

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float64]


def intensities(
    detector: Detector, obj: Array, probe: Array, truth: Truth, imperfections: Imperfections
) -> Float:
    """Noise-free intensities (N, Y, X) of the beam, before the detector.

    A frame is the mean over its sub-positions, with its own probe, tilt and intensity.

    Parameters
    ----------
    obj : complex, shape (K, A, B), or (K, S, A, B) with slices
    probe : complex, shape (M, Y, X)
    """
    stack = obj.astype(np.complex128)
    steady = fft.fft2(probe.astype(np.complex128))
    changes = fft.fft2(truth.probe_changes)
    path = imperfections.path_px()
    result = np.zeros((len(truth.positions_px), *probe.shape[1:]))
    for j, frame in enumerate(result):
        spectrum = steady
        if len(changes):
            spectrum = steady + np.tensordot(truth.probe_weights[j], changes, axes=1)
        for offset in path:
            point = truth.positions_px[j] + offset
            frame += detector.intensity(stack, spectrum, point, truth.tilt_rad[j])
        frame *= truth.intensities[j] / len(path)
    return result


def counted(intensity: Float, random: np.random.Generator) -> Array:
    """Poisson counts in the narrowest unsigned type that holds them."""
    if intensity.max() > 2**32 - 2**18:
        raise InvalidArgument(
            f"counts_per_frame puts {intensity.max():.3g} counts into one pixel, but uint32 ends "
            "at 4.29e9: make it smaller."
        )
    counts = np.empty(intensity.shape, dtype=np.uint32)
    for frame, expected in zip(counts, intensity, strict=True):
        frame[:] = random.poisson(expected)
    return narrowed(counts)


def narrowed(counts: Array) -> Array:
    """Counts in the narrowest unsigned type that holds them."""
    largest = int(counts.max())
    for narrow in (np.uint8, np.uint16):
        if largest <= np.iinfo(narrow).max:
            return counts.astype(narrow)
    return counts
