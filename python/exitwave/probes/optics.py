"""Beams that come from a focus: lens, zone plate, KB mirrors, electron lens with aberrations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.probes.grid import Complex, Float, Shape, edge, grid, normalised
from exitwave.propagate import frequencies, propagate


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
    pixel, window = grid(frame_shape, pixel_size_m)
    checks.number("numerical_aperture", numerical_aperture, above=0)
    checks.number("defocus_m", defocus_m)
    checks.number("stop", stop, least=0, most=0.95)
    _require_on_detector("numerical_aperture", numerical_aperture, wavelength_m, max(pixel))
    disc = 2 * numerical_aperture * abs(defocus_m)
    _require_in_window(f"defocus_m was {defocus_m:.3g}, which", disc, window)
    pupil = _round_pupil(frame_shape, pixel, numerical_aperture / wavelength_m, stop)
    return normalised(propagate(_focus(pupil), wavelength_m, defocus_m, pixel))


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


def kb(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    aperture_m: checks.Pair,
    focal_length_m: checks.Pair,
    defocus_m: float = 0.0,
    astigmatism_m: float = 0.0,
) -> Complex:
    """Kirkpatrick-Baez mirrors: rectangular pupil, sinc-shaped focus, two focal lengths.

    In focus the intensity falls to zero at ``wavelength focal_length / aperture`` along each axis.

    Parameters
    ----------
    aperture_m : float or (row, column), metres
        Size of the beam that each mirror accepts.
    focal_length_m : float or (row, column), metres
        From each mirror to the focus.
    defocus_m : float, metres
        How far the sample is downstream of the mean focus.
    astigmatism_m : float, metres
        The focus of the rows lies so much upstream of that of the columns.

    Raises
    ------
    InvalidArgument
        The pupil is larger than the detector, or the rectangle larger than the window.
    """
    pixel, _ = grid(frame_shape, pixel_size_m)
    apertures = checks.pair("aperture_m", aperture_m)
    lengths = checks.pair("focal_length_m", focal_length_m)
    mean = checks.number("defocus_m", defocus_m)
    half = checks.number("astigmatism_m", astigmatism_m) / 2
    q = frequencies(frame_shape, pixel)
    wave: Any = 1.0
    for axis, distance in enumerate((mean + half, mean - half)):
        half_angle = apertures[axis] / (2 * lengths[axis])
        _require_on_detector(
            "aperture_m / (2 focal_length_m)", half_angle, wavelength_m, pixel[axis]
        )
        window = frame_shape[axis] * pixel[axis]
        size = 2 * half_angle * abs(distance)
        _require_in_window(f"defocus_m was {defocus_m:.3g}, which", size, window)
        width = 2 / window
        inside = edge(half_angle / wavelength_m - np.abs(q[axis]), width)
        wave = wave * inside * np.exp(-1j * np.pi * wavelength_m * distance * q[axis] ** 2)
    return normalised(_focus(wave))


def electron(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    convergence_rad: float,
    defocus_m: float = 0.0,
    a1_m: float = 0.0,
    a1_angle_rad: float = 0.0,
    b2_m: float = 0.0,
    b2_angle_rad: float = 0.0,
    c3_m: float = 0.0,
    c5_m: float = 0.0,
) -> Complex:
    """Electron probe: round aperture and the aberrations of the lens.

    ``F^-1[A exp(-i chi)]`` with, for the direction ``w = theta exp(i phi)`` of a ray, phi counted
    from the columns' axis towards the rows',

        chi = 2 pi / wavelength [ C1 theta^2 / 2 + A1 theta^2 cos(2 (phi - phi_A1)) / 2
              + B2 theta^3 cos(phi - phi_B2) + C3 theta^4 / 4 + C5 theta^6 / 6 ]

    (Uhlemann & Haider, Ultramicroscopy 72, 109 (1998); with B2 = C21 / 3 and C1 = C10, C3 = C30,
    C5 = C50 of Krivanek, Dellby & Lupini, Ultramicroscopy 78, 1 (1999)). Without aberrations it is
    an Airy spot, dark at 0.61 wavelength / convergence.

    Parameters
    ----------
    convergence_rad : float, radians
        Semi-angle of the aperture.
    defocus_m : float, metres
        C1: how far the sample is downstream of the focus (positive: overfocus).
    a1_m, a1_angle_rad : float
        Two-fold astigmatism and its azimuth.
    b2_m, b2_angle_rad : float
        Axial coma and its azimuth.
    c3_m, c5_m : float, metres
        Spherical aberration of third and fifth order; a round lens has C3 > 0.

    Raises
    ------
    InvalidArgument
        The aperture is larger than the detector, or rays miss the window.
    """
    pixel, window = grid(frame_shape, pixel_size_m)
    angle = checks.number("convergence_rad", convergence_rad, above=0)
    _require_on_detector("convergence_rad", angle, wavelength_m, max(pixel))
    a1 = checks.number("a1_m", a1_m) * np.exp(2j * checks.number("a1_angle_rad", a1_angle_rad))
    b2 = checks.number("b2_m", b2_m) * np.exp(-1j * checks.number("b2_angle_rad", b2_angle_rad))
    c1, c3, c5 = (
        checks.number(name, value)
        for name, value in (("defocus_m", defocus_m), ("c3_m", c3_m), ("c5_m", c5_m))
    )
    u, v = frequencies(frame_shape, pixel)
    w = wavelength_m * (v + 1j * u)
    square, conjugate = np.abs(w) ** 2, np.conj(w)
    path = (conjugate**2 * a1).real / 2 + (w**2 * conjugate * b2).real
    path += square * (c1 / 2 + square * (c3 / 4 + square * c5 / 6))
    # The ray of direction w meets the sample at the gradient of the path difference.
    ray = w * (c1 + square * (c3 + square * c5)) + a1 * conjugate
    ray = ray + w**2 * b2 + 2 * square * np.conj(b2)
    pupil = _round_pupil(frame_shape, pixel, angle / wavelength_m)
    size = 2 * float(np.abs(ray[pupil > 0]).max())
    given = f"defocus_m was {c1:.3g} and c3_m {c3:.3g}, which with the other aberrations"
    _require_in_window(given, size, window)
    return normalised(_focus(pupil * np.exp(-2j * np.pi / wavelength_m * path)))


def _round_pupil(
    frame_shape: Shape, pixel: tuple[float, float], cutoff: float, stop: float = 0.0
) -> Float:
    """Disc of radius ``cutoff`` (cycles per metre), zero frequency first, with a central stop."""
    u, v = frequencies(frame_shape, pixel)
    radius = np.hypot(u, v)
    # Edges soft over two detector pixels: a sharp one rings up to the border of the window.
    width = 2 * max(1 / (n * p) for n, p in zip(frame_shape, pixel, strict=True))
    pupil = edge(cutoff - radius, width)
    return pupil * edge(radius - stop * cutoff, width) if stop else pupil


def _focus(pupil: npt.NDArray[Any]) -> Complex:
    return np.asarray(fft.fftshift(fft.ifft2(pupil)))


def _require_on_detector(name: str, half_angle: float, wavelength_m: float, pixel: float) -> None:
    widest = wavelength_m / (2 * pixel)
    if half_angle > widest:
        raise InvalidArgument(
            f"{name} was {half_angle:.3g}, but the detector ends at {widest:.3g}: make it smaller, "
            "or the pixel finer."
        )


def _require_in_window(given: str, size: float, window: float) -> None:
    if size > window:
        raise InvalidArgument(
            f"{given} makes a disc of {size:.3g} m in a window of {window:.3g} m: make it smaller."
        )
