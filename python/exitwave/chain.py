"""A chain of engines on one scan: from checked input to a result, or to a plan of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import start
from exitwave.counts import Counts
from exitwave.devices import DescribedDevices, choose_lanes
from exitwave.engine_run import EngineRun, core_options
from exitwave.errors import DivergenceError, InvalidArgument
from exitwave.first_probe import find_probe
from exitwave.interruption import Interruption
from exitwave.memory_limit import MemoryLimits
from exitwave.memory_plan import EnginePlan
from exitwave.parameters import EngineParameters, Parameters, validate_params
from exitwave.positions import Bounds, PositionRefiner, margin_px, position_limit
from exitwave.problem import make_problem, scaled_probe
from exitwave.progress import progress_of
from exitwave.result import Result

Complex64 = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class State:
    """What a callback sees after an iteration. Arrays are the run's own, read-only.

    Attributes
    ----------
    engine : str
        Name of the engine, which is number ``engine_index`` of the chain.
    iteration : int
        Iteration of this engine that was just done, from 0.
    error : float
        Fourier error of the model that the iteration started from.
    object : complex64, shape (K, A, B)
    probe : complex64, shape (M, Y, X)
    positions : float64, shape (N, 2), pixels of ``object``
    """

    engine: str
    engine_index: int
    iteration: int
    error: float
    object: Complex64
    probe: Complex64
    positions: npt.NDArray[np.float64]


class Chain:
    """A chain of engines on one scan.

    With ``planning`` the counts are not looked at, and it can only be planned, if need be on
    ``devices`` that are not there.
    """

    def __init__(
        self,
        counts: Counts,
        limits: MemoryLimits,
        obj: Any,
        probe: Any,
        pos: Any,
        params: Parameters,
        planning: bool = False,
        devices: DescribedDevices | None = None,
    ) -> None:
        frames, *shape = counts.data.shape
        frame_shape = (shape[0], shape[1])
        validate_params(params, frame_shape=frame_shape)
        if pos is None:
            raise InvalidArgument(
                "pos is None, but each frame needs a position; give (N, 2) pixels."
            )
        if devices is None:
            lanes = choose_lanes(params.device, params.parts, params.batch, frames)
        else:
            lanes = devices.lanes(params.parts, params.batch, frames)
        kernel = _kernel(params, frame_shape)
        positions = start.checked_positions(pos, frames)
        margin = margin_px(position_limit(params.engines))
        self.object, self.given_positions = start.place_object(obj, positions, frame_shape, margin)
        self.refiner: PositionRefiner | None = None
        if probe is not None:
            self.probe = start.checked_probe(probe, frame_shape)
        elif planning:
            self.probe = np.zeros((1, *frame_shape), np.complex64)
        else:
            self.probe = find_probe(counts, positions, kernel)
        start.check_modes(params.engines, len(self.probe), len(self.object))
        self.params = params
        self.squeeze = np.ndim(obj) != 3
        self.problem = make_problem(
            counts,
            self.positions,
            self.object.shape[-2:],
            kernel,
            lanes,
            params.seed,
            limits,
            params.scratch_folder,
            planning,
        )
        if params.scale_start and not planning:
            self.probe = scaled_probe(self.problem, self.object, self.probe)
        self.start: dict[str, npt.NDArray[Any]] = {
            "object": self.object,
            "probe": self.probe,
            "positions": self.positions,
        }
        self.errors: list[npt.NDArray[np.float64]] = []
        self.stopped: str | None = None

    def plan(self) -> list[EnginePlan]:
        """What each engine would hold; modes grow as they would in a run."""
        plans = []
        probe_modes, object_modes = len(self.probe), len(self.object)
        for params in self.params.engines:
            probe_modes = params.probe_modes or probe_modes
            object_modes = params.object_modes or object_modes
            obj = np.zeros((object_modes, *self.object.shape[1:]), np.complex64)
            probe = np.zeros((probe_modes, *self.probe.shape[1:]), np.complex64)
            self._place(params)
            options = core_options(params, self.problem, object_modes, probe_modes)
            plans.append(self.problem.plan(options, obj, probe))
        return plans

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """Where the frames are now."""
        return self.given_positions if self.refiner is None else self.refiner.present

    def _place(self, params: EngineParameters) -> PositionRefiner | None:
        """Puts the frames where they are now, with room to move if this engine refines them."""
        limit = position_limit([params])
        if limit is None and self.refiner is None:
            return None
        given = self.given_positions
        self.problem.place(self.positions, given, margin_px(limit))
        if limit is None:
            return None
        shape = self.problem.frame_shape
        bounds = Bounds.around(given, limit, self.object.shape, shape)
        self.refiner = PositionRefiner(params, given, self.positions, bounds)
        return self.refiner

    def run(self) -> Result:
        began = time.perf_counter()
        error = np.nan
        with Interruption() as interruption, progress_of(self.params) as progress:
            for number, engine_params in enumerate(self.params.engines):
                modes = engine_params.probe_modes, engine_params.object_modes
                self.probe = start.grown_probe(self.probe, modes[0])
                self.object = start.grown_object(self.object, modes[1], self.problem.random)
                refiner = self._place(engine_params)
                engine = EngineRun(
                    number, engine_params, self.problem, self.object, self.probe, refiner
                )
                progress.begin(engine)
                try:
                    self._iterate(engine, interruption, progress)
                except DivergenceError as divergence:
                    self._take(engine)
                    divergence.result = self._result(engine.errors[-1], began)
                    raise
                self._take(engine)
                if self.stopped or number == len(self.params.engines) - 1:
                    error = engine.error()
                    break
        return self._result(error, began)

    def _iterate(self, engine: EngineRun, interruption: Interruption, progress: Any) -> None:
        for iteration in engine.iterations():
            progress.advance(engine)
            if self._callback_stops(engine, iteration):
                self.stopped = "callback"
            if interruption.requested:
                self.stopped = "interrupted"
            if self.stopped:
                return engine.finish()
        return None

    def _callback_stops(self, engine: EngineRun, iteration: int) -> bool:
        callback = self.params.callback
        if callback is None or (iteration + 1) % self.params.callback_every != 0:
            return False
        state = State(
            engine.name,
            engine.number,
            iteration,
            engine.errors[-1],
            _read_only(engine.core.object_view),
            _read_only(engine.core.probe_view),
            _read_only(self.positions.view()),
        )
        return callback(state) is True

    def _take(self, engine: EngineRun) -> None:
        self.object, self.probe = engine.core.object, engine.core.probe
        self.errors.append(np.array(engine.errors))

    def _result(self, error: float, began: float) -> Result:
        probe = start.orthogonal_modes(self.probe) if self.params.orthogonalise else self.probe
        squeeze = self.squeeze and len(self.object) == 1
        return Result(
            object=self.object[0] if squeeze else self.object,
            probe=probe,
            positions=self.positions,
            errors=self.errors,
            error=float(error),
            engines=[engine.name for engine in self.params.engines[: len(self.errors)]],
            params=self.params.to_dict(),
            seconds=time.perf_counter() - began,
            stopped=self.stopped,
            start=self.start,
        )


def _kernel(params: Parameters, frame_shape: tuple[int, int]) -> npt.NDArray[Any] | None:
    """Near-field propagator for the frames, zero frequency first; None in far field.

    A diverging beam is a parallel one with effective lengths (Fresnel scaling): magnification
    M = (f + d) / f, distance d / M. ``pixel_size_m`` is the object's pixel.
    """
    near = params.propagation
    if near.regime == "far":
        return None
    from exitwave.propagate import near_field_kernel

    distance = near.distance_m
    if near.focus_distance_m is not None:
        distance *= near.focus_distance_m / (near.focus_distance_m + near.distance_m)
    return near_field_kernel(
        frame_shape, near.wavelength_m, distance, near.pixel_size_m, near.method
    )


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
