"""A chain of engines on one scan: from checked input to a result, or to a plan of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import start
from exitwave.checkpoint import Checkpoint, Checkpoints, Resumed, Source
from exitwave.counts import Counts, fingerprint
from exitwave.devices import DescribedDevices, choose_lanes
from exitwave.durations import seconds_of
from exitwave.engine_run import EngineRun, core_options
from exitwave.errors import DivergenceError, InvalidArgument
from exitwave.interruption import Interruption
from exitwave.memory_limit import MemoryLimits
from exitwave.memory_plan import EnginePlan
from exitwave.parameters import EngineParameters, Parameters, validate_params
from exitwave.positions import Bounds, PositionRefiner, margin_px, position_limit
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
    ``devices`` that are not there. A ``resumed`` chain gets the start values of its checkpoint and
    goes on from there. ``source`` tells a checkpoint where the counts come from.
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
        source: Source = Source(),  # noqa: B008  frozen
        resumed: Resumed | None = None,
    ) -> None:
        self._began = time.perf_counter()
        frames, *shape = counts.data.shape
        frame_shape = (shape[0], shape[1])
        validate_params(params, frame_shape=frame_shape)
        if pos is None:
            raise InvalidArgument(
                "pos is None, but each frame needs a position; give (N, 2) pixels."
            )
        parts = params.parts if resumed is None else resumed.checkpoint.parts
        if devices is None:
            lanes = choose_lanes(params.device, parts, params.batch, frames, params.deterministic)
        else:
            lanes = devices.lanes(parts, params.batch, frames)
        kernel = _kernel(params, frame_shape)
        positions = start.checked_positions(pos, frames)
        margin = margin_px(position_limit(params.engines))
        self.object, self.given_positions = start.place_object(obj, positions, frame_shape, margin)
        self._present = self.given_positions
        self._refiner: PositionRefiner | None = None
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
        if params.scale_start and not planning and resumed is None:
            self.probe = scaled_probe(self.problem, self.object, self.probe)
        self.start: dict[str, npt.NDArray[Any]] = {
            "object": self.object,
            "probe": self.probe,
            "positions": self.positions,
        }
        self.errors: list[npt.NDArray[np.float64]] = []
        self.stopped: str | None = None
        self._source = source
        self._resumed = resumed
        self._seconds_before = 0.0
        if not planning:
            self._checkpoints = Checkpoints(params, resumed is not None)
            self._fingerprint = (
                fingerprint(counts) if self._checkpoints.wanted or resumed is not None else {}
            )
        if resumed is not None:
            self._go_back_to(resumed.checkpoint)

    def _go_back_to(self, checkpoint: Checkpoint) -> None:
        if self._fingerprint != checkpoint.fingerprint:
            raise InvalidArgument(
                "data are not those that the checkpoint was made with: their shape, type or counts "
                "differ; give the same data."
            )
        self.squeeze = checkpoint.squeeze
        self.object, self.probe = checkpoint.object, checkpoint.probe
        self._present = checkpoint.positions
        self.errors = list(checkpoint.errors)
        self.problem.random.bit_generator.state = checkpoint.random
        self._seconds_before = checkpoint.seconds

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
            self._place(params)
            options = core_options(params, self.problem, object_modes, probe_modes)
            plans.append(self.problem.plan(options, obj, probe))
        return plans

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """Where the frames are now."""
        return self._present if self._refiner is None else self._refiner.present

    def _place(self, params: EngineParameters) -> PositionRefiner | None:
        """Puts the frames where they are now, with room to move if this engine refines them."""
        limit = position_limit([params])
        given = self.given_positions
        if limit is None and self.positions is given:
            return None
        self.problem.place(self.positions, given, margin_px(limit))
        if limit is None:
            return None
        shape = self.problem.frame_shape
        bounds = Bounds.around(given, limit, self.object.shape, shape)
        self._refiner = PositionRefiner(params, given, self.positions, bounds)
        return self._refiner

    def run(self) -> Result:
        error = np.nan
        with Interruption() as interruption, progress_of(self.params) as progress:
            for number in range(len(self.errors), len(self.params.engines)):
                engine = self._engine(number)
                progress.begin(engine)
                try:
                    self._iterate(engine, interruption, progress)
                except DivergenceError as divergence:
                    self._take(engine)
                    divergence.result = self._result(engine.errors[-1])
                    raise
                self._take(engine)
                if self.stopped or number == len(self.params.engines) - 1:
                    error = engine.error()
                    break
        return self._result(error)

    def _engine(self, number: int) -> EngineRun:
        """An engine at its start, or where the checkpoint left it."""
        params = self.params.engines[number]
        refiner = self._place(params)
        if self._resumed is not None and number == len(self._resumed.checkpoint.errors):
            standing = self._resumed.checkpoint.engine
            engine = EngineRun(
                number, params, self.problem, self.object, self.probe, standing, refiner
            )
            self._resumed.restore(engine.core)
            self._resumed = None
            return engine
        self.probe = start.grown_probe(self.probe, params.probe_modes)
        self.object = start.grown_object(self.object, params.object_modes, self.problem.random)
        return EngineRun(number, params, self.problem, self.object, self.probe, refiner=refiner)

    def _iterate(self, engine: EngineRun, interruption: Interruption, progress: Any) -> None:
        before = time.perf_counter()
        longest = 0.0
        for iteration in engine.iterations():
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
            progress.advance(engine)
            if self._callback_stops(engine, iteration):
                self.stopped = "callback"
            elif interruption.reason is not None:
                self.stopped = interruption.reason
            elif self._next_is_too_late(engine, longest):
                self.stopped = "time_limit"
            self._keep(engine)
            if self.stopped:
                return engine.finish()
        return None

    def _next_is_too_late(self, engine: EngineRun, iteration_seconds: float) -> bool:
        """Whether another iteration, and a checkpoint after it, would pass the time limit."""
        left = engine.params.iterations - len(engine.errors)
        if self.params.time_limit is None or (
            left == 0 and engine.number == len(self.params.engines) - 1
        ):
            return False
        end = time.perf_counter() + iteration_seconds + self._checkpoints.seconds
        return end - self._began > seconds_of(self.params.time_limit)

    def _keep(self, engine: EngineRun) -> None:
        """Write a checkpoint where one is due, or the run stops."""
        iterations = len(engine.errors) + sum(map(len, self.errors))
        if not self._checkpoints.wanted:
            return
        if not self._checkpoints.due(iterations) and self.stopped is None:
            return
        checkpoint = Checkpoint(
            params=self.params.to_dict(),
            source=self._source,
            fingerprint=self._fingerprint,
            mask=self.problem.counts.mask,
            start=self.start,
            squeeze=self.squeeze,
            parts=self.problem.lanes.parts,
            random=dict(self.problem.random.bit_generator.state),
            object=engine.core.object,
            probe=engine.core.probe,
            positions=self.positions,
            errors=self.errors,
            engine=engine.standing,
            seconds=self._seconds(),
        )
        self._checkpoints.write(checkpoint, engine.core)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._began

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

    def _result(self, error: float) -> Result:
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
            seconds=self._seconds(),
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
