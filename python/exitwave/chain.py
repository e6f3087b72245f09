"""A chain of engines on one scan: from checked input to a result, or to a plan of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import start
from exitwave.callbacks import State, ask
from exitwave.checkpoint import Checkpoint, Checkpoints, EngineStanding, Resumed, Source
from exitwave.core_options import core_options
from exitwave.counts import Counts
from exitwave.division import Division
from exitwave.engine_run import EngineRun
from exitwave.errors import DivergenceError
from exitwave.fingerprint import fingerprint
from exitwave.first_probe import gather_middle
from exitwave.geometry_refiner import GeometryRefiner
from exitwave.interruption import Interruption
from exitwave.memory_limit import MemoryLimits
from exitwave.memory_plan import EnginePlan
from exitwave.object_parts import ObjectParts
from exitwave.output import Output, read_only
from exitwave.parameters import EngineParameters, Parameters
from exitwave.positions import Bounds, PositionRefiner
from exitwave.probe_relaxation import RelaxedProbe, orthogonalised
from exitwave.problem import make_problem, scaled_probe
from exitwave.progress import progress_of
from exitwave.propagate import frame_kernel
from exitwave.refined import Refinements
from exitwave.result import Result
from exitwave.run_clock import RunClock
from exitwave.sensor import with_sensor
from exitwave.slices import resampled_images
from exitwave.slicing import Slicing, stacked
from exitwave.start_probe import make_start_probe, placeholder, uses_data

Complex64 = npt.NDArray[np.complex64]


class Chain:
    """A chain of engines on one scan.

    With ``planning`` the counts are not looked at, and it can only be planned. Under MPI each rank
    has one, and all call the same methods. A ``resumed`` chain gets the start values of its
    checkpoint and goes on from there. ``source`` tells a checkpoint where the counts come from.
    """

    def __init__(
        self,
        counts: Counts,
        limits: MemoryLimits,
        obj: Any,
        probe: Any,
        division: Division,
        params: Parameters,
        planning: bool = False,
        source: Source = Source(),  # noqa: B008  frozen
        resumed: Resumed | None = None,
    ) -> None:
        self._clock = RunClock(params.time_limit)
        self.params = params
        self.ranks = division.ranks
        self.given_positions = division.positions
        self._present = division.positions
        self._refiner: PositionRefiner | None = None
        self.box = division.box
        frame_shape = division.frame_shape
        kernel = self.ranks.agree(lambda: frame_kernel(params.propagation, frame_shape))
        counts = self.ranks.agree(partial(with_sensor, counts, params, planning))
        frames = len(division.positions)
        self.slicing = self.ranks.agree(lambda: Slicing.of(params, obj, frame_shape, frames))
        # Slices that the object has now, 1 where it is thin.
        self.slices = 1 if self.slicing is None else self.slicing.start
        self.squeeze = np.ndim(obj) != (3 if self.slicing is None else 4)
        self.start_object = start.StartObject(
            obj, division.object_shape, None if self.slicing is None else self.slices
        )
        self.object = self.ranks.agree(lambda: self.start_object.cut(self.box))
        if planning:
            self.probe = placeholder(probe, frame_shape)
        else:
            self.probe = self._first_probe(probe, counts, kernel)
        modes = len(self.probe), len(self.object) // self.slices
        self.ranks.agree(lambda: start.check_modes(params.engines, *modes))
        self.arrays_bytes = self._arrays_bytes(params)
        self.problem = make_problem(
            counts,
            division,
            kernel,
            params.seed,
            limits,
            params.scratch_folder,
            self.arrays_bytes,
            planning,
            self.slicing,
            device_arrays_bytes=self.arrays_bytes if params.output == "device" else 0,
        )
        self._output = Output.of(params.output, division.lanes)
        if params.scale_start and not planning and resumed is None:
            self.probe = scaled_probe(self.problem, self.object, self.probe)
        self.start_probe = self.probe
        self.refinements = Refinements()
        self.errors: list[npt.NDArray[np.float64]] = []
        # Of each frame, as the last engine left them; None: all the same.
        self.intensities: npt.NDArray[np.float64] | None = None
        self.relaxed_probe: RelaxedProbe | None = None
        self.stopped: str | None = None
        self._source = source
        self._resumed = resumed
        if not planning:
            self._checkpoints = Checkpoints(params, resumed, self.ranks)
            needed = self._checkpoints.wanted or resumed is not None
            self._fingerprint = self.ranks.agree(lambda: fingerprint(counts) if needed else {})
        if resumed is not None:
            self._go_back_to(resumed.checkpoint)
        self._geometry = GeometryRefiner(params, self.problem, self.refinements)

    def _go_back_to(self, checkpoint: Checkpoint) -> None:
        self.ranks.agree(lambda: checkpoint.check_data(self._fingerprint))
        self.start_object = checkpoint.start_object
        self.squeeze = checkpoint.squeeze
        self.object, self.probe = checkpoint.object, checkpoint.probe
        self.slices = self._slices_of(len(checkpoint.errors))
        self._present = checkpoint.positions
        self.refinements = Refinements.from_standing(checkpoint.refined)
        self.errors = list(checkpoint.errors)
        self.problem.take_background(checkpoint.background)
        self.problem.random.bit_generator.state = checkpoint.random
        self._clock.before_s = checkpoint.seconds

    def _first_probe(self, probe: Any, counts: Counts, kernel: Any) -> Complex64:
        """Made by the first rank, from frames of all."""
        propagation = self.params.propagation.model_dump()
        middle = gather_middle(counts, self.positions, self.ranks) if uses_data(probe) else None
        return self.ranks.by_first(
            lambda: make_start_probe(probe, counts, self.positions, kernel, propagation, middle)
        )

    def _arrays_bytes(self, params: Parameters) -> int:
        """Object and probe as they start and as they come back, in the host's memory."""
        modes = len(self.probe), len(self.object) // self.slices
        slices = 1 if self.slicing is None else self.slicing.most
        sizes = self.probe[0].size, self.object[0].size, len(self.given_positions)
        return 2 * 8 * start.most_values(params.engines, *modes, slices, sizes)

    def plan(self) -> list[EnginePlan]:
        """What each engine would hold; modes grow as they would in a run."""
        plans = []
        probe_modes, object_modes = len(self.probe), len(self.object) // self.slices
        for number, params in enumerate(self.params.engines):
            probe_modes = params.probe_modes or probe_modes
            object_modes = params.object_modes or object_modes
            slices = self._slices_of(number)
            obj = np.zeros((object_modes * slices, *self.object.shape[1:]), np.complex64)
            probe = np.zeros((probe_modes, *self.probe.shape[1:]), np.complex64)
            options = core_options(params, self.problem, object_modes, probe_modes, slices)
            plans.append(self.problem.plan(options, obj, probe))
        return plans

    def _slices_of(self, number: int) -> int:
        """Slices of the object in an engine."""
        return 1 if self.slicing is None else self.slicing.of_engine[number]

    def _resample(self, slices: int) -> None:
        """Split or merge the slices; where ranks share the object, as a whole, so that the phase is
        unwrapped alike everywhere."""
        if slices == self.slices:
            return
        assert self.problem.slicing is not None
        old_m, new_m = map(self.problem.slicing.distances, (self.slices, slices))
        parts = self._object_parts("all")
        whole = self.object if parts is None else parts.gather(self.object)
        assert whole is not None
        cut = self.ranks.agree(lambda: resampled_images(np.asarray(whole), old_m, new_m))
        y0, x0, y1, x1 = self.box
        self.object = cut if parts is None else np.ascontiguousarray(cut[:, y0:y1, x0:x1])
        self.start_object.growths.append({"from_m": old_m, "to_m": new_m})
        self.slices = slices

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """Where the frames are now."""
        return self._present if self._refiner is None else self._refiner.present

    def _place(
        self, params: EngineParameters, standing: EngineStanding | None
    ) -> PositionRefiner | None:
        """Puts the frames where they are now; what moves them, if this engine does."""
        given, division = self.given_positions, self.problem.division
        moved = self.positions is not given or "distance_m" in self.refinements.histories
        if moved or self.problem.refined_background is not None:
            self.problem.kernel = self._geometry.kernel
            self.problem.place(self.positions)
        if params.position_start is None and params.map_start is None:
            return None
        shapes = division.object_shape, division.frame_shape
        bounds = Bounds.around(given, params.position_limit_px, *shapes)
        radius_px = None if standing is None else standing.search_radius_px
        self._refiner = PositionRefiner(
            params, given, self.positions, bounds, radius_px, self.refinements
        )
        return self._refiner

    def run(self) -> Result:
        error = np.nan
        shown = progress_of(self.params, shown=self.ranks.first)
        with Interruption() as interruption, shown as progress:
            for number in range(len(self.errors), len(self.params.engines)):
                error = self._run_engine(number, interruption, progress)
                if self.stopped:
                    break
        return self._result(error)

    def _run_engine(self, number: int, interruption: Interruption, progress: Any) -> float:
        """The error that the last engine leaves, NaN from others.

        What an engine holds goes with it, before the next one, or the result, takes memory.
        """
        engine = self._engine(number)
        progress.begin(engine)
        try:
            self._iterate(engine, interruption, progress)
        except DivergenceError as divergence:
            # All ranks have the same error, and are here.
            self.ranks.mark_agreed(divergence)
            self._take(engine)
            divergence.result = self._result(engine.errors[-1])
            raise
        self._take(engine)
        last = bool(self.stopped) or number == len(self.params.engines) - 1
        return engine.error() if last else np.nan

    def _engine(self, number: int) -> EngineRun:
        """An engine at its start, or where the checkpoint left it."""
        params = self.params.engines[number]
        resumed = self._resumed
        if resumed is not None and number == len(resumed.checkpoint.errors):
            engine = self._engine_run(number, resumed.checkpoint.engine)
            self.ranks.agree(lambda: resumed.restore(engine.core))
            self._resumed = None
            return engine
        self.probe = start.grown_probe(self.probe, params.probe_modes)
        self._resample(self._slices_of(number))
        self.object = self.start_object.grow(
            self.object, params.object_modes, self.box, self.problem.random, self.slices
        )
        engine = self._engine_run(number, None)
        engine.start_from(self.intensities, self.relaxed_probe)
        return engine

    def _engine_run(self, number: int, standing: EngineStanding | None) -> EngineRun:
        params = self.params.engines[number]
        refiner = self._place(params, standing)
        begun = params, self.problem, self.object, self.probe, standing
        return EngineRun(number, *begun, refiner, self.slices, self._geometry)

    def _iterate(self, engine: EngineRun, interruption: Interruption, progress: Any) -> None:
        self._clock.begin_laps()
        for iteration in engine.iterations():
            self._clock.lap()
            progress.advance(engine)
            if self._callback_stops(engine, iteration):
                self.stopped = "callback"
            else:
                late = "time_limit" if self._is_late(engine) else None
                self.stopped = self.ranks.first_given(interruption.reason or late)
            self._keep(engine)
            if self.stopped:
                return engine.finish()
        return None

    def _is_late(self, engine: EngineRun) -> bool:
        """Whether another iteration, and a checkpoint after it, would pass the time limit."""
        left = engine.params.iterations - len(engine.errors)
        another = left > 0 or engine.number < len(self.params.engines) - 1
        return another and self._clock.ends_before_next(self._checkpoints.seconds)

    def _keep(self, engine: EngineRun) -> None:
        """Write a checkpoint where one is due, or the run stops."""
        iterations = len(engine.errors) + sum(map(len, self.errors))
        if not self._checkpoints.due(iterations, stopping=self.stopped is not None):
            return
        checkpoint = Checkpoint(
            params=self.params.to_dict(),
            source=self._source,
            fingerprint=self._fingerprint,
            mask=self.problem.counts.mask,
            start_object=self.start_object,
            start={"probe": self.start_probe, "positions": self.given_positions},
            squeeze=self.squeeze,
            parts=self.problem.lanes.parts,
            random=dict(self.problem.random.bit_generator.state),
            object=engine.core.object,
            probe=engine.core.probe,
            positions=self.positions,
            refined=self.refinements.standing(),
            errors=self.errors,
            engine=engine.standing,
            background=self.problem.refined_background,
            seconds=self._clock.seconds,
        )
        self._checkpoints.write(checkpoint, engine.core)

    def _callback_stops(self, engine: EngineRun, iteration: int) -> bool:
        callback = self.params.callback
        if callback is None or (iteration + 1) % self.params.callback_every != 0:
            return False
        core = engine.core
        obj = self._gathered(core.object_view) if self.ranks.size > 1 else None

        def state() -> State:
            return State(
                engine.name,
                engine.number,
                iteration,
                engine.errors[-1],
                self._with_slices(self._output.show(core, "object"))
                if obj is None
                else read_only(self._with_slices(obj)),
                self._output.show(core, "probe"),
                read_only(self.positions.view()),
            )

        whole = self.ranks.size == 1 or self.params.gather is not False
        change = ask(callback, state, self.ranks, whole=whole)
        self._output.finish()
        if change.object is not None or change.probe is not None:
            obj = core.object if change.object is None else self._cut(change.object, core.object)
            core.set_fields(obj, core.probe if change.probe is None else change.probe)
        return change.stop

    def _cut(self, obj: Complex64, old: Complex64) -> Complex64:
        """This rank's part of a whole object, (K S, A, B); as it was where no frame reaches."""
        y0, x0, y1, x1 = self.box
        images = obj.reshape(-1, *obj.shape[-2:])[:, y0:y1, x0:x1]
        return np.where(self.problem.division.reached, images, old)

    def _take(self, engine: EngineRun) -> None:
        self.object, self.probe = self._output.take(engine.core)
        self.intensities = engine.intensities
        self.relaxed_probe = engine.relaxed_probe
        self.problem.take_background(engine.background)
        self.errors.append(np.array(engine.errors))

    def _result(self, error: float) -> Result:
        probe, relaxed = orthogonalised(self.probe, self.relaxed_probe, self.params.orthogonalise)
        whole = self._gathered(self.object)
        obj = self._with_slices(self.object if whole is None else whole)
        return Result(
            object=self._output.hand_out(obj[0] if self.squeeze and len(obj) == 1 else obj),
            probe=self._output.hand_out(probe),
            positions=self.positions,
            errors=self.errors,
            error=float(error),
            engines=[engine.name for engine in self.params.engines[: len(self.errors)]],
            params=self.params.to_dict(),
            seconds=self._clock.seconds,
            stopped=self.stopped,
            start=self._start(whole is not None),
            intensities=self.intensities,
            relaxed_probe=relaxed,
            background=self.problem.refined_background,
            refined=self.refinements.results(),
            parts=self._object_parts(),
        )

    def _start(self, whole: bool = False) -> dict[str, npt.NDArray[Any]]:
        """Start values of the run; the object where it is ``whole`` here, else this rank's part."""
        obj = np.asarray(self.start_object.cut(None if whole else self.box))
        return {
            "object": obj if self.slicing is None else stacked(obj, self.slicing.start),
            "probe": self.start_probe,
            "positions": self.given_positions,
        }

    def _with_slices(self, obj: Complex64) -> Complex64:
        """(K S, A, B) as (K, S, A, B) where the object is thick."""
        return obj if self.slicing is None else stacked(obj, self.slices)

    def _object_parts(self, gathered: bool | str | None = None) -> ObjectParts | None:
        """Where the object is, if it is spread over ranks; None: gathered as params say."""
        if self.ranks.size == 1:
            return None
        return ObjectParts(
            self.ranks,
            self.box,
            self.problem.scan.tiles,
            self.start_object,
            gathered=self.params.gather if gathered is None else gathered,
        )

    def _gathered(self, obj: Complex64) -> Complex64 | None:
        """The whole object on the ranks that get it, else None."""
        parts = self._object_parts()
        return obj if parts is None else parts.gather(obj)
