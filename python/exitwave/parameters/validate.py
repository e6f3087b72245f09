"""From the dict that a user wrote to checked parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import ValidationError

from exitwave.errors import InvalidArgument
from exitwave.parameters.messages import one_sentence, show
from exitwave.parameters.models import ML, NearField, Parameters, default_chain

_NO_LENGTHS_OF_THE_GEOMETRY = {"regime", "method", "slice_distances_m", "beam_tilt_rad"}
_FAR_LENGTHS = ("wavelength_m", "pixel_size_m")
_SUPPORTS = ("probe_support", "probe_fourier_support")
# Keys that change nothing unless one of the others is set.
_UNUSED_WITHOUT = {
    ("position_search_px", "position_affine"): ("position_start",),
    ("position_max_step_px", "position_limit_px"): ("position_start", "map_start"),
    ("background_smooth_px",): ("background_start",),
    ("kappa_start",): ("object_kappa",),
    ("probe_relaxation_modes",): ("probe_relaxation_start",),
}
# What is refined beside object and probe, each with a start, a stop, and most with more.
_REFINED = (
    *("position", "intensity", "probe_relaxation", "background", "kappa"),
    *("map", "distance", "defocus", "slice_distance", "tilt"),
)
_OF_EACH = ("stop", "every", "step", "schedule")
# What acts at the end of an iteration, and the weights that do where they are no part of the loss.
_CONSTRAINTS = (
    "object_clip",
    "object_positivity",
    "object_kappa",
    "object_flat",
    "object_blur_px",
    "probe_smoothness",
    "slice_smoothness",
)
_PRIORS = ("smoothness", "object_tv", "object_l1", "object_reweighted_l1", "object_l2")


def validate_params(
    params: dict[str, Any] | Parameters | None = None,
    *,
    propagation: dict[str, Any] | None = None,
    frame_shape: tuple[int, int] | None = None,
) -> Parameters:
    """Check the parameters of a reconstruction and fill in the defaults.

    Parameters
    ----------
    params : dict, Parameters or None
        What the user gave; never changed. None, or ``engines`` left out: the default chain.
    propagation : dict, optional
        What the geometry of the data's file gives. It is used where ``params`` has no
        ``propagation``, or one that names only ``method`` or the same regime; lengths come from
        one place, never from both.
    frame_shape : (int, int), optional
        (Y, X), which probe supports given as arrays must have.

    Returns
    -------
    Parameters
        All values, defaults included; ``to_dict()`` gives them as a dict.

    Raises
    ------
    InvalidArgument
        A key is unknown, not used by its engine, or has a wrong type or value. One sentence
        names the key, what it was and what it must be.
    """
    if not isinstance(params, Parameters):
        params = _validated(params, propagation)
    _check_regime(params)
    _check_slices(params)
    _check_checkpoint(params)
    _check_lengths(params)
    _check_gaps(params)
    _check_priors(params)
    _check_refinements(params)
    _check_relaxation(params)
    _check_stops(params)
    _check_directions(params)
    _check_constraints(params)
    if frame_shape is not None:
        _check_supports(params, frame_shape)
    return params


def check_engines(engines: list[dict[str, Any]]) -> None:
    """Refuse what is wrong with engines whatever the other parameters are, which are not known yet.

    Raises
    ------
    InvalidArgument
        As from :func:`validate_params`.
    """
    _validated({"engines": engines}, None)


def _validated(params: Any, propagation: dict[str, Any] | None) -> Parameters:
    if params is not None and not isinstance(params, dict):
        raise InvalidArgument(f"params is {show(params)}; it must be a dict or None.")
    given = dict(params or {})
    if given.get("engines") is None:
        given["engines"] = default_chain()
    elif isinstance(given["engines"], tuple):
        given["engines"] = list(given["engines"])
    given["propagation"] = _completed(
        given.get("propagation"), propagation, defocus=_refine_defocus(given["engines"])
    )
    try:
        return Parameters.model_validate(given)
    except ValidationError as error:
        raise InvalidArgument(one_sentence(error, given)) from None


def _completed(given: Any, known: dict[str, Any] | None, *, defocus: bool) -> Any:
    """What the user gave for the propagation, completed by what is known from the file."""
    if given is None:
        completed = known or {"regime": "far"}
    elif known and isinstance(given, dict) and set(given) <= _NO_LENGTHS_OF_THE_GEOMETRY:
        if given.get("regime", known["regime"]) != known["regime"]:
            return given
        completed = known | given
    else:
        return given
    return completed if defocus else _without_lengths(completed)


def _refine_defocus(engines: Any) -> bool:
    """Whether any engine does, of a list that is not checked yet."""
    listed = engines if isinstance(engines, list) else []
    return any(isinstance(e, dict) and e.get("defocus_start") is not None for e in listed)


def _without_lengths(propagation: Any) -> Any:
    """In the far field a thin object has no use for the lengths of the file's geometry."""
    if propagation["regime"] == "far" and propagation.get("slice_distances_m") is None:
        return {k: v for k, v in propagation.items() if k not in _FAR_LENGTHS}
    return propagation


