"""Refinement of positions: from what each frame says about its own place to where all frames are.

An engine in the core takes five sums per frame (``csrc/kernels/positions.hpp``), the normal
equations of the move that takes most of its residual away; here they are solved and kept within
reason. For a search the core says instead how well each frame agrees with the model at places
around the present one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exitwave.refined import Refinements

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters

Float64 = npt.NDArray[np.float64]

# Frames whose object has less than this share of the mean gradient, squared, say nothing.
QUIET = 0.02
# Frames count less towards the affine map the farther they are off it, in units of the median
# distance (Cauchy weights; 2.385 standard deviations is the usual choice, a median of a Gaussian's
# distances in the plane is 1.18 of them).
_ROBUST = 2.0
_ROBUST_ROUNDS = 10
# A search looks at these places, in units of its radius, and fits a paraboloid to what it finds.
_TRIALS = np.array([(y, x) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)])
_PARABOLOID = np.linalg.pinv(
    np.column_stack([np.ones(9), _TRIALS, _TRIALS**2, _TRIALS.prod(axis=1)])
)
# A frame that moved less than this share of its radius looks closer the next time, ...
_NEAR = 0.7
# ... but never so much closer, or closer than this at all: there noise says more than the frame.
_CLOSER = 0.75
_CLOSEST_PX = 0.4
# A bound that takes no more than this from a move has not cut it short.
_ROUNDING_PX = 1e-6


@dataclass(frozen=True)
class Bounds:
    """Where frames may be: around the positions given, and inside the object.

    Attributes
    ----------
    lowest, highest : float64, shape (N, 2), pixels
    """

    lowest: Float64
    highest: Float64

    @classmethod
    def around(
        cls,
        given: Float64,
        limit_px: float,
        object_shape: tuple[int, ...],
        frame_shape: tuple[int, int],
    ) -> Bounds:
        """At most ``limit_px`` from ``given`` along each axis, with windows inside the object."""
        room = np.array(object_shape[-2:]) - frame_shape
        lowest = np.maximum(given - limit_px, np.minimum(given, 0.0))
        highest = np.minimum(given + limit_px, np.maximum(given, room))
        return cls(lowest, highest)

    def clip(self, positions: Float64) -> Float64:
        return np.clip(positions, self.lowest, self.highest)


def margin_px(limit_px: float | None) -> int:
    """Whole pixels by which a window may move; 0 where it may not."""
    return 0 if limit_px is None else math.ceil(limit_px) + 1


def position_limit(engines: Iterable[EngineParameters]) -> float | None:
    """The farthest that any engine of a chain may move a frame; None: none refines positions."""
    return max(
        (
            engine.position_limit_px
            for engine in engines
            if engine.position_start is not None or engine.map_start is not None
        ),
        default=None,
    )


class PositionRefiner:
    """Positions under refinement.

    Parameters
    ----------
    params : EngineParameters
    given : float64, shape (N, 2), pixels
        What the run was given: limits count from there, and the affine map starts from it.
    present : float64, shape (N, 2), pixels
        Where the frames are at the start of the engine.
    bounds : Bounds
    radius_px : float64, shape (N,), optional
        How far a search that goes on looks around each frame.
    refinements : Refinements, optional
        Gets the map of the given positions on the present ones.
    """

    def __init__(
        self,
        params: EngineParameters,
        given: Float64,
        present: Float64,
        bounds: Bounds,
        radius_px: Float64 | None = None,
        refinements: Refinements | None = None,
    ) -> None:
        self.params = params
        self.given = given
        self.present = present
        self.bounds = bounds
        self._refinements = refinements or Refinements()
        self._refinements.begin("scan_map", np.eye(2))
        self._slope = _SLOPE.get((params.name, getattr(params, "noise", "")), 1.0)
        self._stopped = np.zeros(len(given), bool)
        self.radius_px = radius_px
        if radius_px is None and params.position_search_px is not None:
            self.radius_px = np.full(len(given), params.position_search_px)

    def update(self, sums: Float64, factor: float = 1.0) -> Float64:
        """New positions from the sums (N, 5) of all frames, their steps times a factor."""
        steps, loud = frame_steps(sums)
        return self._move(
            factor * steps / self._slope, loud, scan_map_uncertainty(self.given, sums)
        )

    def search(self, deviations_at: Callable[[Float64], Float64], factor: float = 1.0) -> Float64:
        """New positions from places around the present ones.

        Parameters
        ----------
        deviations_at : function
            Squared amplitude deviations (N,) of the frames at positions (N, 2).
        factor : float
            On the steps.
        """
        assert self.radius_px is not None
        # A square that would reach over a bound is moved inside, and made smaller if it must be.
        lowest_px, highest_px = self.bounds.lowest, self.bounds.highest
        half = np.minimum(self.radius_px[:, None], (highest_px - lowest_px) / 2)
        centre = np.clip(self.present, lowest_px + half, highest_px - half)
        found = np.stack([deviations_at(centre + trial * half) for trial in _TRIALS], axis=1)
        spread = np.ptp(found, axis=1)
        # Along an axis without room all values are one; this keeps the fit in its middle there.
        found += spread[:, None] * ((half == 0) @ (_TRIALS**2).T)
        steps = centre + lowest(found) * half - self.present
        spread /= self.radius_px**2
        near = np.abs(steps).max(axis=1) / self.radius_px
        closer = np.maximum(_CLOSER, near) * self.radius_px
        closest = min(_CLOSEST_PX, self.params.position_search_px or _CLOSEST_PX)
        self.radius_px = np.where(near > _NEAR, self.radius_px, np.maximum(closer, closest))
        return self._move(factor * steps, spread > QUIET * spread.mean(), np.full((2, 2), np.inf))

    def _move(
        self, steps: Float64, loud: npt.NDArray[np.bool_], map_uncertainty: Float64
    ) -> Float64:
        """Positions after steps (N, 2) of the frames that say anything, all within reason."""
        params = self.params
        moved = self.present + limited(steps * params.position_step, self._longest_px)
        if params.position_affine > 0 and loud.sum() >= 4:
            mapped = affine_positions(self.given, moved, loud)
            moved = moved + params.position_affine * (mapped - moved)
        if loud.any():
            moved -= (moved - self.present)[loud].mean(axis=0)
        moved = np.where(loud[:, None], moved, self.present)
        return self._settle(moved, map_uncertainty)

    def update_map(self, step: Float64, uncertainty: Float64) -> Float64:
        """New positions by the map (2, 2) 1 + ``step`` about the middle of the scan.

        It is made smaller where the frame that moves farthest would pass ``position_max_step_px``.
        """
        moves = (self.present - self.present.mean(axis=0)) @ step.T
        longest = np.hypot(*moves.T).max() / self._longest_px
        return self._settle(self.present + moves / max(1.0, longest), uncertainty)

    @property
    def _longest_px(self) -> float:
        """Longest move at a time."""
        return self.params.position_max_step_px or max(1.0, self.params.position_search_px or 0.0)

    def _settle(self, moved: Float64, map_uncertainty: Float64) -> Float64:
        """Positions within the bounds, of which the map is kept."""
        self.present = self.bounds.clip(moved)
        self._stopped = np.abs(self.present - moved).max(axis=1) > _ROUNDING_PX
        self._refinements.add("scan_map", scan_map(self.given, self.present), map_uncertainty)
        return self.present

    def at_bound(self) -> int:
        """Number of frames whose last move a bound cut short."""
        return int(self._stopped.sum())


# Slopes of these losses are twice those of squared amplitudes where model and data nearly agree.
_SLOPE = {(name, noise): 2.0 for name in ("ML", "gradient") for noise in ("poisson", "gaussian")}


def frame_steps(sums: Float64) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """Moves (N, 2) that solve each frame's normal equations, and which frames say anything.

    Where the object varies along one direction only, the other is left alone: the matrix is
    damped by a share of its trace.
    """
    yy, yx, xx, by, bx = sums.T
    trace = yy + xx
    loud = trace > QUIET * trace.mean()
    damping = 0.01 * trace
    yy, xx = yy + damping, xx + damping
    determinant = np.where(loud, yy * xx - yx**2, 1.0)
    steps = np.stack([xx * by - yx * bx, yy * bx - yx * by], axis=1) / determinant[:, None]
    return np.where(loud[:, None], steps, 0.0), loud


def lowest(found: Float64) -> Float64:
    """Where each row (N, 9) of values at a search's places is lowest: (N, 2), in its radius.

    At the minimum of the paraboloid that fits them best, inside the square that was looked at; if
    it has none, at the lowest of the values.
    """
    _, y, x, yy, xx, yx = _PARABOLOID @ found.T
    determinant = 4 * yy * xx - yx**2
    convex = (determinant > 0) & (yy + xx > 0)
    determinant = np.where(convex, determinant, 1.0)
    fitted = np.stack([yx * x - 2 * xx * y, yx * y - 2 * yy * x], axis=1) / determinant[:, None]
    fitted /= np.maximum(1.0, np.abs(fitted).max(axis=1))[:, None]
    return np.where(convex[:, None], fitted, _TRIALS[found.argmin(axis=1)])


def limited(steps: Float64, longest_px: float) -> Float64:
    """Steps (N, 2), those that are longer cut to ``longest_px``."""
    length = np.hypot(*steps.T)
    return np.asarray(steps / np.maximum(1.0, length / longest_px)[:, None])


def affine_positions(given: Float64, moved: Float64, counted: npt.NDArray[np.bool_]) -> Float64:
    """Positions (N, 2) by the affine map of ``given`` that fits ``moved`` best.

    Least squares with weights that fall with the distance (Cauchy), so that frames that went
    astray do not count; only frames in ``counted`` do at all.
    """
    basis = np.column_stack([given - given.mean(axis=0), np.ones(len(given))])
    weight = counted.astype(float)
    mapped = moved
    for _ in range(_ROBUST_ROUNDS):
        root = np.sqrt(weight)[:, None]
        mapped = np.asarray(basis @ np.linalg.lstsq(root * basis, root * moved, rcond=None)[0])
        distance = np.hypot(*(moved - mapped).T)
        scale = _ROBUST * np.median(distance[counted])
        if scale == 0:
            break
        weight = counted / (1 + (distance / scale) ** 2)
    return mapped


def scan_map(given: Float64, moved: Float64) -> Float64:
    """(2, 2) least-squares map M of given positions on moved ones, shifts apart: moved = M given.

    Along a direction in which the scan has no extent it changes nothing.
    """
    centred, change = (p - p.mean(axis=0) for p in (given, moved - given))
    return np.asarray(np.eye(2) + (np.linalg.pinv(centred) @ change).T)


def scan_map_uncertainty(given: Float64, sums: Float64) -> Float64:
    """Of each entry of the map, from the frames' normal equations (N, 5), shift free as well.

    These count changes of waves, of which amplitudes see the half that is in phase, and their
    variance is 1/4: the covariance is half the inverse. Infinite where frames do not tell.
    """
    centred = given - given.mean(axis=0)
    place = np.column_stack([centred, np.ones(len(given))])
    yy, yx, xx = sums.T[:3]
    blocks = np.einsum("nab,ni,nj->aibj", np.array([[yy, yx], [yx, xx]]).T, place, place)
    normal = blocks.reshape(6, 6)
    if np.linalg.matrix_rank(normal) < 6:
        return np.full((2, 2), np.inf)
    variance = np.diag(np.linalg.inv(2 * normal)).reshape(2, 3)[:, :2]
    return np.asarray(np.sqrt(variance))
