"""Ready-made callbacks that change the arrays of a run, and ways to put callbacks together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.callbacks import Change, State
from exitwave.device_arrays import on_host
from exitwave.errors import InvalidArgument

Callback = Callable[[State], Any]
Complex = npt.NDArray[np.complexfloating[Any, Any]]

# Engines that keep exit waves from one iteration to the next.
_KEEP_WAVES = ("DM", "RAAR")


def low_pass(fraction: float) -> Callback:
    """Takes high spatial frequencies from the object.

    Parameters
    ----------
    fraction : float, above 0 and below 1
        Of the highest frequency along each axis; the edge is a Gaussian's, down to 1/2 there.

    Raises
    ------
    InvalidArgument
        ``fraction`` is out of range.
    """
    if not 0 < fraction < 1:
        raise InvalidArgument(f"fraction is {fraction}; it must be above 0 and below 1.")

    def callback(state: State) -> Change:
        rows, columns = (np.fft.fftfreq(n) / (0.5 * fraction) for n in state.object.shape[-2:])
        passed = np.exp2(-(rows[:, None] ** 2) - columns[None, :] ** 2)
        obj = on_host("object", state.object)
        return Change(object=np.fft.ifft2(np.fft.fft2(obj) * passed))

    return callback


def without_ramp(obj: Complex, probe: Complex, region: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
    """The same reconstruction without the linear phase ramp that object and probe share.

    A ramp over the object and its opposite over the probe change no intensity, so data leave it
    open. Not for thick objects, of which (S, A, B) cannot be told from modes here: a ramp over all
    slices turns the beam between them.

    Parameters
    ----------
    obj : complex, shape (A, B) or (K, A, B)
    probe : complex, shape (..., Y, X)
    region : bool, shape (A, B)
        Where the object's mean phase slope is made zero.

    Returns
    -------
    obj, probe : complex, shapes as given

    Raises
    ------
    InvalidArgument
        The object has an axis of slices, (K, S, A, B).
    """
    _require_thin("without_ramp", obj)
    slopes = []
    for axis in (-2, -1):
        first, second = (np.delete(np.moveaxis(a, axis, -1), end, axis=-1) for a, end in _ends(obj))
        inside = np.moveaxis(region, axis, -1)
        weight = inside[..., :-1] & inside[..., 1:]
        slopes.append(float(np.angle((weight * second * np.conj(first)).sum())))
    return obj * _ramp(obj.shape, slopes, -1), probe * _ramp(probe.shape, slopes, 1)


def _require_thin(name: str, obj: Any) -> None:
    if obj.ndim > 3 and obj.shape[-3] > 1:
        raise InvalidArgument(
            f"{name} was given an object of shape {obj.shape}, modes and slices, but a ramp over "
            "all slices of a thick object changes its frames; leave it in."
        )


def _ends(obj: Complex) -> tuple[tuple[Complex, int], tuple[Complex, int]]:
    """The array with the end that differences along an axis leave out."""
    return (obj, -1), (obj, 0)


def _ramp(shape: tuple[int, ...], slopes: list[float], sign: int) -> Complex:
    rows, columns = (
        np.exp(sign * 1j * s * np.arange(n)) for s, n in zip(slopes, shape[-2:], strict=True)
    )
    return np.asarray(rows[:, None] * columns[None, :])


def remove_ramp() -> Callback:
    """Takes the phase ramp from a thin object and its probe, see :func:`without_ramp`.

    Not for DM and RAAR, whose kept exit waves would not follow: use :func:`without_ramp` on their
    result, or the callback in an engine after them.
    """

    def callback(state: State) -> Change:
        from exitwave.metrics import scan_region

        if state.engine in _KEEP_WAVES:
            raise InvalidArgument(
                f"remove_ramp is called in {state.engine}, which keeps exit waves that would not "
                "follow; use without_ramp on its result."
            )
        _require_thin("remove_ramp", state.object)
        obj, probe = on_host("object", state.object), on_host("probe", state.probe)
        shape, frame = (obj.shape[-2], obj.shape[-1]), (probe.shape[-2], probe.shape[-1])
        region = scan_region(state.positions, frame, shape, probe)
        obj, probe = without_ramp(obj, probe, region)
        return Change(object=obj, probe=probe)

    return callback


def every(iterations: int, callback: Callback) -> Callback:
    """A callback that is called after every so many iterations of an engine only."""
    return lambda state: callback(state) if (state.iteration + 1) % iterations == 0 else None


def all_of(*callbacks: Callback) -> Callback:
    """One callback for several: each sees what the one before it has changed."""

    def callback(state: State) -> Change:
        done = Change()
        for each in callbacks:
            answer = each(state)
            change = answer if isinstance(answer, Change) else Change(stop=answer is True)
            given = {k: v for k in ("object", "probe") if (v := getattr(change, k)) is not None}
            done = replace(done, **given, stop=done.stop or change.stop)
            state = replace(state, **given)
        return done

    return callback
