"""Simulated ptychography data with a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks, probes
from exitwave.errors import InvalidArgument
from exitwave.geometry import wavelength_from_energy
from exitwave.imperfections import Imperfections
from exitwave.propagate import Detector
from exitwave.simulated_experiment import (
    make_object,
    make_optics,
    make_probe,
    make_scan,
    make_slices,
    slice_count,
    with_room,
)
from exitwave.simulated_frames import counted, intensities
from exitwave.simulation import Simulation, Truth

__all__ = ["Imperfections", "Simulation", "simulate"]

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
    slices: int | None = None,
    slice_distance_m: float | Sequence[float] | None = None,
    tilt_rad: npt.ArrayLike | None = None,
    imperfections: Imperfections | dict[str, Any] | None = None,
) -> Simulation:
    """Ptychography data of a known object, far or near field, thin or thick.

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
        The object; None makes it from images. With slices (S, A, B) or (K, S, A, B).
    amplitude_image, phase_image : name or array (rows, columns), or None
        None: "camera" and "gravel"; see :func:`exitwave.specimens.from_images`.
    amplitude_range, phase_range_rad : (lowest, highest) or None
        None: 0.5 to 1, and -1 to 1 radians; of each slice 1 to 1, and 0 to 0.3 radians.
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
    slices : int or None
        Number S of slices of a thick object, see :mod:`exitwave.multislice`; None: it is thin.
    slice_distance_m : float, or S - 1 floats, metres, or None
        From each slice to the next; None: 20 squared pixels over the wavelength.
    tilt_rad : (row, column) or (N, 2), radians, or None
        Tilt of the beam between the slices, of the whole scan or of each frame.
    imperfections : Imperfections or dict, or None
        Blur, drift, wrong positions, background, detector: see
        :class:`exitwave.imperfections.Imperfections`.

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
    flaws = Imperfections.parse(imperfections)
    lengths = (regime, shape, wavelength)
    lens = (detector_pixel_m, focus_distance_m, method)
    optics = make_optics(*lengths, distance_m, *lens)
    pixel = optics["pixel_size_m"]

    kind, settings, wave = make_probe(
        probe, probe_settings, shape, optics, probe_modes, probe_mode_powers, seed
    )
    diameter = probes.diameter_m(wave, pixel)
    points, step = make_scan(
        scan, frames, overlap, step_px, jitter, regime, diameter, pixel, integer_positions, seed
    )
    points, needed = with_room(points, flaws, shape)
    pictures = {
        "amplitude_image": amplitude_image,
        "phase_image": phase_image,
        "amplitude_range": amplitude_range,
        "phase_range_rad": phase_range_rad,
        "modes": object_modes,
        "powers": object_mode_powers,
    }
    given = {k: v for k, v in pictures.items() if v is not None}
    count = slice_count(slices, slice_distance_m, tilt_rad, obj)
    sample = make_object(obj, needed, given, count)
    between, propagated = make_slices(count, slice_distance_m, shape, wavelength, pixel)
    detector = Detector.from_params(optics["propagation"], shape, propagated)

    # Single precision is what a reconstruction is compared with, so the data follow from it.
    wave = wave.astype(np.complex64)
    sample = sample.astype(np.complex64)
    target = (
        NOISE_FREE_COUNTS
        if counts_per_frame is None
        else checks.number("counts_per_frame", counts_per_frame, above=0)
    )
    plane = probes.mode_plane(kind) if kind != "given" else "sample"
    truth = _truth(points, wave, plane, optics, tilt_rad, flaws, seed)
    modes = sample if sample.ndim == (3 if count is None else 4) else sample[None]
    intensity = intensities(detector, modes, wave, truth, flaws)
    factor = target / (intensity.sum(dtype=np.float64) / len(points))
    wave = (wave * np.sqrt(factor)).astype(np.complex64)
    truth.probe_changes *= np.sqrt(factor)
    truth.background = flaws.background(shape)
    mask = None if mask is None else checks.mask("mask", mask, shape).copy()
    random = None if counts_per_frame is None else np.random.default_rng([seed, 2])
    data = _detected(intensity, factor, truth.background, mask, flaws, random)
    if flaws.distance_error:
        wrong = optics["distance_m"] * (1 + flaws.distance_error)
        optics = make_optics(*lengths, wrong, *lens)
    if between:
        lengths_of_slices = {key: optics[key] for key in ("wavelength_m", "pixel_size_m")}
        thick = lengths_of_slices | {"slice_distances_m": between}
        optics = optics | {"propagation": optics["propagation"] | thick}
    reported = flaws.reported_positions(points, seed) * np.divide(pixel, optics["pixel_size_m"])
    return Simulation(
        data=data,
        positions_px=reported,
        probe=wave,
        object=sample,
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
        truth=truth,
        slice_distances_m=between,
        radiation=radiation,
        **optics,
    )


def _truth(
    points: npt.NDArray[np.float64],
    wave: Array,
    plane: str,
    optics: dict[str, Any],
    tilt_rad: Any,
    flaws: Imperfections,
    seed: int,
) -> Truth:
    """What is true of each frame; each kind of chance has its own stream."""
    tilt = np.zeros(2) if tilt_rad is None else np.asarray(tilt_rad, np.float64)
    if tilt.shape not in ((2,), (len(points), 2)) or not (np.abs(tilt) < np.pi / 4).all():
        raise InvalidArgument(
            f"tilt_rad had shape {tilt.shape}, but must be (row, column) or ({len(points)}, 2), "
            "smaller than pi / 4."
        )
    return Truth(
        positions_px=points,
        distance_m=optics["distance_m"],
        pixel_size_m=optics["pixel_size_m"],
        propagation=optics["propagation"],
        tilt_rad=np.broadcast_to(tilt, points.shape).copy(),
        intensities=flaws.intensities(len(points), np.random.default_rng([seed, 3])),
        probe_changes=flaws.probe_changes(wave, plane),
        probe_weights=flaws.probe_weights(len(points), np.random.default_rng([seed, 4])),
    )


def _detected(
    intensity: npt.NDArray[np.float64],
    factor: float,
    background: npt.NDArray[np.float64] | None,
    mask: Array | None,
    flaws: Imperfections,
    random: np.random.Generator | None,
) -> Array:
    """What the detector gives for the beam's intensities, which are overwritten."""
    for frame in intensity:
        frame[:] = flaws.detected(frame * factor, background)
    if mask is not None:
        intensity[:, ~mask] = 0
    data = intensity.astype(np.float32) if random is None else counted(intensity, random)
    return flaws.saturated(data)
