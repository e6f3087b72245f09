"""A scan as the core has it: counts, positions, parts, and how a device works on them."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import partition, start
from exitwave.counts import Counts
from exitwave.devices import Lanes
from exitwave.division import Division
from exitwave.errors import InvalidArgument
from exitwave.memory_limit import MemoryLimits
from exitwave.memory_plan import EnginePlan, FrameStore, plan_engine
from exitwave.poisson import noise_deviation
from exitwave.ranks import Ranks
from exitwave.slicing import Slicing

Complex64 = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]

NO_LIMITS = MemoryLimits(None, None)


@dataclass
class Problem:
    """What all engines of a chain work on.

    ``scan`` is the core's, ``order`` the spatial order of the frames, ``energy`` the sum of the
    valid counts, by which the Fourier error is divided. ``limits`` are what lanes may hold.
    """

    scan: Any
    division: Division
    limits: MemoryLimits
    store: FrameStore
    order: npt.NDArray[np.int64]
    frame_shape: tuple[int, int]
    near_field: bool
    energy: float
    random: np.random.Generator
    counts: Counts
    planning: bool
    kernel: npt.NDArray[np.complex64] | None
    slicing: Slicing | None = None
    refined_background: npt.NDArray[np.float32] | None = None

    def place(self, positions: Float64) -> None:
        """Puts the frames at ``positions`` for the engines to come, which may move them by at most
        the margin of the division."""
        from exitwave import _core

        division, ranks = self.division, self.ranks
        corner, fraction = start.corners_and_fractions(positions)
        data = self.counts.data
        if not self.counts.on_gpu and (self.planning or not self.counts.in_memory):
            like = np.empty((0, *self.frame_shape), self.counts.dtype)
            read = None if self.planning else self.counts.read
            data = _core.FrameSource(data.shape[0], like, read, lent=self.counts.in_memory)
        self.scan = _core.Scan(
            data,
            self.counts.mask,
            corner,
            fraction,
            division.object_shape,
            self.kernel,
            [part.tolist() for part in division.parts],
            ranks.communicator,
            ranks.rank,
            [rank * self.lanes.parts for rank in range(ranks.size + 1)],
            [] if self.counts.place is None else self.counts.place.tolist(),
            start.corners_and_fractions(division.positions)[0],
            division.margin_px,
            self.counts.sensor.for_core(near_field=self.near_field),
            self.counts.sensor.saturation,
        )

    def take_background(self, refined: npt.NDArray[np.float32] | None) -> None:
        """Counts (Y, X) of each frame for the engines to come, once the frames are placed anew;
        None: as they were."""
        if refined is not None:
            self.refined_background = refined
            sensor = replace(self.counts.sensor, background=refined)
            self.counts = replace(self.counts, sensor=sensor)

    @cached_property
    def noise_deviation(self) -> float | None:
        """Squared amplitude deviation per pixel that counting noise leaves; None: not counts."""
        if self.planning:
            return 0.25
        return noise_deviation(self.counts, self.ranks)

    @property
    def ranks(self) -> Ranks:
        return self.division.ranks

    @property
    def lanes(self) -> Lanes:
        return self.division.lanes

    @property
    def half_scale(self) -> float:
        """What exit waves are multiplied by in half precision: the brightest amplitude becomes
        4096, a sixteenth of the largest number, which reflected waves may reach."""
        pixels = 1 if self.near_field else self.frame_shape[0] * self.frame_shape[1]
        return 4096 / math.sqrt(self.counts.largest * pixels)

    def plan(
        self, options: Any, obj: Complex64, probe: Complex64, what: str | None = None
    ) -> EnginePlan:
        """How an engine keeps its frames within the limits; its options are set to it."""
        from exitwave import _core

        planning = self.lanes.planning(self._wave_bytes(options))
        plan = plan_engine(
            lambda o: _core.Engine(self.scan, o, obj, probe, planning).memory,
            options,
            self.store,
            self.limits,
            what,
        )
        # No lane takes more frames at a time than its parts have.
        batch = min(planning.batch, self.store.part_frames)
        return replace(plan, parts=self.lanes.parts, batch=batch)

    def engine(
        self, options: Any, obj: Complex64, probe: Complex64, what: str | None = None
    ) -> tuple[Any, EnginePlan]:
        """An engine of the core, and the plan that it keeps to; ``what`` errors call it."""
        from exitwave import _core

        plan = self.ranks.agree(lambda: self.plan(options, obj, probe, what))
        limits = self.limits
        if limits.host is not None:
            limits = replace(limits, host=limits.host - self.store.arrays_bytes)
        settings = self.lanes.limited(limits, self._wave_bytes(options))
        return _core.Engine(self.scan, options, obj, probe, settings), plan

    def _wave_bytes(self, options: Any) -> int:
        """Waves of a frame: all modes, in single precision."""
        return 8 * self.store.frame_pixels * int(options.probe_modes * options.object_modes)


def make_problem(
    counts: Counts,
    division: Division,
    kernel: npt.NDArray[Any] | None,
    seed: int,
    limits: MemoryLimits = NO_LIMITS,
    scratch_folder: str | None = None,
    arrays_bytes: int = 0,
    planning: bool = False,
    slicing: Slicing | None = None,
    device_arrays_bytes: int = 0,
) -> Problem:
    """Hands a scan to the core.

    Parameters
    ----------
    counts : Counts, borrowed by the core
    division : Division
        Positions, parts and device.
    kernel : complex, shape (Y, X), or None
        Near-field propagator, zero frequency first; None: far field.
    seed : int
        Of the order of the groups.
    limits : MemoryLimits
        Of each device and of the host, the counts in memory apart.
    scratch_folder : str or None
        Where exit waves go that no memory holds; None: the system's for temporary files.
    arrays_bytes : int
        Of the host's memory, for object and probe beside the engine's own.
    planning : bool
        Nobody looks at the counts.
    slicing : Slicing or None
        None: the object is thin.
    device_arrays_bytes : int
        The same of a device's memory.
    """
    from exitwave.fft_library import load_fft_library, share_fft_plan

    ranks, lanes, shape = division.ranks, division.lanes, division.frame_shape
    load_fft_library()
    if ranks.size > 1:
        share_fft_plan(ranks, shape)
    held = [len(division.parts[part]) for part in division.held_parts]
    store = FrameStore(
        frames=sum(held),
        part_frames=max(held),
        frame_count_bytes=counts.frame_bytes,
        frame_pixels=shape[0] * shape[1],
        counts_at="device" if counts.on_gpu else "host" if counts.in_memory else "file",
        host_is_device=lanes.host_is_device,
        scratch_folder=scratch_folder or tempfile.gettempdir(),
        arrays_bytes=arrays_bytes,
    )
    if limits.device is not None:
        limits = replace(limits, device=max(1, limits.device - device_arrays_bytes))
    problem = Problem(
        None,
        division,
        limits,
        store,
        partition.spatial_order(division.positions),
        shape,
        kernel is not None,
        counts.total,
        np.random.default_rng(seed),
        counts,
        planning,
        None if kernel is None else kernel.astype(np.complex64),
        slicing,
    )
    problem.place(division.positions)
    return problem


def scaled_probe(problem: Problem, obj: Complex64, probe: Complex64) -> Complex64:
    """The probe with the power at which model and data have equal counts at valid pixels."""
    from exitwave import _core

    options = _core.EngineOptions()
    # Any engine has the model; this one keeps no waves.
    options.name = "ePIE"
    slices = 1 if problem.slicing is None else problem.slicing.start
    options.object_modes, options.probe_modes = len(obj) // slices, len(probe)
    if problem.slicing is not None:
        problem.slicing.set_slices(options, slices)
    what = "the scaling of the start probe (scale_start)"
    power = problem.engine(options, obj, probe, what)[0].model_power()
    problem.ranks.agree(lambda: _check_power(power))
    energy = float(problem.counts.mean_of_waves.sum()) * problem.counts.frames
    return np.asarray(probe * np.float32(np.sqrt(energy / power)))


def _check_power(power: float) -> None:
    if not power > 0:
        raise InvalidArgument(
            "probe or obj has no power at valid pixels, so the probe cannot be scaled; give other "
            "start values or set scale_start to False."
        )
