"""Parameters of an engine as the core takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.geometry_refiner import UNKNOWNS, refines_any
from exitwave.point_spread import passes_for_core
from exitwave.schedules import rate
from exitwave.slicing import OF_GAPS
from exitwave.start import corners_and_fractions

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters
    from exitwave.problem import Problem

# A model that is fitted to noisy data takes part of the noise with it. With 0.85 of what noise
# alone leaves, DM ends at its lowest error and stays there; with all of it, and with 0.75, 20 %
# above.
_FITTED_NOISE = 0.85
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
    options.group_size = group_size(params, len(problem.order)) or 1
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


def group_size(params: EngineParameters, frames: int) -> int | None:
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
    return -(-frames // (group_size(params, frames) or frames))


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
