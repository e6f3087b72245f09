"""Simulated ptychography data with a known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks, probes, scans, specimens
from exitwave.errors import InvalidArgument
from exitwave.geometry import wavelength_from_energy
from exitwave.propagate import Detector, magnification, split_position
from exitwave.simulation import Simulation

__all__ = ["Simulation", "simulate"]

Array = npt.NDArray[Any]
# Scale of data without noise.
NOISE_FREE_COUNTS = 1e6


def simulate(
    frame_shape: int | tuple[int, int] = (64, 64),
    frames: int | None = None,
    *,
    regime: str = "far",
    counts_per_frame: float | None = None,
    seed: int = 0,
    obj: Array | None = None,
    amplitude_image: str | Array | None = None,
    phase_image: str | Array | None = None,
    amplitude_range: tuple[float, float] | None = None,
    phase_range_rad: tuple[float, float] | None = None,
    object_modes: int | None = None,
    object_mode_powers: npt.ArrayLike | None = None,
    probe: str | Array | None = None,
    probe_settings: dict[str, Any] | None = None,
    probe_modes: int | None = None,
    probe_mode_powers: npt.ArrayLike | None = None,
    scan: str | Array = "spiral",
    overlap: float | None = None,
    step_px: checks.Pair | None = None,
    jitter: float | None = None,
    integer_positions: bool = False,
    mask: Array | None = None,
    energy_ev: float | None = None,
    radiation: str | None = None,
    distance_m: float | None = None,
    detector_pixel_m: checks.Pair | None = None,
    focus_distance_m: float | None = None,
    method: str | None = None,
) -> Simulation:
    """Ptychography data of a known object, far or near field.

    Parameters
    ----------
    frame_shape : int or (Y, X)
    frames : int or None
        Number N of frames; None: 100, or as many as ``scan`` has positions.
    regime : "far" or "near"
    counts_per_frame : float or None
        Mean counts per frame, Poisson distributed. None: no noise, float32, scaled to 1e6.
    seed : int
        Of jitter, diffuser and noise, each with its own stream.
    obj : complex, shape (A, B) or (K, A, B), or None
        The object; None makes it from images.
    amplitude_image, phase_image : name or array (rows, columns), or None
        None: "camera" and "gravel"; see :func:`exitwave.specimens.from_images`.
    amplitude_range, phase_range_rad : (lowest, highest) or None
        None: 0.5 to 1, and -1 to 1 radians.
    object_modes, object_mode_powers : int or None, K positive numbers or None
        Incoherent object modes: different pictures with these relative powers.
    probe : name, complex array (Y, X) or (M, Y, X), or None
        A function of :mod:`exitwave.probes`: "defocused" (far field's default), "focused",
        "zone_plate", "kb", "electron", "aperture", "diffuser" (near field's default), "gaussian".
    probe_settings : dict or None
        Keyword arguments of that function, in metres.
    probe_modes, probe_mode_powers : int or None, M positive numbers or None
        Modes of a source of finite size, see :func:`exitwave.probes.add_modes`.
    scan : "raster", "spiral", "rings", or positions (N, 2) in pixels
    overlap : float or None
        Linear overlap 1 - step / probe diameter, when ``step_px`` is not given; None: 0.7 in the
        far field and 0.85 in the near field.
    step_px : float or (row, column), pixels, or None
    jitter : float or None
        Fraction of the step by which points move at random; None: 0.3 for a raster, else 0.
    integer_positions : bool
        Round positions to whole pixels.
    mask : bool, shape (Y, X), or None
        True = valid; the data are 0 elsewhere.
    energy_ev : float or None, electronvolts
        None: 8000 for photons, 300e3 for electrons.
    radiation : "photon", "electron" or None
        None: electrons for the probe "electron", else photons.
    distance_m : float or None, metres
        Sample to detector; None: 2 m in the far field, and in the near field the distance at which
        a pixel diffracts over a quarter of the window.
    detector_pixel_m : float or (row, column), metres, or None
        None: 75e-6 in the far field, 0.65e-6 in the near field.
    focus_distance_m : float or None, metres
        Near field in a diverging beam: focus to sample.
    method : "angular_spectrum", "fresnel", or None
        Near-field propagator; None: angular spectrum.

    Returns
    -------
    Simulation

    Raises
    ------
    InvalidArgument
        An argument is out of range, does not fit the others, or would have no effect.
    """
    shape = checks.shape2("frame_shape", frame_shape)
    checks.whole("seed", seed, least=0)
    if radiation is None:
        radiation = "electron" if isinstance(probe, str) and probe == "electron" else "photon"
    if energy_ev is None:
        energy_ev = 300e3 if radiation == "electron" else 8000.0
    wavelength = wavelength_from_energy(energy_ev, radiation)
    optics = _optics(
        regime, shape, wavelength, distance_m, detector_pixel_m, focus_distance_m, method
    )
    pixel = optics["pixel_size_m"]
    detector = Detector.from_params(optics["propagation"], shape)

    kind, settings, wave = _probe(
        probe, probe_settings, shape, optics, probe_modes, probe_mode_powers, seed
    )
    diameter = probes.diameter_m(wave, pixel)
    points, step = _scan(
        scan, frames, overlap, step_px, jitter, regime, diameter, pixel, integer_positions, seed
    )
    needed = tuple(split_position(points)[0].max(axis=0) + np.array(shape))
    pictures = {
        "amplitude_image": amplitude_image,
        "phase_image": phase_image,
        "amplitude_range": amplitude_range,
        "phase_range_rad": phase_range_rad,
        "modes": object_modes,
        "powers": object_mode_powers,
    }
    truth = _object(obj, needed, {k: v for k, v in pictures.items() if v is not None})

    # Single precision is what a reconstruction is compared with, so the data follow from it.
    wave = wave.astype(np.complex64)
    truth = truth.astype(np.complex64)
    target = (
        NOISE_FREE_COUNTS
        if counts_per_frame is None
        else checks.number("counts_per_frame", counts_per_frame, above=0)
    )
    intensity = _intensities(detector, truth, wave, points)
    factor = target / (intensity.sum(dtype=np.float64) / len(points))
    wave = (wave * np.sqrt(factor)).astype(np.complex64)
    intensity *= factor
    if mask is not None:
        mask = checks.mask("mask", mask, shape).copy()
        intensity[:, ~mask] = 0
    data = (
        intensity.astype(np.float32)
        if counts_per_frame is None
        else _poisson(intensity, np.random.default_rng([seed, 2]))
    )
    return Simulation(
        data=data,
        positions_px=points,
        probe=wave,
        object=truth,
        mask=mask,
        overlap=1 - step / diameter,
        counts_per_frame=target,
        settings={
            "probe": kind,
            "probe_settings": settings,
            "seed": seed,
            "scan": scan if isinstance(scan, str) else "given",
            "energy_ev": energy_ev,
        },
        radiation=radiation,
        **optics,
    )


def _optics(
    regime: str,
    shape: tuple[int, int],
    wavelength: float,
    distance_m: float | None,
    detector_pixel_m: checks.Pair | None,
    focus_distance_m: float | None,
    method: str | None,
) -> dict[str, Any]:
    """Fields of Simulation that describe the experiment."""
    checks.choice("regime", regime, ("far", "near"))
    if method is not None:
        checks.choice("method", method, ("angular_spectrum", "fresnel"))
    default = 75e-6 if regime == "far" else 0.65e-6
    physical = checks.pair(
        "detector_pixel_m", default if detector_pixel_m is None else detector_pixel_m
    )
    if distance_m is not None:
        checks.number("distance_m", distance_m, above=0)
    if regime == "far":
        for name, value in (("focus_distance_m", focus_distance_m), ("method", method)):
            if value is not None:
                raise InvalidArgument(
                    f"{name} was given, but belongs to the near field: leave it out."
                )
        distance = 2.0 if distance_m is None else distance_m
        pixel = tuple(wavelength * distance / (n * p) for n, p in zip(shape, physical, strict=True))
        propagation: dict[str, Any] = {"regime": "far"}
    else:
        if distance_m is None and focus_distance_m is not None:
            raise InvalidArgument(
                "distance_m was None, but a focus_distance_m needs it: give sample to detector."
            )
        distance = distance_m or min(shape) * min(physical) ** 2 / (4 * wavelength)
        scale = 1.0 if focus_distance_m is None else magnification(distance, focus_distance_m)
        pixel = tuple(p / scale for p in physical)
        propagation = {
            "regime": "near",
            "wavelength_m": wavelength,
            "distance_m": distance,
            "pixel_size_m": pixel,
            "method": method or "angular_spectrum",
        }
        if focus_distance_m is not None:
            propagation["focus_distance_m"] = focus_distance_m
    return {
        "regime": regime,
        "wavelength_m": wavelength,
        "distance_m": distance,
        "detector_pixel_m": physical,
        "pixel_size_m": pixel,
        "focus_distance_m": focus_distance_m,
        "method": method or "angular_spectrum",
        "propagation": propagation,
    }


def _probe(
    probe: str | Array | None,
    settings: dict[str, Any] | None,
    shape: tuple[int, int],
    optics: dict[str, Any],
    modes: int | None,
    powers: npt.ArrayLike | None,
    seed: int,
) -> tuple[str, dict[str, Any], Array]:
    """Kind, complete settings, and modes (M, Y, X) of the illumination."""
    if probe is None:
        probe = "defocused" if optics["regime"] == "far" else "diffuser"
    if not isinstance(probe, str):
        if settings:
            raise InvalidArgument("probe_settings were given with a probe array: leave them out.")
        wave = checks.image("probe", probe, stack=True)
        wave = wave[None] if wave.ndim == 2 else wave
        if wave.shape[1:] != shape:
            raise InvalidArgument(
                f"probe had frames of {wave.shape[1:]}, but must have frame_shape {shape}."
            )
        if not wave.any():
            raise InvalidArgument("probe was zero everywhere, but must have power.")
        if modes is not None or powers is not None:
            if len(wave) > 1:
                raise InvalidArgument(
                    f"probe_modes or their powers were given with a probe of {len(wave)} modes: "
                    "give one mode, or leave them out."
                )
            wave = probes.add_modes(wave[0], 1 if modes is None else modes, powers, plane="sample")
        return "given", {}, np.asarray(wave)
    complete = probes.complete_settings(
        probe, shape, optics["pixel_size_m"], optics["wavelength_m"], settings
    )
    if probe == "diffuser" and "seed" not in (settings or {}):
        complete["seed"] = seed
    wave = probes.make_probe(probe, shape, optics["pixel_size_m"], optics["wavelength_m"], complete)
    count = 1 if modes is None else modes
    return probe, complete, probes.add_modes(wave, count, powers, plane=probes.mode_plane(probe))


def _scan(
    scan: str | Array,
    frames: int | None,
    overlap: float | None,
    step_px: checks.Pair | None,
    jitter: float | None,
    regime: str,
    diameter: float,
    pixel: tuple[float, float],
    integer: bool,
    seed: int,
) -> tuple[npt.NDArray[np.float64], float]:
    """Positions with smallest value 0, and the mean step in metres."""
    if step_px is not None and overlap is not None:
        raise InvalidArgument("overlap and step_px were both given, but only one may be.")
    if not isinstance(scan, str):
        points = checks.positions("scan", scan)
        if frames not in (None, len(points)):
            raise InvalidArgument(
                f"frames was {frames!r} with {len(points)} positions in scan: leave frames out."
            )
        for name, value in (("overlap", overlap), ("step_px", step_px), ("jitter", jitter)):
            if value is not None:
                raise InvalidArgument(
                    f"{name} was given with positions in scan, which it would not change: "
                    "leave it out."
                )
        area = np.prod(np.ptp(points, axis=0) * np.array(pixel))
        return _placed(points, integer), float(np.sqrt(area / len(points)))
    count = 100 if frames is None else checks.whole("frames", frames)
    if step_px is None:
        if overlap is None:
            overlap = 0.7 if regime == "far" else 0.85
        step_m = (1 - checks.number("overlap", overlap, least=0, most=0.99)) * diameter
        steps = (step_m / pixel[0], step_m / pixel[1])
    else:
        steps = checks.pair("step_px", step_px)
    if jitter is None:
        jitter = 0.3 if scan == "raster" else 0.0
    points = scans.make_scan(scan, count, steps, jitter=jitter, seed=seed)
    mean = float(np.sqrt(steps[0] * pixel[0] * steps[1] * pixel[1]))
    return _placed(points, integer), mean


def _placed(points: npt.NDArray[np.float64], integer: bool) -> npt.NDArray[np.float64]:
    points = points - points.min(axis=0)
    return np.floor(points + 0.5) if integer else points


def _object(obj: Array | None, needed: tuple[int, ...], pictures: dict[str, Any]) -> Array:
    """Object (A, B) or (K, A, B) that holds every window."""
    if obj is None:
        return specimens.from_images((int(needed[0]), int(needed[1])), **pictures)
    given = checks.image("obj", obj, stack=True)
    if pictures:
        raise InvalidArgument(
            f"{next(iter(pictures))} of the object was given with obj, which it would not change: "
            "leave one of them out."
        )
    if any(have < need for have, need in zip(given.shape[-2:], needed, strict=True)):
        raise InvalidArgument(
            f"obj was {given.shape[-2:]} pixels, but the scan needs "
            f"{tuple(int(n) for n in needed)}: enlarge obj or take smaller steps."
        )
    return given


def _intensities(
    detector: Detector, obj: Array, probe: Array, points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Noise-free intensities (N, Y, X)."""
    stack = (obj if obj.ndim == 3 else obj[None]).astype(np.complex128)
    spectrum = fft.fft2(probe.astype(np.complex128))
    result = np.empty((len(points), *probe.shape[1:]))
    for frame, point in zip(result, points, strict=True):
        frame[:] = detector.intensity(stack, spectrum, point)
    return result


def _poisson(intensity: npt.NDArray[np.float64], random: np.random.Generator) -> Array:
    """Counts in the narrowest unsigned type that holds them."""
    if intensity.max() > 2**32 - 2**18:
        raise InvalidArgument(
            f"counts_per_frame puts {intensity.max():.3g} counts into one pixel, but uint32 ends "
            "at 4.29e9: make it smaller."
        )
    counts = np.empty(intensity.shape, dtype=np.uint32)
    for frame, expected in zip(counts, intensity, strict=True):
        frame[:] = random.poisson(expected)
    largest = int(counts.max())
    for narrow in (np.uint8, np.uint16):
        if largest <= np.iinfo(narrow).max:
            return counts.astype(narrow)
    return counts
