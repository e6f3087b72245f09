"""Illuminations: lens in and out of focus, zone plate, aperture, diffuser, Gaussian; and modes.

All are complex128 (Y, X) of unit power, centred at (Y//2, X//2), with sizes in metres in the
sample plane. :func:`make_probe` makes each by name and fills in what is not given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.propagate import frequencies, propagate

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]
Shape = tuple[int, int]


def lens(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    numerical_aperture: float,
    defocus_m: float = 0.0,
    stop: float = 0.0,
) -> Complex:
    """Wave behind an ideal lens with a round pupil, ``defocus_m`` downstream of its focus.

    Far from the focus it is a disc of diameter ``2 numerical_aperture defocus_m`` with fringes.

    Parameters
    ----------
    frame_shape : (Y, X)
    pixel_size_m : float or (row, column), metres
    wavelength_m : float, metres
    numerical_aperture : float
        Half angle of the cone.
    defocus_m : float, metres
    stop : float, 0 to 0.95
        Diameter of a central stop as fraction of the pupil's.

    Returns
    -------
    complex128, shape (Y, X), unit power

    Raises
    ------
    InvalidArgument
        The pupil is larger than the detector, or the disc larger than the window.
    """
    pixel, window = _grid(frame_shape, pixel_size_m)
    checks.number("numerical_aperture", numerical_aperture, above=0)
    checks.number("defocus_m", defocus_m)
    checks.number("stop", stop, least=0, most=0.95)
    widest = wavelength_m / (2 * max(pixel))
    if numerical_aperture > widest:
        raise InvalidArgument(
            f"numerical_aperture was {numerical_aperture:.3g}, but the detector ends at "
            f"{widest:.3g}: make it smaller, or the pixel finer."
        )
    disc = 2 * numerical_aperture * abs(defocus_m)
    if disc > window:
        raise InvalidArgument(
            f"defocus_m was {defocus_m:.3g}, which makes a disc of {disc:.3g} m in a window of "
            f"{window:.3g} m: make it smaller."
        )
    u, v = frequencies(frame_shape, pixel)
    radius = np.hypot(u, v)
    cutoff = numerical_aperture / wavelength_m
    # Edges soft over two detector pixels: a sharp one rings up to the border of the window.
    width = 2 * max(1 / (n * p) for n, p in zip(frame_shape, pixel, strict=True))
    pupil = _edge(cutoff - radius, width)
    if stop:
        pupil = pupil * _edge(radius - stop * cutoff, width)
    focus = fft.fftshift(fft.ifft2(pupil))
    return _normalised(propagate(focus, wavelength_m, defocus_m, pixel))


def zone_plate(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    diameter_m: float,
    outer_zone_m: float,
    stop_m: float = 0.0,
    defocus_m: float = 0.0,
) -> Complex:
    """First order of a Fresnel zone plate with a central stop, ``defocus_m`` behind the focus.

    A :func:`lens` of numerical aperture wavelength / (2 outer_zone), focal length
    diameter outer_zone / wavelength.

    Parameters
    ----------
    diameter_m, outer_zone_m : float, metres
        Diameter, and width of the outermost zone.
    stop_m : float, metres
        Diameter of the central stop.
    defocus_m : float, metres

    Raises
    ------
    InvalidArgument
        As :func:`lens`, or the stop is as large as the zone plate.
    """
    diameter = checks.number("diameter_m", diameter_m, above=0)
    checks.number("stop_m", stop_m, least=0, most=0.95 * diameter)
    half_angle = wavelength_m / (2 * checks.number("outer_zone_m", outer_zone_m, above=0))
    return lens(
        frame_shape,
        pixel_size_m,
        wavelength_m,
        numerical_aperture=half_angle,
        defocus_m=defocus_m,
        stop=stop_m / diameter,
    )


def aperture(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    diameter_m: float,
    distance_m: float = 0.0,
) -> Complex:
    """Round pinhole (edge soft over two pixels) in a plane wave, ``distance_m`` upstream."""
    pixel, window = _grid(frame_shape, pixel_size_m)
    disc = _disc(frame_shape, pixel, window, diameter_m)
    return _normalised(
        propagate(disc, wavelength_m, checks.number("distance_m", distance_m), pixel)
    )


def gaussian(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    fwhm_m: float,
    defocus_m: float = 0.0,
) -> Complex:
    """Gaussian beam, ``defocus_m`` behind a waist with intensity of full width ``fwhm_m``."""
    pixel, _ = _grid(frame_shape, pixel_size_m)
    y, x = coordinates(frame_shape, pixel)
    wave = np.exp(-2 * np.log(2) * (y**2 + x**2) / checks.number("fwhm_m", fwhm_m, above=0) ** 2)
    return _normalised(propagate(wave, wavelength_m, checks.number("defocus_m", defocus_m), pixel))


def diffuser(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    diameter_m: float,
    grain_m: float,
    phase_rad: float = 1.5,
    distance_m: float = 0.0,
    seed: int = 0,
) -> Complex:
    """Pinhole with a random phase screen, ``distance_m`` before the sample: speckles.

    Parameters
    ----------
    diameter_m : float, metres
    grain_m : float, metres
        Correlation length of the screen (Gaussian, 1/e).
    phase_rad : float, radians
        Root mean square of the screen's phase.
    distance_m : float, metres
    seed : int
    """
    pixel, window = _grid(frame_shape, pixel_size_m)
    disc = _disc(frame_shape, pixel, window, diameter_m)
    grain = checks.number("grain_m", grain_m, above=0)
    u, v = frequencies(frame_shape, pixel)
    # A command line gives 3.0 where 3 is meant.
    whole = int(seed) if seed == round(checks.number("seed", seed)) else seed
    random = np.random.default_rng(checks.whole("seed", whole, least=0))
    # The filter's square is the spectrum of a Gaussian autocorrelation exp(-r^2 / grain^2).
    smooth = np.exp(-0.5 * (np.pi * grain) ** 2 * (u**2 + v**2))
    screen = fft.ifft2(fft.fft2(random.standard_normal(frame_shape)) * smooth).real
    screen *= checks.number("phase_rad", phase_rad, least=0) / screen.std()
    wave = disc * np.exp(1j * screen)
    return _normalised(
        propagate(wave, wavelength_m, checks.number("distance_m", distance_m), pixel)
    )


PROBES: dict[str, Callable[..., Complex]] = {
    "defocused": lens,
    "focused": lens,
    "zone_plate": zone_plate,
    "aperture": aperture,
    "diffuser": diffuser,
    "gaussian": gaussian,
}


def complete_settings(
    kind: str,
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Settings of a probe; what is not given is chosen to fit the window.

    Discs, rings and pinholes fill a third of the window, a focus a sixth, the diffuser a half; the
    pupil is about a third of the detector.

    Raises
    ------
    InvalidArgument
        The kind or a setting is unknown.
    """
    make = PROBES[checks.choice("probe", kind, PROBES)]
    pixel, window = _grid(frame_shape, pixel_size_m)
    known = inspect.signature(make).parameters.values()
    names = [p.name for p in known if p.kind is p.KEYWORD_ONLY]
    given = dict(settings or {})
    for key in given:
        checks.choice(f"setting of probe {kind!r}", key, names)
    full = {p.name: p.default for p in known if p.name in names and p.default is not p.empty}
    widest = wavelength_m / (2 * max(pixel))
    if kind == "defocused":
        half_angle = given.get("numerical_aperture", 0.35 * widest)
        checks.number("numerical_aperture", half_angle, above=0)
        full |= {"numerical_aperture": half_angle, "defocus_m": window / (6 * half_angle)}
    elif kind == "focused":
        full |= {"numerical_aperture": 1.22 * wavelength_m / (window / 6)}
    elif kind == "zone_plate":
        diameter = checks.number("diameter_m", given.get("diameter_m", 200e-6), above=0)
        zone = checks.number("outer_zone_m", given.get("outer_zone_m", max(pixel) / 0.4), above=0)
        full |= {
            "diameter_m": diameter,
            "outer_zone_m": zone,
            "stop_m": 0.3 * diameter,
            "defocus_m": window * zone / (3 * wavelength_m),
        }
    elif kind == "aperture":
        full |= {"diameter_m": window / 3}
    elif kind == "gaussian":
        full |= {"fwhm_m": window / 5}
    else:
        grain = checks.number("grain_m", given.get("grain_m", 5 * max(pixel)), above=0)
        # Rays leave the screen at about lambda / (pi grain) per radian: spread by window / 16.
        full |= {
            "diameter_m": window / 2,
            "grain_m": grain,
            "distance_m": window / 16 * np.pi * grain / (1.5 * wavelength_m),
        }
    return full | given


