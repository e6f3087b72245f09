"""One engine of a chain: its iterations, and what may go wrong."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.checkpoint import EngineStanding
from exitwave.core_options import core_options, group_size
from exitwave.errors import DivergenceError
from exitwave.geometry_refiner import GeometryRefiner
from exitwave.partition import draw_groups
from exitwave.positions import PositionRefiner
from exitwave.probe_relaxation import RelaxedProbe
from exitwave.problem import Problem
from exitwave.schedules import due, position_factor, schedule_factors
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
        self._groups = group_size(params, len(problem.order))
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
