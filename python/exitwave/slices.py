"""Slices of a thick object split, merged and moved, with its total phase and absorption kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.multislice import checked_distances

Float = npt.NDArray[np.float64]

# What a slice lets through at least, so that its logarithm exists.
_DARKEST = 1e-6


def resample_slices(
    obj: npt.NDArray[Any],
    distance_m: float | Sequence[float],
    new_slices: int,
    new_distance_m: float | Sequence[float],
) -> npt.NDArray[Any]:
    """The same thick object in other slices.

    The logarithm of each slice, its phase unwrapped, is spread evenly over the depth halfway to its
    neighbours; the new slices, centred at the same depth, collect what lies nearest to them. The
    product of all slices stays what it is. One slice is split in proportion; to one slice all are
    multiplied.

    Parameters
    ----------
    obj : complex, shape (S, A, B) or (K, S, A, B)
    distance_m : float or S - 1 floats, metres
        From each slice to the next; what is given for a single slice does not matter.
    new_slices : int
    new_distance_m : float or new_slices - 1 floats, metres

    Returns
    -------
    shape (new_slices, A, B) or (K, new_slices, A, B), of the type of ``obj``

    Raises
    ------
    InvalidArgument
        The object has no axis of slices, or distances do not fit or are all zero.
    """
    array = np.asarray(obj)
    if array.ndim not in (3, 4) or array.size == 0 or not np.isfinite(array).all():
        raise InvalidArgument(
            f"obj had shape {array.shape}, but must be finite and (slices, rows, columns) or "
            "(modes, slices, rows, columns)."
        )
    count = checks.whole("new_slices", new_slices)
    weights = _shares(
        checked_distances(distance_m, array.shape[-3]), checked_distances(new_distance_m, count)
    )
    logarithms = _logarithm(array)
    mixed = np.tensordot(weights, np.moveaxis(logarithms, -3, 0), axes=1)
    return np.asarray(np.exp(np.moveaxis(mixed, 0, -3)), array.dtype)


def resampled_images(
    images: npt.NDArray[np.complex64], from_m: Sequence[float], to_m: Sequence[float]
) -> npt.NDArray[np.complex64]:
    """(K S, A, B), mode by mode, with the distances between its slices and between the new ones."""
    size = images.shape[-2:]
    modes = images.reshape(-1, len(from_m) + 1, *size)
    cut = resample_slices(modes, from_m, len(to_m) + 1, to_m)
    return np.ascontiguousarray(cut.reshape(-1, *size), np.complex64)


def _shares(old_m: tuple[float, ...], new_m: tuple[float, ...]) -> Float:
    """(new, old): the part of each old slice that each new one takes; columns sum to 1."""
    new = _edges(new_m)
    old = _edges(old_m) if old_m else new[[0, -1]]
    if not np.ptp(new) and len(new) > 2:
        raise InvalidArgument("new_distance_m was all zero, but slices must lie apart to differ.")
    outer = new.copy()
    outer[0], outer[-1] = -np.inf, np.inf
    shares = np.zeros((len(new) - 1, len(old) - 1))
    for column, (first, last) in enumerate(pairwise(old)):
        middle = (first + last) / 2
        if last > first:
            inside = np.minimum(outer[1:], last) - np.maximum(outer[:-1], first)
            shares[:, column] = np.maximum(inside, 0) / (last - first)
        else:
            shares[np.searchsorted(outer[1:-1], middle, side="right"), column] = 1.0
    return shares


def _edges(distances_m: tuple[float, ...]) -> Float:
    """Borders of the slices' depths, halfway between them, around depth 0."""
    depths = np.concatenate([[0.0], np.cumsum(distances_m)])
    depths -= depths.mean()
    if len(depths) == 1:
        return np.zeros(2)
    between = (depths[1:] + depths[:-1]) / 2
    return np.concatenate([[2 * depths[0] - between[0]], between, [2 * depths[-1] - between[-1]]])


def _logarithm(obj: npt.NDArray[Any]) -> npt.NDArray[np.complex128]:
    """ln|O| + i phase, each slice's phase unwrapped, so that its parts have no jumps."""
    from skimage.restoration import unwrap_phase

    result: npt.NDArray[np.complex128]
    result = np.log(np.maximum(np.abs(obj), _DARKEST)).astype(np.complex128)
    for index in np.ndindex(obj.shape[:-2]):
        phase = np.angle(obj[index])
        # Without a jump of nearly a turn there is nothing to unwrap.
        steps = [np.abs(np.diff(phase, axis=axis)) for axis in (0, 1)]
        if any(step.size and step.max() > np.pi for step in steps):
            phase = unwrap_phase(phase, rng=0)  # type: ignore[no-untyped-call]
        result[index] += 1j * phase
    return result
