"""Scan positions: raster, Fermat spiral and concentric rings.

All return float64 (N, 2): (row, column) in pixels around (0, 0), in the order of measurement.
A step is the mean distance between neighbours; one number for both axes or (row, column).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from exitwave import checks

Float = npt.NDArray[np.float64]

SCANS = ("raster", "spiral", "rings")
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def raster(
    frames: int | tuple[int, int],
    step_px: checks.Pair,
    *,
    jitter: float = 0.0,
    seed: int = 0,
) -> Float:
    """Rows of equally spaced points, each moved at random.

    Parameters
    ----------
    frames : int or (rows, columns)
        A number is laid out as square as possible; the last row may be short.
    step_px : float or (row, column), pixels
    jitter : float, 0 to 1
        Each point moves by up to this fraction of the step, to both sides along both axes. A
        perfectly regular grid (0) lets periodic artefacts into the reconstruction.
    seed : int

    Raises
    ------
    InvalidArgument
        A number is out of range.
    """
    step = np.array(checks.pair("step_px", step_px))
    jitter = checks.number("jitter", jitter, least=0, most=1)
    if isinstance(frames, tuple):
        rows, columns = checks.shape2("frames", frames, least=1)
        count = rows * columns
    else:
        count = checks.whole("frames", frames)
        columns = math.ceil(math.sqrt(count))
    row, column = np.divmod(np.arange(count), columns)
    grid = np.stack([row, column], axis=1).astype(np.float64)
    grid -= (grid.max(axis=0) + grid.min(axis=0)) / 2
    random = np.random.default_rng(seed).uniform(-jitter, jitter, grid.shape)
    return np.asarray((grid + random) * step)


def spiral(frames: int, step_px: checks.Pair) -> Float:
    """Fermat spiral: radius c sqrt(n), golden angle; each point has an area of step^2.

    Uniform density without axes of symmetry (Huang et al., Opt. Express 22, 12634 (2014)).
    """
    step = np.array(checks.pair("step_px", step_px))
    n = np.arange(checks.whole("frames", frames))
    radius, angle = np.sqrt(n / math.pi), n * _GOLDEN_ANGLE
    return np.asarray(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1) * step)


def rings(frames: int, step_px: checks.Pair, *, points_first_ring: int = 5) -> Float:
    """Concentric rings, ring n with ``n * points_first_ring`` points.

    Scaled so that each point has an area of step^2. The last ring ends early when ``frames`` do.
    Rings avoid the periodic artefacts of a raster (Dierolf et al., New J. Phys. 12, 035017 (2010)).
    """
    step = np.array(checks.pair("step_px", step_px))
    checks.whole("points_first_ring", points_first_ring, least=3)
    count = checks.whole("frames", frames)
    points = [np.zeros((1, 2))]
    total, ring = 1, 0
    # Area of a ring 2 pi r dr shared by its points is one: dr^2 = points_first_ring / (2 pi).
    spacing = math.sqrt(points_first_ring / (2 * math.pi))
    while total < count:
        ring += 1
        inside = ring * points_first_ring
        angle = 2 * math.pi * (np.arange(inside) + 0.5 * (ring % 2)) / inside
        radius = ring * spacing
        points.append(radius * np.stack([np.sin(angle), np.cos(angle)], axis=1))
        total += inside
    return np.asarray(np.concatenate(points)[:count] * step)


def make_scan(
    kind: str, frames: int, step_px: checks.Pair, *, jitter: float = 0.0, seed: int = 0
) -> Float:
    """Scan of the given kind: "raster", "spiral" or "rings"; jitter moves points of any of them."""
    checks.choice("scan", kind, SCANS)
    if kind == "raster":
        return raster(frames, step_px, jitter=jitter, seed=seed)
    points = spiral(frames, step_px) if kind == "spiral" else rings(frames, step_px)
    jitter = checks.number("jitter", jitter, least=0, most=1)
    random = np.random.default_rng(seed).uniform(-jitter, jitter, points.shape)
    return np.asarray(points + random * np.array(checks.pair("step_px", step_px)))


def distort(
    positions_px: npt.ArrayLike,
    *,
    scale: checks.Pair = 1.0,
    shear_rad: float = 0.0,
    rotation_rad: float = 0.0,
    jitter_px: float = 0.0,
    seed: int = 0,
) -> Float:
    """Positions as a stage with errors reports them: affine map about their mean, and jitter.

    ``mean + R(rotation) H(shear) diag(scale) (position - mean) + noise`` on (row, column), with
    ``H = [[1, 0], [tan(shear), 1]]`` and ``R = [[cos, -sin], [sin, cos]]``.

    Parameters
    ----------
    positions_px : (N, 2)
    scale : float or (row, column)
    shear_rad : float, radians
        Columns grow with the row.
    rotation_rad : float, radians
        From rows towards columns.
    jitter_px : float, pixels
        Root mean square distance of the noise, as :func:`exitwave.metrics.position_error` has it:
        each axis has 1 / sqrt(2) of it.
    seed : int
        Of the noise.

    Returns
    -------
    float64, shape (N, 2)

    Raises
    ------
    InvalidArgument
        A number is out of range.
    """
    points = checks.positions("positions_px", positions_px)
    factors = np.diag(checks.pair("scale", scale))
    shear = np.array([[1.0, 0.0], [math.tan(checks.number("shear_rad", shear_rad)), 1.0]])
    angle = checks.number("rotation_rad", rotation_rad)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = points.mean(axis=0)
    moved = middle + (points - middle) @ (turn @ shear @ factors).T
    spread = checks.number("jitter_px", jitter_px, least=0) / math.sqrt(2)
    random = np.random.default_rng(seed)
    return np.asarray(moved + spread * random.standard_normal(points.shape))


def linear_overlap(step: float, diameter: float) -> float:
    """1 - step / diameter (Bunk et al., Ultramicroscopy 108, 481 (2008))."""
    return 1 - checks.number("step", step, above=0) / checks.number("diameter", diameter, above=0)
