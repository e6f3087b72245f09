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
from exitwave.interruption import Interruption
from exitwave.memory_limit import MemoryLimits
from exitwave.memory_plan import EnginePlan
from exitwave.parameters import Parameters, validate_params
from exitwave.problem import make_problem, scaled_probe
from exitwave.progress import progress_of
from exitwave.result import Result
from exitwave.start_probe import make_start_probe, placeholder

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
            lanes = choose_lanes(
                params.device, params.parts, params.batch, frames, params.deterministic
            )
        else:
            lanes = devices.lanes(params.parts, params.batch, frames)
        kernel = _kernel(params, frame_shape)
        positions = start.checked_positions(pos, frames)
        self.object, self.positions = start.place_object(obj, positions, frame_shape)
        if planning:
            self.probe = placeholder(probe, frame_shape)
        else:
            propagation = params.propagation.model_dump()
            self.probe = make_start_probe(probe, counts, positions, kernel, propagation)
        start.check_modes(params.engines, len(self.probe), len(self.object))
        self.arrays_bytes = self._arrays_bytes(params)
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
            self.arrays_bytes,
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

    def _arrays_bytes(self, params: Parameters) -> int:
        """Object and probe as they start and as they come back, in the host's memory."""
        probe_modes = max(len(self.probe), *(e.probe_modes or 1 for e in params.engines))
        object_modes = max(len(self.object), *(e.object_modes or 1 for e in params.engines))
        pixels = probe_modes * self.probe[0].size + object_modes * self.object[0].size
        return 2 * 8 * int(pixels)

    def plan(self) -> list[EnginePlan]:
        """What each engine would hold; modes grow as they would in a run."""
        plans = []
        probe_modes, object_modes = len(self.probe), len(self.object)
        for params in self.params.engines:
            probe_modes = params.probe_modes or probe_modes
            object_modes = params.object_modes or object_modes
            obj = np.zeros((object_modes, *self.object.shape[1:]), np.complex64)
            probe = np.zeros((probe_modes, *self.probe.shape[1:]), np.complex64)
            options = core_options(params, self.problem, object_modes, probe_modes)
            plans.append(self.problem.plan(options, obj, probe))
        return plans

    def run(self) -> Result:
        began = time.perf_counter()
        error = np.nan
        with Interruption() as interruption, progress_of(self.params) as progress:
            for number, engine_params in enumerate(self.params.engines):
                modes = engine_params.probe_modes, engine_params.object_modes
                self.probe = start.grown_probe(self.probe, modes[0])
                self.object = start.grown_object(self.object, modes[1], self.problem.random)
                engine = EngineRun(number, engine_params, self.problem, self.object, self.probe)
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