def _check_regime(params: Parameters) -> None:
    """Centring moves probe and object together, which leaves only a far-field frame as it is."""
    if not isinstance(params.propagation, NearField):
        return
    for index, engine in enumerate(params.engines):
        if engine.probe_centring is not None:
            raise InvalidArgument(
                f"engines[{index}].probe_centring is {engine.probe_centring}; it must be None in "
                "the near field, where the probe's place on the detector is measured."
            )


def _check_lengths(params: Parameters) -> None:
    """A distance enters the model in the near field only, and a free probe takes up any defocus."""
    lengths = params.propagation
    known = lengths.wavelength_m is not None and lengths.pixel_size_m is not None
    for index, engine in enumerate(params.engines):
        path = f"engines[{index}]"
        if engine.distance_start is not None and lengths.regime == "far":
            raise InvalidArgument(
                f"{path}.distance_start is {engine.distance_start}; it must be None in the far "
                "field, where no distance enters the model."
            )
        if engine.defocus_start is None:
            continue
        if not known:
            raise InvalidArgument(
                f"{path}.defocus_start is {engine.defocus_start}, but propagation has no "
                "wavelength_m and pixel_size_m; give both."
            )
        if engine.probe_start is not None and engine.probe_start <= engine.defocus_start:
            raise InvalidArgument(
                f"{path}.defocus_start is {engine.defocus_start}, but the probe is updated from "
                f"iteration {engine.probe_start} on and takes up any defocus; set probe_start to "
                "None or to a later iteration."
            )


def _check_gaps(params: Parameters) -> None:
    """Beams that are tilted apart have ways of their own between slices, and a free object takes up
    any tilt that all have in common."""
    apart = np.ndim(params.propagation.beam_tilt_rad) == 2
    for index, engine in enumerate(params.engines):
        path = f"engines[{index}]"
        for key in ("slice_distance_start", "tilt_start"):
            value = getattr(engine, key, None)
            if apart and value is not None:
                raise InvalidArgument(
                    f"{path}.{key} is {value}, but beam_tilt_rad has a tilt for each frame; set "
                    f"{key} to None, or give one tilt for the whole scan."
                )
        tilt, begins = (getattr(engine, f"{key}_start", None) for key in ("tilt", "object"))
        if tilt is not None and begins <= tilt:
            raise InvalidArgument(
                f"{path}.tilt_start is {tilt}, but the object is updated from iteration {begins} "
                "on and takes up any tilt of the whole scan; set object_start to a later "
                "iteration, or to iterations, and start from a known object."
            )


def _check_slices(params: Parameters) -> None:
    """A thick object needs lengths; what only such an object uses is refused for a thin one."""
    known = params.propagation
    if known.slice_distances_m is not None:
        for key in _FAR_LENGTHS:
            if getattr(known, key) is None:
                raise InvalidArgument(
                    f"propagation.{key} is None, but waves between slices need it; give it, in "
                    "metres."
                )
        return
    refines = any(engine.defocus_start is not None for engine in params.engines)
    thin = isinstance(known, NearField) or refines
    used = {} if thin else {k: getattr(known, k) for k in _FAR_LENGTHS}
    if np.any(known.beam_tilt_rad):
        used["beam_tilt_rad"] = known.beam_tilt_rad
    for key, value in used.items():
        if value is not None:
            raise InvalidArgument(
                f"propagation.{key} is {show(value)}, which a thin object has no use for; leave it "
                "out, or give slice_distances_m as well."
            )
    for index, engine in enumerate(params.engines):
        for key in ("slices", "slice_smoothness", "slice_distance_start", "tilt_start"):
            field = type(engine).model_fields.get(key)
            value = getattr(engine, key, None)
            if field is not None and value != field.default:
                raise InvalidArgument(
                    f"engines[{index}].{key} is {value}, but nothing says how far slices are "
                    f"apart; give slice_distances_m in propagation as well, or leave {key} out."
                )


def _check_checkpoint(params: Parameters) -> None:
    for key in ("checkpoint_every", "checkpoint_minutes"):
        value = getattr(params, key)
        if value is not None and params.checkpoint is None:
            raise InvalidArgument(
                f"{key} is {value}, but checkpoint is None; name the file in checkpoint as well."
            )


def _check_priors(params: Parameters) -> None:
    for index, engine in enumerate(params.engines):
        if engine.object_prior_of != "object" and not any(getattr(engine, key) for key in _PRIORS):
            raise InvalidArgument(
                f"engines[{index}].object_prior_of is {engine.object_prior_of!r}, but none of "
                f"{', '.join(_PRIORS)} is above 0; set one of them, or leave it out."
            )