def make_probe(
    kind: str,
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    settings: dict[str, Any] | None = None,
) -> Complex:
    """Probe by name with the settings of its function and fitting ones for the others.

    Parameters
    ----------
    kind : "defocused", "focused", "zone_plate", "aperture", "diffuser" or "gaussian"
        "defocused" and "focused" are :func:`lens`, the others the functions of their name.
    frame_shape : (Y, X)
    pixel_size_m : float or (row, column), metres
    wavelength_m : float, metres
    settings : dict or None
        Keyword arguments of the function; see :func:`complete_settings` for the others.

    Returns
    -------
    complex128, shape (Y, X), unit power

    Raises
    ------
    InvalidArgument
        The kind or a setting is unknown, or a value is impossible.
    """
    complete = complete_settings(kind, frame_shape, pixel_size_m, wavelength_m, settings)
    return PROBES[kind](frame_shape, pixel_size_m, wavelength_m, **complete)


def add_modes(
    probe: npt.NDArray[Any],
    modes: int,
    powers: npt.ArrayLike | None = None,
    *,
    plane: str = "pupil",
) -> Complex:
    """Orthogonal modes of a partially coherent beam, from its coherent probe.

    The probe times 1, y, x, y^2, yx, ... made orthogonal: the expansion of the small shifts
    (``plane`` "pupil": coordinates in Fourier space) or tilts ("sample") that a source of finite
    size adds to the beam.

    Parameters
    ----------
    probe : complex, shape (Y, X)
    modes : int
        Number M of modes.
    powers : M positive numbers or None
        Relative powers; None: each half of the one before.
    plane : "pupil" or "sample"

    Returns
    -------
    complex128, shape (M, Y, X), the total power of the probe
    """
    probe = checks.image("probe", probe).astype(np.complex128)
    checks.whole("modes", modes)
    checks.choice("plane", plane, ("pupil", "sample"))
    weights = mode_powers(modes, powers)
    power = np.sum(np.abs(probe) ** 2)
    if plane == "pupil":
        y, x = frequencies((probe.shape[0], probe.shape[1]))
        wave = fft.fft2(probe)
    else:
        y, x = coordinates((probe.shape[0], probe.shape[1]), 1.0)
        wave = probe
    # Coordinates from the beam's centre, of order one: the basis stays well conditioned.
    density = np.abs(wave) ** 2
    y, x = ((c - np.sum(density * c) / density.sum()) for c in (y, x))
    scale = np.sqrt(np.sum(density * (y**2 + x**2)) / density.sum())
    orders = [(n - k, k) for n in range(modes) for k in range(n + 1)][:modes]
    basis = np.stack([wave * (y / scale) ** i * (x / scale) ** j for i, j in orders])
    flat = np.linalg.qr(basis.reshape(modes, -1).T)[0].T.reshape(basis.shape)
    if plane == "pupil":
        flat = fft.ifft2(flat, norm="ortho")
    # The decomposition is free in sign: the first mode shall be the probe itself.
    flat *= np.sign(np.vdot(flat[0], probe).real)
    return np.asarray(flat * np.sqrt(weights * power)[:, None, None])


