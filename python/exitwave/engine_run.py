"""One engine of a chain: its options for the core, its iterations, and what may go wrong."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.checkpoint import EngineStanding
from exitwave.errors import DivergenceError
from exitwave.geometry_refiner import UNKNOWNS, GeometryRefiner, refines_any
from exitwave.partition import draw_groups
from exitwave.point_spread import passes_for_core
from exitwave.positions import PositionRefiner
from exitwave.probe_relaxation import RelaxedProbe
from exitwave.problem import Problem
from exitwave.schedules import due, position_factor, rate, schedule_factors
from exitwave.slicing import OF_GAPS
from exitwave.start import corners_and_fractions

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters

Complex64 = npt.NDArray[np.complex64]

# An error this many times its lowest value is divergence, not the wandering of a projection engine.
_RISE = 10.0
# Share of the probe's power that a support may take from each update before it is worth a warning:
# supports that hold the true probe took less than 3e-4, those that cut a tenth of it 5e-3 and more.
_CUT_POWER = 2e-3
# Updates at the end of an engine that are looked at for this.
_LAST_UPDATES = 10
# A model that is fitted to noisy data takes part of the noise with it. With 0.85 of what noise
# alone leaves, DM ends at its lowest error and stays there; with all of it, and with 0.75, 20 %
# above.
_FITTED_NOISE = 0.85


class EngineRun:
    """An engine at work: iterate over it, then take what it left.

    Parameters
    ----------
    number : int
        Place in the chain, from 0; used in messages.
    obj : complex64, shape (K S, A, B)
        With ``slices`` of each mode, one mode after the other.
    standing : EngineStanding, optional
        Where a checkpoint left the engine; what its core held is still to be restored.
    """

    def __init__(
        self,
        number: int,
        params: EngineParameters,
        problem: Problem,
        obj: Complex64,
        probe: Complex64,
        standing: EngineStanding | None = None,
        refiner: PositionRefiner | None = None,
        slices: int = 1,
        geometry: GeometryRefiner | None = None,
    ) -> None:
        self.number = number
        self.params = params
        self.problem = problem
        self._geometry = geometry
        self._slices = slices
        self._refiner = refiner
        at = standing or EngineStanding([], [], None)
        self.errors = list(at.errors)
        self._cut_power = deque(at.cut_power, maxlen=_LAST_UPDATES)
        self._frames_in_bound = at.frames_in_bound
        self._groups = _group_size(params, len(problem.order))
        options = core_options(params, problem, len(obj) // slices, len(probe), slices)
        options.resumed = standing is not None
        self._core, self.plan = problem.engine(options, obj, probe)

    @property
    def name(self) -> str:
        return self.params.name

    @property
    def core(self) -> Any:
        return self._core

    @property
    def standing(self) -> EngineStanding:
        radius_px = None if self._refiner is None else self._refiner.radius_px
        return EngineStanding(
            list(self.errors), list(self._cut_power), self._frames_in_bound, radius_px
        )

    @property
    def refines_intensities(self) -> bool:
        return getattr(self.params, "intensity_start", None) is not None

    @property
    def intensities(self) -> npt.NDArray[np.float64] | None:
        """Of each frame, (N,), relative to their mean amplitude; None where they are all 1."""
        if not self.refines_intensities:
            return None
        return np.asarray(self.problem.ranks.sum(self._core.intensity_factors) ** 2)

    @property
    def relaxed_probe(self) -> RelaxedProbe | None:
        """By what the probes of frames differ from the probe; None where they do not."""
        if not self.params.eigen_probes:
            return None
        eigen, weights = self._core.eigen_probes
        return RelaxedProbe(eigen, self.problem.ranks.sum(weights))

    @property
    def refines_background(self) -> bool:
        return getattr(self.params, "background_start", None) is not None

    @property
    def background(self) -> npt.NDArray[np.float32] | None:
        """Counts (Y, X) that this engine has come to; None where it does not refine them."""
        if not self.refines_background:
            return None
        counts: npt.NDArray[np.float32] = self._core.background
        return counts if self.problem.near_field else np.fft.fftshift(counts)

    def start_from(
        self, intensities: npt.NDArray[np.float64] | None, relaxed: RelaxedProbe | None
    ) -> None:
        """Those of the engine before, if both refine them."""
        if intensities is not None and self.refines_intensities:
            self._core.set_intensity_factors(np.sqrt(intensities))
        count = self.params.eigen_probes
        if count:
            frames, random = len(self.problem.order), self.problem.random
            begun = RelaxedProbe.start(self._core.probe, count, frames, random, relaxed)
            self._core.set_eigen_probes(begun.eigen_probes, begun.weights)

    def error(self) -> float:
        """Fourier error of the present model."""
        return float(self._core.deviation()) / self.problem.energy

    def iterations(self) -> Iterator[int]:
        """Runs the engine; yields the number of each iteration when it is done."""
        for iteration in range(len(self.errors), self.params.iterations):
            self._iterate(iteration)
            yield iteration
        self.finish()

    def finish(self) -> None:
        """Object and probe as they are handed on, and warnings about what was seen."""
        self._core.finish()
        relaxed = self.relaxed_probe
        if relaxed is not None:
            probe, relaxed = relaxed.settled(self._core.probe)
            self._core.set_fields(self._core.object, probe)
            self._core.set_eigen_probes(relaxed.eigen_probes, relaxed.weights)
        cut_power = float(np.median(self._cut_power)) if self._cut_power else 0.0
        if not self.problem.ranks.first:
            return
        if cut_power > _CUT_POWER:
            warnings.warn(
                f"{self._where()}: the probe's supports cut {100 * cut_power:.2g} % of its "
                "power in each update; make them larger, or the true probe is cut.",
                stacklevel=5,
            )
        frames = len(self.problem.order)
        chosen = isinstance(getattr(self.params, "power_bound", None), float)
        if chosen and 2 * (self._frames_in_bound or 0) > frames:
            warnings.warn(
                f"{self._where()}: {self._frames_in_bound} of {frames} frames are inside "
                "power_bound and are left alone; a smaller bound would let them improve.",
                stacklevel=5,
            )

        if self._refiner is not None and self._refiner.at_bound():
            warnings.warn(
                f"{self._where()}: {self._refiner.at_bound()} of {frames} frames ended at "
                "position_limit_px or at the edge of the object; if they belong farther away, "
                "raise position_limit_px or leave obj out.",
                stacklevel=5,
            )

    def groups(self) -> list[list[int]]:
        """Frames of each update of the next iteration; empty for engines that take all at once."""
        if self._groups is None:
            return []
        return draw_groups(self.problem.order, self._groups, self.problem.random)

    def _iterate(self, iteration: int) -> None:
        groups = self.groups()
        if not self.problem.counts.in_memory:
            self.problem.counts.expect(frame for group in groups for frame in group)
        updates_probe = due(self.params, "probe", iteration)
        refines = due(self.params, "position", iteration)
        self._core.watch_positions(refines and self.params.position_search_px is None)
        if self.refines_intensities:
            self._core.refine_intensities(due(self.params, "intensity", iteration))
        if self.params.eigen_probes:
            self._core.relax_probe(due(self.params, "probe_relaxation", iteration))
        if self.refines_background:
            self._core.refine_background(due(self.params, "background", iteration))
        self._core.set_schedule(*schedule_factors(self.params, iteration))
        refines_kappa = due(self.params, "kappa", iteration)
        constrains = (iteration + 1) % self.params.constraint_every == 0
        self._core.set_constraints(constrains, refines_kappa)
        report = self._core.iterate(groups, updates_probe)
        self._frames_in_bound = report.frames_in_bound
        if updates_probe:
            self._cut_power.append(report.cut_power)
        self.errors.append(report.deviation / self.problem.energy)
        self._check_error(iteration)
        if refines:
            self._refine_positions(position_factor(self.params, iteration))
        if refines_kappa and constrains and self._geometry is not None:
            self._geometry.note_kappa(self.params, report.kappa)
        if self._geometry is not None:
            self._geometry.refine(self.params, iteration, self._core, self._refiner, self._slices)
        centring = self.params.probe_centring
        if centring is not None and (iteration + 1) % centring == 0:
            self._centre_probe()

    def _check_error(self, iteration: int) -> None:
        error = self.errors[-1]
        advice = _ADVICE[self.name]
        if self.params.probe_support is not None or self.params.probe_fourier_support is not None:
            advice += ", or make the probe's supports larger"
        if not np.isfinite(error):
            raise DivergenceError(
                f"{self._where()}: the Fourier error is {error} at iteration {iteration}; {advice}."
            )
        lowest = int(np.argmin(self.errors))
        if error > max(_RISE * self.errors[lowest], 1e-3):
            raise DivergenceError(
                f"{self._where()} diverged: the Fourier error rose from {self.errors[lowest]:.3g} "
                f"at iteration {lowest} to {error:.3g} at iteration {iteration}; {advice}."
            )

    def _refine_positions(self, factor: float) -> None:
        assert self._refiner is not None
        if self.params.position_search_px is None:
            sums = self.problem.ranks.sum(self._core.position_sums)
            positions = self._refiner.update(sums, factor)
        else:
            positions = self._refiner.search(self._deviations_at, factor)
        self._core.set_positions(*corners_and_fractions(positions))

    def _deviations_at(self, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found = self._core.deviations_at(*corners_and_fractions(positions))
        return self.problem.ranks.sum(found)

    def _centre_probe(self) -> None:
        power = (np.abs(self._core.probe_view) ** 2).sum(axis=0)
        shape = np.array(power.shape)
        rows, columns = np.indices(power.shape)
        centre = np.array([(power * rows).sum(), (power * columns).sum()]) / power.sum()
        dy, dx = (int(d) for d in np.round(shape // 2 - centre))
        if (dy, dx) != (0, 0):
            self._core.move_probe(dy, dx)

    def _where(self) -> str:
        return f"engines[{self.number}] {self.name}"


_ADVICE = {
    "AP": "start the probe later (probe_start) or raise probe_inertia",
    "DM": "start the probe later (probe_start), raise probe_inertia, or use RAAR",
    "RAAR": "start the probe later (probe_start), lower beta or raise probe_inertia",
    "ePIE": "lower object_step and probe_step, or start the probe later (probe_start)",
    "rPIE": "raise object_alpha and probe_alpha, or start the probe later (probe_start)",
    "mPIE": "lower momentum, raise object_alpha and probe_alpha, or start the probe later",
    "LSQML": "lower object_step and probe_step, set momentum to 0, or start the probe later",
    "ML": "run DM or ePIE first, or raise object_inertia and probe_inertia",
    "gradient": "lower object_rate and probe_rate, or start the probe later (probe_start)",
}


def _group_size(params: EngineParameters, frames: int) -> int | None:
    """Frames per update, None for engines that take all at once."""
    if "group_size" not in type(params).model_fields:
        return None
    size = getattr(params, "group_size")  # noqa: B009  not every model has it
    return min(int(size), frames) if size is not None else automatic_group_size(frames)


def automatic_group_size(frames: int) -> int:
    """A twentieth of the scan, from 2, so that two threads have work, to 64.

    Frames of a group that overlap much slow each other down: with a tenth, scans with a structured
    probe converged clearly slower.
    """
    return min(frames, max(2, min(64, frames // 20)))


def _momentum_period(params: EngineParameters, frames: int) -> int:
    """One momentum step per iteration: more of them diverged on small and on measured scans."""
    return -(-frames // (_group_size(params, frames) or frames))


def support_image(
    support: float | npt.NDArray[np.bool_] | None, shape: tuple[int, int]
) -> npt.NDArray[np.bool_] | None:
    """A support as image (Y, X): as given, or an ellipse with that fraction of half the window."""
    if support is None or isinstance(support, np.ndarray):
        return support
    rows, columns = ((np.arange(n) - n // 2) / (n / 2) for n in shape)
    return np.asarray(rows[:, None] ** 2 + columns[None, :] ** 2 <= support**2)


def middle_of_windows(
    positions: npt.NDArray[np.float64], frame_shape: tuple[int, int], object_shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Object pixels (A, B) in the middle half of some window, along each axis: what is lit."""
    lit = np.zeros(object_shape, bool)
    (ny, nx), corners = frame_shape, corners_and_fractions(positions)[0]
    for y, x in np.asarray(corners, int):
        lit[y + ny // 4 : y + ny - ny // 4, x + nx // 4 : x + nx - nx // 4] = True
    return lit


def core_options(
    params: EngineParameters,
    problem: Problem,
    object_modes: int,
    probe_modes: int,
    slices: int = 1,
) -> Any:
    """Parameters of an engine as the core takes them."""
    from exitwave import _core

    options = _core.EngineOptions()
    values = params.to_dict()
    if values.get("power_bound") == "poisson" and problem.noise_deviation is not None:
        values["power_bound"] = _FITTED_NOISE * problem.noise_deviation
    elif values.get("power_bound") == "poisson":
        values["power_bound"] = None
    if "momentum_period" in values and values["momentum_period"] is None:
        values["momentum_period"] = _momentum_period(params, len(problem.order))
    options.intensity_refinement = values.get("intensity_start") is not None
    options.eigen_probes = params.eigen_probes
    options.group_size = _group_size(params, len(problem.order)) or 1
    for key in _PLAIN:
        if values.get(key) is not None:
            setattr(options, key, values[key])
    options.object_modes, options.probe_modes = object_modes, probe_modes
    options.needs_tangents = refines_any(params, UNKNOWNS)
    options.refines_gaps = refines_any(params, OF_GAPS)
    if problem.slicing is not None:
        problem.slicing.set_slices(options, slices)
    options.hold_power = params.probe_power == "held"
    if "noise" in values:
        options.noise = getattr(_core.Noise, values["noise"])
    options.background_refinement = values.get("background_start") is not None
    options.set_background_smoothing(passes_for_core(values.get("background_smooth_px")))
    options.set_point_spread(passes_for_core(values.get("point_spread_px")))
    if values.get("direction") == "lbfgs":
        options.history = values["history"]
    for field in ("object", "probe"):
        kind = values.get(f"{field}_optimiser")
        if kind is not None:
            setattr(options, f"{field}_optimiser", getattr(_core.Optimiser, kind))
            setattr(options, f"{field}_step", rate(kind, values[f"{field}_rate"]))
    options.storage.half = values.get("exit_wave_storage") == "half"
    if options.storage.half:
        options.storage.half_scale = problem.half_scale
    options.object_blur = params.object_blur_px**2
    options.prior_of_phase = params.object_prior_of == "phase"
    if params.object_positivity is not None:
        options.positivity = getattr(_core.Positivity, params.object_positivity)
    if params.object_kappa is not None:
        options.one_material, options.kappa = True, params.object_kappa
    if params.kappa_start is not None:
        division = problem.division
        lit = middle_of_windows(division.positions, division.frame_shape, division.object_shape)
        options.kappa_region = lit.astype(np.uint8).ravel()
    if isinstance(params.object_flat, np.ndarray):
        options.object_flat = params.object_flat.astype(np.uint8).ravel()
    elif params.object_flat is not None:
        options.flat_amplitude = params.object_flat
    if params.object_clip is not None:
        options.clip = True
        options.clip_low, options.clip_high = params.object_clip
    real = support_image(params.probe_support, problem.frame_shape)
    if real is not None:
        options.probe_support = real.astype(np.float32).ravel()
    fourier = support_image(params.probe_fourier_support, problem.frame_shape)
    if fourier is not None:
        options.probe_fourier_support = np.fft.ifftshift(fourier).astype(np.float32).ravel()
    return options


# Parameters that the core's options hold under the same name.
_PLAIN = (
    "name",
    "object_inertia",
    "probe_inertia",
    "object_step",
    "probe_step",
    "object_alpha",
    "probe_alpha",
    "beta",
    "power_bound",
    "momentum",
    "momentum_period",
    "step_memory",
    "square_memory",
    "smoothness",
    "slice_smoothness",
    "object_tv",
    "object_l1",
    "object_reweighted_l1",
    "object_l2",
    "probe_smoothness",
)
