"""Refinement of what all frames have in common: lengths along the beam, its tilt, map of the scan.

The core looks at all frames and returns curvature and slope of the misfit of amplitudes along one
number (``csrc/kernels/tangents.hpp``); the Gauss-Newton step is their quotient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.propagate import frame_kernel, frequencies, propagate
from exitwave.refined import Refinements
from exitwave.schedules import due
from exitwave.slicing import OF_GAPS
from exitwave.start import corners_and_fractions

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters, Parameters
    from exitwave.positions import PositionRefiner
    from exitwave.problem import Problem
    from exitwave.slicing import Slicing

# What is refined here, each with parameters of its own.
UNKNOWNS = ("map", "distance", "defocus", *OF_GAPS)

# Longest step of the distance, as fraction of it.
_DISTANCE_STEP = 0.02
# The same of the distance from slice to slice, which enters the model far less.
_SLICE_DISTANCE_STEP = 0.1
# Longest step of the defocus: the phase by which it changes the probe's spectrum, rms.
_DEFOCUS_PHASE = 0.5
# Longest step of the tilt: how far it moves the beam on its way from the first slice to the last.
_TILT_PX = 1.0


def refines_any(engine: EngineParameters, unknowns: Sequence[str]) -> bool:
    """Whether an engine refines any of these."""
    return any(getattr(engine, f"{unknown}_start", None) is not None for unknown in unknowns)


class GeometryRefiner:
    """Geometry of a run under refinement; what it has come to is in ``refinements``.

    Parameters
    ----------
    params : Parameters
    problem : Problem
        Gets the propagator of each new distance and the slicing of each new gap, for the engines
        to come.
    refinements : Refinements
    """

    def __init__(self, params: Parameters, problem: Problem, refinements: Refinements) -> None:
        self._params = params
        self._problem = problem
        self._refinements = refinements
        if problem.slicing is not None:
            problem.slicing = problem.slicing.refined(refinements.present)

    @property
    def kernel(self) -> npt.NDArray[np.complex64] | None:
        """Near-field propagator of the present distance."""
        known = self._params.propagation
        if known.regime == "near":
            distance = self._refinements.last("distance_m", known.distance_m)
            known = known.model_copy(update={"distance_m": distance})
        kernel = frame_kernel(known, self._problem.frame_shape)
        return None if kernel is None else kernel.astype(np.complex64)

    def refine(
        self,
        engine: EngineParameters,
        iteration: int,
        core: Any,
        positions: PositionRefiner | None,
        slices: int = 1,
    ) -> None:
        """Takes the steps that are due after an iteration of an engine."""
        if positions is not None and due(engine, "map", iteration):
            _refine_map(engine, core, positions)
        if due(engine, "distance", iteration):
            self._refine_distance(engine, core)
        if due(engine, "defocus", iteration) and _held(engine, "probe", iteration):
            self._refine_defocus(engine, core)
        if due(engine, "slice_distance", iteration):
            self._refine_slice_distances(engine, core, slices)
        if due(engine, "tilt", iteration) and _held(engine, "object", iteration):
            self._refine_tilt(engine, core, slices)

    def note_kappa(self, engine: EngineParameters, found: float) -> None:
        """What the core has refined; its misfit says nothing of how sure it is."""
        self._refinements.begin("kappa", engine.object_kappa)
        self._refinements.add("kappa", found, math.inf)

    def _refine_distance(self, engine: EngineParameters, core: Any) -> None:
        near = self._params.propagation
        assert near.regime == "near"
        present = self._refinements.last("distance_m", near.distance_m)
        self._refinements.begin("distance_m", present)
        along = 1.0
        if near.focus_distance_m is not None:
            along = (near.focus_distance_m / (near.focus_distance_m + present)) ** 2
        # 1 / k, and central differences of object and probe.
        factors = along * near.wavelength_m / (2 * math.pi) / (2 * _pixel(near)) ** 2
        found = _look(core, "distance", _diagonal(factors))
        step, uncertainty = _step(found, _DISTANCE_STEP * present)
        present += engine.distance_step * step
        self._refinements.add("distance_m", present, uncertainty)
        self._problem.kernel = self.kernel
        core.set_kernel(self._problem.kernel)

    def _refine_defocus(self, engine: EngineParameters, core: Any) -> None:
        lengths = self._params.propagation
        # Checked with the parameters.
        assert lengths.wavelength_m is not None
        present = self._refinements.last("defocus_m", 0.0)
        self._refinements.begin("defocus_m", present)
        # 1 / (2 k), and second differences of the probe.
        factors = lengths.wavelength_m / (4 * math.pi) / _pixel(lengths) ** 2
        probe = core.probe
        limit = _DEFOCUS_PHASE / _phase_per_metre(probe, lengths)
        step, uncertainty = _step(_look(core, "defocus", _diagonal(factors)), limit)
        step *= engine.defocus_step
        moved = propagate(probe, lengths.wavelength_m, step, tuple(_pixel(lengths)))
        core.set_fields(core.object, np.ascontiguousarray(moved, np.complex64))
        self._refinements.add("defocus_m", present + step, uncertainty)

    def _refine_slice_distances(self, engine: Any, core: Any, slices: int) -> None:
        """One after the other, each with those before it where they have come to."""
        slicing = self._slicing
        distances, uncertainties = np.array(slicing.distances(slices)), np.empty(slices - 1)
        self._refinements.begin("slice_distances_m", distances.copy())
        for gap, distance in enumerate(distances):
            found = core.look_between_slices(slicing.with_distance(slices, gap))
            step, uncertainties[gap] = _step(found, _SLICE_DISTANCE_STEP * distance)
            distances[gap] += engine.slice_distance_step * step
            slicing = slicing.refined({"slice_distances_m": distances})
            core.set_slice_kernels(slicing.between(slices)[0])
        self._problem.slicing = slicing
        self._refinements.add("slice_distances_m", distances, uncertainties)

    def _refine_tilt(self, engine: Any, core: Any, slices: int) -> None:
        """Along rows and columns, which hardly depend on each other."""
        slicing = self._slicing
        self._refinements.begin("beam_tilt_rad", slicing.tilt_rad)
        limits = _TILT_PX * np.array(slicing.pixel_size_m) / sum(slicing.distances(slices))
        looks = [core.look_between_slices(slicing.with_tilt(slices, axis)) for axis in range(2)]
        steps, uncertainties = np.array(
            [_step(*each) for each in zip(looks, limits, strict=True)]
        ).T
        tilt = slicing.tilt_rad + engine.tilt_step * steps
        self._problem.slicing = slicing.refined({"beam_tilt_rad": tilt})
        core.set_slice_kernels(self._problem.slicing.between(slices)[0])
        self._refinements.add("beam_tilt_rad", tilt, uncertainties)

    @property
    def _slicing(self) -> Slicing:
        # Checked with the parameters.
        assert self._problem.slicing is not None
        return self._problem.slicing


def _refine_map(engine: EngineParameters, core: Any, positions: PositionRefiner) -> None:
    """Its four entries, one after the other: they hardly depend on each other."""
    found = [_step(_look(core, "map", tuple(unit)), math.inf) for unit in np.eye(4)]
    steps, uncertainties = np.array(found).T.reshape(2, 2, 2)
    moved = positions.update_map(engine.map_step * steps, uncertainties)
    core.set_positions(*corners_and_fractions(moved))


def _held(engine: EngineParameters, field: str, iteration: int) -> bool:
    """Whether updates of object or probe have not begun yet."""
    start = getattr(engine, f"{field}_start", 0)
    return start is None or iteration < start


def _look(core: Any, unknown: str, factors: Sequence[float]) -> Any:
    """The core's normal equation along one number."""
    from exitwave import _core

    return core.look_along(getattr(_core.Unknown, unknown), *map(float, factors))


