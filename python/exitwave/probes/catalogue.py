"""Probes by name; what is not said about a probe is chosen to fit the window."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from exitwave import checks
from exitwave.probes.apertures import aperture, diffuser, gaussian
from exitwave.probes.grid import Complex, Shape, grid
from exitwave.probes.optics import electron, kb, lens, zone_plate

PROBES: dict[str, Callable[..., Complex]] = {
    "defocused": lens,
    "focused": lens,
    "zone_plate": zone_plate,
    "kb": kb,
    "electron": electron,
    "aperture": aperture,
    "diffuser": diffuser,
    "gaussian": gaussian,
}


def setting_names(make: Callable[..., Complex]) -> dict[str, Any]:
    """Settings of a probe's function with their defaults; ``inspect.Parameter.empty`` for none."""
    parameters = inspect.signature(make).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def mode_plane(kind: str) -> str:
    """Where a source of finite size adds its modes: tilts of an aperture, shifts of a focus."""
    return "sample" if kind in ("aperture", "diffuser") else "pupil"


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
    pixel, window = grid(frame_shape, pixel_size_m)
    names = setting_names(make)
    given = dict(settings or {})
    for key in given:
        checks.choice(f"setting of probe {kind!r}", key, names)
    full = {name: value for name, value in names.items() if value is not inspect.Parameter.empty}
    return full | _fitting(kind, given, pixel, window, wavelength_m) | given


def _fitting(
    kind: str,
    given: dict[str, Any],
    pixel: tuple[float, float],
    window: float,
    wavelength_m: float,
) -> dict[str, Any]:
    """Settings that fit the window and those that are given."""
    middle = 0.35 * wavelength_m / (2 * max(pixel))
    match kind:
        case "focused":
            return {"numerical_aperture": 1.22 * wavelength_m / (window / 6)}
        case "defocused":
            angle = given.get("numerical_aperture", middle)
            checks.number("numerical_aperture", angle, above=0)
            return {"numerical_aperture": angle, "defocus_m": window / (6 * angle)}
        case "electron":
            angle = checks.number("convergence_rad", given.get("convergence_rad", middle), above=0)
            return {"convergence_rad": angle, "defocus_m": window / (6 * angle)}
        case "kb":
            lengths = checks.pair("focal_length_m", given.get("focal_length_m", 0.1))
            own = tuple(2 * middle * length for length in lengths)
            apertures = checks.pair("aperture_m", given.get("aperture_m", own))
            angles = [a / (2 * f) for a, f in zip(apertures, lengths, strict=True)]
            return {
                "focal_length_m": lengths,
                "aperture_m": apertures,
                "defocus_m": window / (6 * max(angles)),
            }
        case "zone_plate":
            diameter = checks.number("diameter_m", given.get("diameter_m", 200e-6), above=0)
            own_zone = max(pixel) / 0.4
            zone = checks.number("outer_zone_m", given.get("outer_zone_m", own_zone), above=0)
            return {
                "diameter_m": diameter,
                "outer_zone_m": zone,
                "stop_m": 0.3 * diameter,
                "defocus_m": window * zone / (3 * wavelength_m),
            }
        case "aperture":
            return {"diameter_m": window / 3}
        case "gaussian":
            return {"fwhm_m": window / 5}
    grain = checks.number("grain_m", given.get("grain_m", 5 * max(pixel)), above=0)
    # Rays leave the screen at about lambda / (pi grain) per radian: spread by window / 16.
    return {
        "diameter_m": window / 2,
        "grain_m": grain,
        "distance_m": window / 16 * np.pi * grain / (1.5 * wavelength_m),
    }


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
    kind : name in ``PROBES``
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