def mode_powers(modes: int, powers: npt.ArrayLike | None) -> Float:
    """Relative powers with sum one; None: each half of the one before."""
    if powers is None:
        weights = 0.5 ** np.arange(modes)
    else:
        weights = np.asarray(powers, dtype=np.float64)
        if weights.shape != (modes,) or not np.isfinite(weights).all() or (weights <= 0).any():
            raise InvalidArgument(
                f"mode powers were {powers!r}, but must be {modes} positive numbers, one per mode."
            )
    return np.asarray(weights / weights.sum())


def diameter_m(
    probe: npt.NDArray[Any], pixel_size_m: checks.Pair = 1.0, fraction: float = 0.9
) -> float:
    """Diameter of the illumination; a uniform disc has its own.

    The circle around the centre of mass that holds ``fraction`` of the power (summed over modes),
    divided by sqrt(fraction). In pixels when ``pixel_size_m`` is 1.
    """
    checks.number("fraction", fraction, above=0, most=1)
    waves = checks.image("probe", probe, stack=True)
    density = (np.abs(waves) ** 2).reshape(-1, *waves.shape[-2:]).sum(axis=0)
    if not density.any():
        raise InvalidArgument("probe is zero everywhere, but must have power to have a diameter.")
    density /= density.sum()
    y, x = coordinates((density.shape[0], density.shape[1]), pixel_size_m)
    radius = np.hypot(y - np.sum(density * y), x - np.sum(density * x)).ravel()
    order = np.argsort(radius)
    within = np.cumsum(density.ravel()[order])
    index = min(int(np.searchsorted(within, fraction)), radius.size - 1)
    return float(2 * radius[order][index] / np.sqrt(fraction))


def coordinates(shape: Shape, pixel: checks.Pair) -> tuple[Float, Float]:
    """Coordinates (Y, 1) and (1, X), zero at (Y//2, X//2), in units of ``pixel``."""
    pixel_y, pixel_x = checks.pair("pixel", pixel)
    y = (np.arange(shape[0], dtype=np.float64) - shape[0] // 2) * pixel_y
    x = (np.arange(shape[1], dtype=np.float64) - shape[1] // 2) * pixel_x
    return y[:, None], x[None, :]


def _grid(frame_shape: Shape, pixel_size_m: checks.Pair) -> tuple[tuple[float, float], float]:
    """Pixel (row, column) and the smaller side of the window, metres."""
    shape = checks.shape2("frame_shape", frame_shape)
    pixel = checks.pair("pixel_size_m", pixel_size_m)
    return pixel, min(n * p for n, p in zip(shape, pixel, strict=True))


def _edge(inside: Float, width: float) -> Float:
    """0 to 1 over ``width`` around inside = 0, smooth."""
    t = np.clip(inside / width + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _disc(
    frame_shape: Shape, pixel: tuple[float, float], window: float, diameter_m: float
) -> Float:
    diameter = checks.number("diameter_m", diameter_m, above=0)
    if diameter > window:
        raise InvalidArgument(
            f"diameter_m was {diameter:.3g}, but the window is {window:.3g} m: make it smaller."
        )
    y, x = coordinates(frame_shape, pixel)
    return _edge(diameter / 2 - np.hypot(y, x), 2 * max(pixel))


def _normalised(wave: Complex) -> Complex:
    return np.asarray(wave / np.sqrt(np.sum(np.abs(wave) ** 2)))