def _step(found: Any, limit: float) -> tuple[float, float]:
    """Gauss-Newton step, at most ``limit``, and what counting noise leaves uncertain.

    Amplitudes of counts have the variance 1/4, so that of the number is 1 / (4 curvature).
    """
    if not found.curvature > 0:
        return 0.0, math.inf
    step = float(np.clip(found.slope / found.curvature, -limit, limit))
    return step, 0.5 / math.sqrt(found.curvature)


def _diagonal(factors: npt.NDArray[np.float64]) -> Sequence[float]:
    """Of rows and of columns, as the core takes them."""
    return (factors[0], 0.0, 0.0, factors[1])


def _pixel(lengths: Any) -> npt.NDArray[np.float64]:
    return np.asarray(lengths.pixel_size_m, np.float64)


def _phase_per_metre(probe: npt.NDArray[np.complex64], lengths: Any) -> float:
    """Standard deviation over the probe's spectrum of pi lambda q^2."""
    u, v = frequencies((probe.shape[-2], probe.shape[-1]), tuple(_pixel(lengths)))
    phase = math.pi * lengths.wavelength_m * (u**2 + v**2)
    weight = (np.abs(np.fft.fft2(probe)) ** 2).sum(axis=0)
    weight = weight / weight.sum()
    mean = float((weight * phase).sum())
    return math.sqrt(float((weight * (phase - mean) ** 2).sum()))
