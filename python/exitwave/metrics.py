"""How good a reconstruction is: errors free of the gauge, Fourier ring correlation, likelihoods.

All are double precision and independent of the compiled core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, special

from exitwave import checks
from exitwave.alignment import Alignment, Region, align, as_region, fit_gauge
from exitwave.errors import InvalidArgument
from exitwave.multislice import Slices, checked_distances
from exitwave.parameters import validate_params
from exitwave.point_spread import spread
from exitwave.propagate import Detector, split_position
from exitwave.resolution import RingCorrelation, frc
from exitwave.result import Result
from exitwave.slicing import Slicing

__all__ = [
    "Alignment",
    "RingCorrelation",
    "align",
    "fourier_error",
    "frc",
    "illumination",
    "model_intensities",
    "poisson_log_likelihood",
    "position_error",
    "probe_error",
    "relative_error",
    "result_intensities",
    "scan_region",
]

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def relative_error(
    image: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    region: Region = None,
    align: bool = True,
) -> float:
    """norm(image - reference) / norm(reference) in the region, free of the gauge.

    Parameters
    ----------
    image, reference : complex, shape (A, B) or (K, A, B)
    region : bool, shape (A, B), or two slices, or None
        None: the middle three quarters of each axis; see :func:`scan_region`.
    align : bool
        Remove factor, phase ramp and sub-pixel shift first, see :func:`align`.

    Raises
    ------
    InvalidArgument
        As :func:`align`.
    """
    if align:
        return fit_gauge(image, reference, region).error
    if np.shape(image) != np.shape(reference):
        raise InvalidArgument(
            f"image had shape {np.shape(image)} and reference {np.shape(reference)}, "
            "but both must be the same."
        )
    first = checks.image("image", image, stack=True)
    second = checks.image("reference", reference, stack=True)
    inside = as_region(region, (second.shape[-2], second.shape[-1]))
    norm = np.linalg.norm(second[..., inside])
    if norm == 0:
        raise InvalidArgument("reference was zero in the whole region, but must have content.")
    return float(np.linalg.norm(first[..., inside] - second[..., inside]) / norm)


def probe_error(probe: npt.NDArray[Any], reference: npt.NDArray[Any]) -> float:
    """Distance of two probes, free of the gauge and of the choice of modes.

    min over unitary U of norm(U P - R) / norm(R), after factor, ramp and shift have been removed:
    the Bures distance of the mutual coherences. For one mode it is the relative error.

    Parameters
    ----------
    probe, reference : complex, shape (Y, X), or (M, Y, X) with any M each

    Raises
    ------
    InvalidArgument
        Frames differ in shape, or a probe is zero.
    """
    first, second = _mode_stack("probe", probe), _mode_stack("reference", reference)
    if first.shape[1:] != second.shape[1:]:
        raise InvalidArgument(
            f"probe had frames of {first.shape[1:]} and reference of {second.shape[1:]}, "
            "but both must be the same."
        )
    count = max(len(first), len(second))
    everywhere = np.ones(first.shape[1:], dtype=bool)
    modes = _orthogonal(first, count), _orthogonal(second, count)
    return fit_gauge(*modes, everywhere, mix_modes=True).error


def fourier_error(
    data: Any,
    obj: npt.NDArray[Any],
    probe: npt.NDArray[Any],
    positions_px: npt.ArrayLike,
    mask: Mask | None = None,
    propagation: Mapping[str, Any] | None = None,
    background: npt.NDArray[Any] | float = 0.0,
) -> float:
    """sum w (sqrt(I) - sqrt(model))^2 / sum w I over all frames.

    Parameters
    ----------
    data : (N, Y, X), array or h5py.Dataset
        Read frame by frame.
    obj : complex, shape (A, B) or (K, A, B)
    probe : complex, shape (Y, X) or (M, Y, X)
    positions_px : (N, 2)
    mask : bool, shape (Y, X), True = valid, or None
    propagation : dict or None
        As in the parameters; None: far field.
    background : (Y, X) or number
        Added to the model.

    Raises
    ------
    InvalidArgument
        Shapes do not fit, a window lies outside the object, or no valid pixel has counts.
    """
    difference = total = 0.0
    for counts, model in _compared(data, obj, probe, positions_px, mask, propagation, background):
        difference += float(np.sum((np.sqrt(counts) - np.sqrt(model)) ** 2))
        total += float(counts.sum())
    if total == 0:
        raise InvalidArgument("data had no counts in valid pixels, but must have some.")
    return difference / total


def poisson_log_likelihood(
    data: Any,
    obj: npt.NDArray[Any],
    probe: npt.NDArray[Any],
    positions_px: npt.ArrayLike,
    mask: Mask | None = None,
    propagation: Mapping[str, Any] | None = None,
    background: npt.NDArray[Any] | float = 0.0,
) -> float:
    """sum w (I ln(model) - model - ln(I!)) over all frames; arguments as :func:`fourier_error`.

    -inf where the model has no intensity but counts were seen.
    """
    total = 0.0
    for counts, model in _compared(data, obj, probe, positions_px, mask, propagation, background):
        total += float(np.sum(special.xlogy(counts, model) - model - special.gammaln(counts + 1)))
    return total


def model_intensities(
    obj: npt.NDArray[Any],
    probe: npt.NDArray[Any],
    positions_px: npt.ArrayLike,
    propagation: Mapping[str, Any] | None = None,
) -> Iterator[Float]:
    """Intensity (Y, X) of each frame in turn, summed over probe and object modes.

    Where ``propagation`` has ``slice_distances_m`` the object is (S, A, B) or (K, S, A, B).
    """
    waves = _mode_stack("probe", probe)
    points = checks.positions("positions_px", positions_px)
    shape = (waves.shape[1], waves.shape[2])
    known = propagation or {}
    slices = None
    if known.get("slice_distances_m") is None:
        objects = _mode_stack("obj", obj)
    else:
        objects = np.asarray(obj, np.complex128)
        objects = objects[None] if objects.ndim == 3 else objects
        distances = checked_distances(known["slice_distances_m"], objects.shape[1])
        slices = Slices.make(shape, known["wavelength_m"], distances, known["pixel_size_m"])
    _require_inside(points, shape, (objects.shape[-2], objects.shape[-1]))
    detector = Detector.from_params(propagation, shape, slices)
    spectrum = fft.fft2(waves)
    tilts = np.broadcast_to(known.get("beam_tilt_rad", (0.0, 0.0)), points.shape)
    for point, tilt in zip(points, tilts, strict=True):
        yield detector.intensity(objects, spectrum, point, tilt)


def result_intensities(result: Result) -> Iterator[Float]:
    """Counts (Y, X) that the model of a result expects in each frame in turn.

    With all that the run was told or found out: background, intensity of each frame, refined
    distances and tilt, and the slices and the point spread of its last engine.
    """
    found = result.on_host()
    propagation = dict(found.params.get("propagation") or {"regime": "far"})
    if "distance_m" in found.refined:
        propagation["distance_m"] = float(found.refined["distance_m"].value)
    if propagation.get("slice_distances_m") is not None:
        known = validate_params(found.params), found.start.get("object")
        frame_shape = found.probe.shape[-2], found.probe.shape[-1]
        slicing = Slicing.of(*known, frame_shape, len(found.positions))
        assert slicing is not None
        slicing = slicing.refined({name: each.value for name, each in found.refined.items()})
        propagation["slice_distances_m"] = slicing.distances(found.object.shape[-3])
        propagation["beam_tilt_rad"] = slicing.tilt_rad
    frames = model_intensities(found.object, found.probe, found.positions, propagation)
    factors = np.ones(len(found.positions)) if found.intensities is None else found.intensities
    background = found.params.get("background") if found.background is None else found.background
    point_spread = found.params["engines"][len(found.engines) - 1].get("point_spread_px")
    for factor, light in zip(factors, frames, strict=True):
        yield spread(factor * light, point_spread) + (0.0 if background is None else background)


def position_error(
    positions_px: npt.ArrayLike, reference_px: npt.ArrayLike, remove: str = "mean"
) -> float:
    """Root mean square distance of two sets of positions, pixels.

    Parameters
    ----------
    positions_px, reference_px : (N, 2)
    remove : "nothing", "mean" or "affine"
        What is free: a common shift is part of the gauge; an affine map (scale, rotation, shear)
        is what a wrong distance or a turned stage does.

    Raises
    ------
    InvalidArgument
        Shapes differ, or there are fewer than four positions for an affine map.
    """
    points = checks.positions("positions_px", positions_px)
    reference = checks.positions("reference_px", reference_px)
    if points.shape != reference.shape:
        raise InvalidArgument(
            f"positions_px had shape {points.shape} and reference_px {reference.shape}, "
            "but both must be the same."
        )
    checks.choice("remove", remove, ("nothing", "mean", "affine"))
    difference = points - reference
    if remove == "mean":
        difference -= difference.mean(axis=0)
    elif remove == "affine":
        if len(points) < 4:
            raise InvalidArgument(
                f"positions_px had {len(points)} rows, but an affine map needs at least 4."
            )
        basis = np.column_stack([reference - reference.mean(axis=0), np.ones(len(points))])
        difference -= basis @ np.linalg.lstsq(basis, difference, rcond=None)[0]
    return float(np.sqrt(np.mean(np.sum(difference**2, axis=1))))


def scan_region(
    positions_px: npt.ArrayLike,
    frame_shape: tuple[int, int],
    object_shape: tuple[int, int],
    probe: npt.NDArray[Any] | None = None,
    fraction: float = 0.5,
) -> Mask:
    """Well-illuminated part of the object.

    With a probe: pixels where the intensity of all probes together exceeds ``fraction`` of its
    mean over the rectangle around the windows' centres. Without: that rectangle.

    Parameters
    ----------
    positions_px : (N, 2)
        (row, column) of each window's top-left corner in the object.
    frame_shape : (Y, X)
    object_shape : (A, B)
    probe : complex, shape (Y, X) or (M, Y, X), or None
    fraction : float

    Returns
    -------
    bool, shape (A, B)

    Raises
    ------
    InvalidArgument
        A window lies outside the object, or shapes do not fit.
    """
    points = checks.positions("positions_px", positions_px)
    shape = checks.shape2("frame_shape", frame_shape, least=1)
    size = checks.shape2("object_shape", object_shape, least=1)
    _require_inside(points, shape, size)
    middles = split_position(points)[0] + np.array(shape) // 2
    first, last = middles.min(axis=0), middles.max(axis=0)
    centres = np.zeros(size, dtype=bool)
    centres[first[0] : last[0] + 1, first[1] : last[1] + 1] = True
    if probe is None:
        return centres
    if np.shape(probe)[-2:] != shape:
        raise InvalidArgument(
            f"probe had frames of {np.shape(probe)[-2:]}, but must have frame_shape {shape}."
        )
    checks.number("fraction", fraction, above=0)
    total = illumination(points, probe, size)
    return np.asarray(total > fraction * total[centres].mean())


def illumination(
    positions_px: npt.ArrayLike, probe: npt.NDArray[Any], object_shape: tuple[int, int]
) -> Float:
    """Intensity (A, B) of all probes together, at positions rounded to whole pixels."""
    intensity = np.sum(np.abs(_mode_stack("probe", probe)) ** 2, axis=0)
    points = checks.positions("positions_px", positions_px)
    _require_inside(points, (intensity.shape[0], intensity.shape[1]), object_shape)
    rows, columns = intensity.shape
    total = np.zeros(object_shape)
    for row, column in split_position(points)[0]:
        total[row : row + rows, column : column + columns] += intensity
    return total


def _compared(
    data: Any,
    obj: npt.NDArray[Any],
    probe: npt.NDArray[Any],
    positions_px: npt.ArrayLike,
    mask: Mask | None,
    propagation: Mapping[str, Any] | None,
    background: npt.NDArray[Any] | float,
) -> Iterator[tuple[Float, Float]]:
    """Counts and model in the valid pixels of each frame."""
    frame_shape = np.shape(probe)[-2:]
    expected = (len(checks.positions("positions_px", positions_px)), *frame_shape)
    if tuple(data.shape) != expected:
        raise InvalidArgument(
            f"data had shape {tuple(data.shape)}, but positions and probe ask for {expected}."
        )
    valid = np.ones(frame_shape, dtype=bool)
    if mask is not None:
        valid = checks.mask("mask", mask, frame_shape)
    for index, model in enumerate(model_intensities(obj, probe, positions_px, propagation)):
        counts = np.asarray(data[index], dtype=np.float64)[valid]
        if not (counts >= 0).all():
            raise InvalidArgument(
                f"data had negative or undefined counts in frame {index}: mask those pixels."
            )
        yield counts, (model + background)[valid]


def _require_inside(points: Float, shape: tuple[int, int], size: tuple[int, int]) -> None:
    corners = split_position(points)[0]
    first, last = corners.min(axis=0), corners.max(axis=0) + np.array(shape)
    if first.min() < 0 or (last > np.array(size)).any():
        raise InvalidArgument(
            f"positions_px put windows from {first.tolist()} to {last.tolist()}, "
            f"but the object is {tuple(size)}: enlarge it or shift the positions."
        )


def _mode_stack(name: str, value: npt.NDArray[Any]) -> Complex:
    """(modes, rows, columns), complex128."""
    array = checks.image(name, value, stack=True).astype(np.complex128)
    return array if array.ndim == 3 else array[None]


def _orthogonal(stack: Complex, modes: int) -> Complex:
    """Orthogonal modes, strongest first, filled up with zeros to ``modes``."""
    _, values, vectors = np.linalg.svd(stack.reshape(len(stack), -1), full_matrices=False)
    full = np.zeros((modes, *stack.shape[1:]), dtype=np.complex128)
    full[: len(values)] = (values[:, None] * vectors).reshape(-1, *stack.shape[1:])
    return full
