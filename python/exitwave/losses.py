"""Loss and gradients of the model, for optimisers and networks of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import start
from exitwave.counts import read_counts
from exitwave.device_arrays import on_host, take_arguments
from exitwave.errors import InvalidArgument
from exitwave.parameters import Parameters, validate_params
from exitwave.parameters.messages import show
from exitwave.point_spread import passes_for_core
from exitwave.positions import Bounds
from exitwave.problem import Problem, make_problem
from exitwave.propagate import frame_kernel
from exitwave.reconstruct import divide_scan, memory_limits
from exitwave.sensor import with_sensor
from exitwave.slicing import Slicing

Complex64 = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]

NOISES = ("poisson", "amplitude", "gaussian", "anscombe")
# Keys of ``params`` besides "noise": those of a reconstruction that make sense here.
KEYS = (
    "propagation",
    "background",
    "saturation",
    "point_spread_px",
    "device",
    "parts",
    "batch",
    "deterministic",
    "memory_limit",
)


@dataclass(frozen=True)
class LossGradients:
    """Loss, and its gradients with respect to the conjugates.

    A small change of object and probe changes the loss by ``2 Re sum(conj(object) dO) +
    2 Re sum(conj(probe) dP)``. (For PyTorch and JAX a complex gradient is twice that.)

    Attributes
    ----------
    loss : float
        Sum over all frames and valid pixels.
    object : complex64, shape as given
        dL / d conj(O); 0 where no frame reaches.
    probe : complex64, shape as given
        dL / d conj(P).
    positions : float64, shape (N, 2), per pixel, or None
        dL / d position, where positions may move.
    error : float
        Fourier error.
    """

    loss: float
    object: Complex64
    probe: Complex64
    positions: Float64 | None
    error: float


class Losses:
    """Loss and gradients of one scan, for many objects and probes.

    Counts, positions and work arrays stay on the device from call to call.

    Parameters
    ----------
    data, mask
        As for :func:`exitwave.ptychography`.
    obj : complex64, shape (A, B) or (K, A, B); thick (S, A, B) or (K, S, A, B)
    probe : complex64, shape (Y, X) or (M, Y, X)
        Their shapes are those of all calls; the values do not matter.
    pos : float64, shape (N, 2), pixels
    params : dict, optional
        "noise" ("poisson", "amplitude", "gaussian" or "anscombe", see :doc:`engines`; default
        "poisson", less what it is where model and counts agree), and of the parameters of a
        reconstruction "propagation", "background", "saturation", "point_spread_px", "device",
        "parts", "batch", "deterministic" and "memory_limit".
    position_limit_px : float, optional
        Calls may move frames by up to this along each axis, and get the loss's slopes along their
        positions, for which each call takes two passes over the frames in place of one.

    Raises
    ------
    InvalidArgument
        Bad input, in one sentence that names the argument.
    """

    def __init__(
        self,
        data: Any,
        obj: Any,
        probe: Any,
        pos: Any,
        mask: Any = None,
        params: dict[str, Any] | None = None,
        *,
        position_limit_px: float | None = None,
    ) -> None:
        noise, checked = _checked(params, position_limit_px)
        data, obj, probe, pos, mask = take_arguments(data, obj, probe, pos, mask, stays=False)
        division = divide_scan(data, obj, pos, checked)
        limits = memory_limits(checked)
        counts = with_sensor(read_counts(data, mask, limits.host, division), checked, False)
        self._shapes = (np.shape(obj), np.shape(probe))
        slicing = Slicing.of(checked, obj, division.frame_shape, len(division.positions))
        slices = 1 if slicing is None else slicing.start
        if slicing is not None and slices != slicing.of_engine[0]:
            raise InvalidArgument(
                f"obj has shape {np.shape(obj)}, {slices} slices, but slice_distances_m in "
                f"propagation are those of {slicing.of_engine[0]}; give ({slicing.of_engine[0]}, "
                "rows, columns)."
            )
        if slices > 1 and position_limit_px is not None:
            raise InvalidArgument(
                f"position_limit_px is {position_limit_px}, but slopes along positions are those "
                f"of one slice, not of {slices}; set it to None."
            )
        obj = start.StartObject(obj, division.object_shape).cut()
        probe = start.checked_probe(probe, division.frame_shape)
        kernel = frame_kernel(checked.propagation, division.frame_shape)
        arrays_bytes = 2 * (obj.nbytes + probe.nbytes)
        self._problem = make_problem(
            counts,
            division,
            kernel,
            checked.seed,
            limits,
            arrays_bytes=arrays_bytes,
            slicing=slicing,
        )
        self._bounds = None
        if position_limit_px is not None:
            self._bounds = Bounds.around(
                division.positions, position_limit_px, division.object_shape, division.frame_shape
            )
        self._core, self.plan = self._problem.engine(
            _options(noise, checked, self._problem, len(obj) // slices, len(probe)), obj, probe
        )

    def __call__(
        self, obj: Any, probe: Any, pos: Any = None, frames: Sequence[int] | None = None
    ) -> LossGradients:
        """Loss and gradients of an object and a probe.

        Parameters
        ----------
        obj, probe
            Shapes as at the start; they are used as they are, in complex64.
        pos : float64, shape (N, 2), pixels, optional
            Where the frames are from this call on.
        frames : sequence of int, optional
            Those that count, each once; None: all.
        """
        obj, probe = on_host("obj", obj), on_host("probe", probe)
        if (np.shape(obj), np.shape(probe)) != self._shapes:
            raise InvalidArgument(
                f"obj and probe have shapes {np.shape(obj)} and {np.shape(probe)}, but must have "
                f"{self._shapes[0]} and {self._shapes[1]}, as at the start; make new Losses."
            )
        if pos is not None:
            self._move(pos)
        groups = [] if frames is None else [_checked_frames(frames, len(self._problem.order))]
        whole = start.StartObject(obj, self._problem.division.object_shape).cut()
        self._core.set_fields(whole, start.checked_probe(probe, self._problem.frame_shape))
        report = self._core.iterate(groups, True)
        of_object, of_probe = self._core.gradients
        return LossGradients(
            report.loss,
            of_object.reshape(self._shapes[0]),
            of_probe.reshape(self._shapes[1]),
            None if self._bounds is None else self._core.position_slopes,
            report.deviation / self._problem.energy,
        )

    def _move(self, pos: Any) -> None:
        if self._bounds is None:
            raise InvalidArgument(
                "pos is given, but positions of these Losses stay; make them with "
                "position_limit_px."
            )
        positions = start.checked_positions(pos, len(self._bounds.lowest))
        outside = (self._bounds.clip(positions) != positions).any(axis=1)
        if outside.any():
            frame = int(outside.argmax())
            raise InvalidArgument(
                f"pos of frame {frame} is {tuple(positions[frame])}, which is outside the object "
                "or more than position_limit_px from its start; move it less."
            )
        self._core.set_positions(*start.corners_and_fractions(positions))


def loss_and_gradients(
    data: Any,
    obj: Any,
    probe: Any,
    pos: Any,
    mask: Any = None,
    params: dict[str, Any] | None = None,
) -> LossGradients:
    """Loss of a model against counts, and its gradients, once; :class:`Losses` for many times.

    Parameters
    ----------
    data, obj, probe, pos, mask, params
        As for :class:`Losses`.

    Returns
    -------
    LossGradients

    Raises
    ------
    InvalidArgument
        Bad input, in one sentence that names the argument.
    """
    return Losses(data, obj, probe, pos, mask, params)(obj, probe)


def _checked(
    params: dict[str, Any] | None, position_limit_px: float | None
) -> tuple[str, Parameters]:
    """Noise model, and all else as parameters of a reconstruction."""
    if params is not None and not isinstance(params, dict):
        raise InvalidArgument(f"params is {show(params)}; it must be a dict or None.")
    given = dict(params or {})
    noise = given.pop("noise", NOISES[0])
    if noise not in NOISES:
        raise InvalidArgument(f"noise is {show(noise)}; it must be one of {', '.join(NOISES)}.")
    for key in given:
        if key not in KEYS:
            raise InvalidArgument(
                f"{key} is no key of params here; they are noise, {', '.join(KEYS)}."
            )
    engine: dict[str, Any] = {"name": "ML", "point_spread_px": given.pop("point_spread_px", None)}
    if position_limit_px is not None:
        engine |= {"position_start": 0, "position_limit_px": position_limit_px}
    return noise, validate_params(given | {"engines": [engine]})


def _options(
    noise: str, params: Parameters, problem: Problem, object_modes: int, probe_modes: int
) -> Any:
    from exitwave import _core

    options = _core.EngineOptions()
    options.name = "losses"
    options.noise = getattr(_core.Noise, noise)
    options.object_modes, options.probe_modes = object_modes, probe_modes
    options.set_point_spread(passes_for_core(getattr(params.engines[0], "point_spread_px")))  # noqa: B009
    if problem.slicing is not None:
        problem.slicing.set_slices(options, problem.slicing.start)
    return options


def _checked_frames(frames: Sequence[int], count: int) -> list[int]:
    numbers = np.asarray(frames)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or numbers.size == 0:
        raise InvalidArgument("frames must be a list of at least one frame number.")
    if numbers.min() < 0 or numbers.max() >= count or len(np.unique(numbers)) < len(numbers):
        raise InvalidArgument(
            f"frames has numbers from {numbers.min()} to {numbers.max()}, but must name each frame "
            f"once, from 0 to {count - 1}."
        )
    return [int(number) for number in numbers]