def _check_refinements(params: Parameters) -> None:
    """What steers a refinement is refused where none begins, and so is one that never does."""
    for index, engine in enumerate(params.engines):
        path = f"engines[{index}]"
        # Intensities that an earlier engine refined are used before they are refined again.
        for key in (f"{unknown}_start" for unknown in _REFINED if unknown != "intensity"):
            value = getattr(engine, key, None)
            if value is not None and value >= engine.iterations:
                raise InvalidArgument(
                    f"{path}.{key} is {value}, but the engine has {engine.iterations} iterations, "
                    "counted from 0; set it to less, or leave it out."
                )
        of_each = {
            tuple(f"{unknown}_{key}" for key in _OF_EACH): (f"{unknown}_start",)
            for unknown in _REFINED
        }
        for keys, starts in (of_each | _UNUSED_WITHOUT).items():
            if any(getattr(engine, start, None) is not None for start in starts):
                continue
            for key in keys:
                field = type(engine).model_fields.get(key)
                value = getattr(engine, key, None)
                if field is not None and value != field.default:
                    raise InvalidArgument(
                        f"{path}.{key} is {value}, but {' and '.join(starts)} "
                        f"{'is' if len(starts) == 1 else 'are'} None; set "
                        f"{' or '.join(starts)}, or leave {key} out."
                    )


def _check_relaxation(params: Parameters) -> None:
    """Eigen-probes and weights are updated with the probe, along conjugate directions."""
    for index, engine in enumerate(params.engines):
        start = getattr(engine, "probe_relaxation_start", None)
        if start is not None and getattr(engine, "direction", None) == "lbfgs":
            raise InvalidArgument(
                f"engines[{index}].probe_relaxation_start is {start}, but direction is 'lbfgs', "
                "which knows no probes of frames; set direction to 'conjugate'."
            )
        if start is None or (engine.probe_start is not None and engine.probe_start <= start):
            continue
        raise InvalidArgument(
            f"engines[{index}].probe_relaxation_start is {start}, but probe_start is "
            f"{engine.probe_start}, and probes of frames are updated with the probe; set "
            "probe_start to no later iteration."
        )


def _check_stops(params: Parameters) -> None:
    for index, engine in enumerate(params.engines):
        for unknown in ("object", "probe", *_REFINED):
            stop = getattr(engine, f"{unknown}_stop", None)
            start = getattr(engine, f"{unknown}_start", 0)
            if stop is not None and (start is None or stop <= start):
                raise InvalidArgument(
                    f"engines[{index}].{unknown}_stop is {stop}, but {unknown}_start is {start}, "
                    f"so that nothing is updated; set {unknown}_stop to more, or to None."
                )


def _check_directions(params: Parameters) -> None:
    for index, engine in enumerate(params.engines):
        if not isinstance(engine, ML) or engine.direction == "lbfgs":
            continue
        if engine.history != type(engine).model_fields["history"].default:
            raise InvalidArgument(
                f"engines[{index}].history is {engine.history}, but direction is "
                f'{engine.direction!r}, which keeps no pairs; set direction to "lbfgs", or leave '
                "history out."
            )


def _check_constraints(params: Parameters) -> None:
    """How often is refused where there is nothing to be done so often."""
    for index, engine in enumerate(params.engines):
        acts = _CONSTRAINTS if isinstance(engine, ML) else _CONSTRAINTS + _PRIORS
        used = [key for key in acts if key in type(engine).model_fields]
        set_ = [key for key in used if not _is_off(getattr(engine, key))]
        if engine.constraint_every != 1 and not set_:
            raise InvalidArgument(
                f"engines[{index}].constraint_every is {engine.constraint_every}, but none of "
                f"{', '.join(used)} is set; set one of them, or leave it out."
            )


def _is_off(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value == 0)


def check_flat_regions(params: Parameters, object_shape: tuple[int, int]) -> None:
    """Refuses flat regions of another shape than the object's (A, B)."""
    for index, engine in enumerate(params.engines):
        flat = engine.object_flat
        if isinstance(flat, np.ndarray) and flat.shape != object_shape:
            raise InvalidArgument(
                f"engines[{index}].object_flat is {show(flat)}; it must have the shape "
                f"{object_shape} of the object."
            )


def _check_supports(params: Parameters, frame_shape: tuple[int, int]) -> None:
    background = params.background
    if isinstance(background, np.ndarray) and background.shape != tuple(frame_shape):
        raise InvalidArgument(
            f"background is {show(background)}; it must have the shape {tuple(frame_shape)} of a "
            "frame."
        )
    for index, engine in enumerate(params.engines):
        for key in _SUPPORTS:
            support = getattr(engine, key)
            if isinstance(support, np.ndarray) and support.shape != tuple(frame_shape):
                raise InvalidArgument(
                    f"engines[{index}].{key} is {show(support)}; it must have the shape "
                    f"{tuple(frame_shape)} of a frame."
                )
