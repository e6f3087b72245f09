"""Refinement of what all frames have in common: propagation distance, defocus, map of the scan.

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
from exitwave.start import corners_and_fractions

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters, Parameters
    from exitwave.positions import PositionRefiner
    from exitwave.problem import Problem

# Longest step of the distance, as fraction of it.
_DISTANCE_STEP = 0.02
# Longest step of the defocus: the phase by which it changes the probe's spectrum, rms.
_DEFOCUS_PHASE = 0.5


class GeometryRefiner:
    """Geometry of a run under refinement; what it has come to is in ``refinements``.

    Parameters
    ----------
    params : Parameters
    problem : Problem
        Gets the propagator of each new distance, for the engines to come.
    refinements : Refinements
    """

    def __init__(self, params: Parameters, problem: Problem, refinements: Refinements) -> None:
        self._params = params
        self._problem = problem
        self._refinements = refinements

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
    ) -> None:
        """Takes the steps that are due after an iteration of an engine."""
        if positions is not None and _due(engine.map_start, engine.geometry_every, iteration):
            _refine_map(engine, core, positions)
        if _due(engine.distance_start, engine.geometry_every, iteration):
            self._refine_distance(engine, core)
        held = engine.probe_start is None or iteration < engine.probe_start
        if held and _due(engine.defocus_start, engine.geometry_every, iteration):
            self._refine_defocus(engine, core)

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
        step, uncertainty = _step(core, "distance", _diagonal(factors), _DISTANCE_STEP * present)
        present += engine.geometry_step * step
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
        step, uncertainty = _step(core, "defocus", _diagonal(factors), limit)
        step *= engine.geometry_step
        moved = propagate(probe, lengths.wavelength_m, step, tuple(_pixel(lengths)))
        core.set_fields(core.object, np.ascontiguousarray(moved, np.complex64))
        self._refinements.add("defocus_m", present + step, uncertainty)


def _refine_map(engine: EngineParameters, core: Any, positions: PositionRefiner) -> None:
    """Its four entries, one after the other: they hardly depend on each other."""
    found = [_step(core, "map", tuple(unit), math.inf) for unit in np.eye(4)]
    steps, uncertainties = np.array(found).T.reshape(2, 2, 2)
    moved = positions.update_map(engine.geometry_step * steps, uncertainties)
    core.set_positions(*corners_and_fractions(moved))


def _due(start: int | None, every: int, iteration: int) -> bool:
    return start is not None and iteration >= start and (iteration - start) % every == 0


def _step(core: Any, unknown: str, factors: Sequence[float], limit: float) -> tuple[float, float]:
    """Gauss-Newton step, at most ``limit``, and what counting noise leaves uncertain.

    Amplitudes of counts have the variance 1/4, so that of the number is 1 / (4 curvature).
    """
    from exitwave import _core

    found = core.look_along(getattr(_core.Unknown, unknown), *map(float, factors))
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
