"""Scans of the study: positions only, in pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exitwave import scans
from exitwave.topology import Job

Float64 = npt.NDArray[np.float64]

FRAMES = 16384
FRAME_SHAPE = (256, 256)
STEP_PX = 24.0
PROBE_MODES = 3
FRAMES_PER_DEVICE = 64  # of the weak scaling


def jittered_raster(frames: int = FRAMES) -> Float64:
    """Square, each point moved by up to 30 % of a step along both axes."""
    return scans.raster(frames, STEP_PX, jitter=0.3)


def spiral(frames: int = FRAMES) -> Float64:
    """Fermat spiral: a disc."""
    return scans.spiral(frames, STEP_PX)


def multi_scan(frames: int = FRAMES) -> Float64:
    """Four scans of one sample: three that overlap, one of them denser, and one apart."""
    count = frames // 4
    disc = scans.spiral(frames - 3 * count, STEP_PX)
    patch = scans.raster(count, STEP_PX, jitter=0.3, seed=1)
    radius = float(np.abs(disc).max())
    return np.concatenate(
        [
            disc,
            patch + np.array([0.3, 1.5]) * radius,
            0.6 * scans.spiral(count, STEP_PX) + np.array([1.3, 0.5]) * radius,
            patch + np.array([3.2, 2.6]) * radius,
        ]
    )


SCANS = {"jittered raster": jittered_raster, "spiral": spiral, "multi-scan": multi_scan}


def job_of(positions: Float64, engine: str = "DM", *, magnified: int = 1) -> Job:
    """A reconstruction of the study: three probe modes, uint16.

    Magnified, frames and steps have so many times the pixels along each axis.
    """
    shape = FRAME_SHAPE[0] * magnified, FRAME_SHAPE[1] * magnified
    return Job(positions * magnified, shape, engine=engine, probe_modes=PROBE_MODES)
