"""Experiments that are not ideal: what the physics of the model, and what is known, win back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

import exitwave
from cases import CaseFunction, Settings
from exitwave import metrics
from exitwave.resolution import frc
from exitwave.simulation import Simulation
from results import Measurement

Engines = list[dict[str, Any]]
# Strengths of the total variation that are tried; 0: without.
LOW_DOSE_TV = {"poisson": (0.1, 0.2, 0.4, 0.8), "amplitude": (0.003, 0.01, 0.03, 0.1)}


# --- few counts -------------------------------------------------------------------------------


@cache
def low_dose_scan(quick: bool) -> Simulation:
    """Frames of 64 x 64 with 100 counts each: a pinhole on a spiral, overlap 0.87."""
    return exitwave.simulate(
        64, 60 if quick else 400, probe="aperture", overlap=0.87, counts_per_frame=100
    )


def low_dose_error(scan: Simulation, noise: str, tv: float, settings: Settings) -> float:
    """Object error of ML from ones and the true probe."""
    engine = {
        "name": "ML",
        "iterations": 10 if settings.quick else 60,
        "noise": noise,
        "object_tv": tv,
        "probe_start": None,
    }
    return _error(scan, _run(scan, scan.probe, [engine], settings))


def low_dose(settings: Settings) -> Iterator[Measurement]:
    """Poisson against amplitude, with and without total variation, each at its best strength."""
    scan = low_dose_scan(settings.quick)
    found = []
    for noise, strengths in LOW_DOSE_TV.items():
        for with_tv in (False, True):
            errors = {
                tv: low_dose_error(scan, noise, tv, settings)
                for tv in (strengths if with_tv else (0.0,))
            }
            best = min(errors, key=lambda tv: errors[tv])
            found.append((f"{noise}{', total variation' * with_tv}", best, errors))
    errors = [errors[best] for _, best, errors in found]
    for quantity, best, all_errors in found:
        wins = quantity == "poisson, total variation"
        others = min(e for e in errors if e != all_errors[best])
        yield Measurement(
            case="quality/low dose",
            quantity=f"object error, {quantity}",
            value=all_errors[best],
            target=settings.target(1.0) if wins else None,
            judged="ratio",
            floor=others if wins else None,
            details={
                "frames": len(scan.data),
                "counts_per_frame": 100,
                "object_tv": best,
                "errors": {str(tv): error for tv, error in all_errors.items()},
            },
        )


# --- fly scan ---------------------------------------------------------------------------------


@cache
def fly_scan(blur_px: float, quick: bool) -> Simulation:
    """Frames of 64 x 64 through a pinhole, during which the sample moves along the columns."""
    return exitwave.simulate(
        64,
        40 if quick else 200,
        counts_per_frame=1e6,
        probe="aperture",
        overlap=0.8,
        imperfections={"blur_px": blur_px} if blur_px else None,
    )


def fly(settings: Settings) -> Iterator[Measurement]:
    """Sample in motion by 3 pixels per frame: one mode, three, and one where it stands still."""
    still = _fly(0, 1, settings)
    for modes in (1, 3):
        moving = _fly(3, modes, settings)
        words = f"{modes} mode{'s' * (modes > 1)}"
        details = {"blur_px": 3, "frame_shape": [64, 64], "counts_per_frame": 1e6}
        yield Measurement(
            case="quality/fly scan",
            quantity=f"resolution (FRC, half-bit), {words}",
            value=moving[0],
            unit="px",
            target=settings.target(1.1) if modes == 3 else None,
            judged="ratio",
            floor=still[0],
            details=details,
        )
        yield Measurement(
            case="quality/fly scan",
            quantity=f"object error, {words}",
            value=moving[1],
            floor=still[1],
            details=details,
        )


def _fly(blur_px: float, modes: int, settings: Settings) -> tuple[float, float]:
    """Half-bit resolution in pixels against the truth (1: all is resolved), and object error.

    Modes start as the probe in so many places along its way.
    """
    scan = fly_scan(blur_px, settings.quick)
    first, last = (3, 3) if settings.quick else (40, 80)
    places = np.arange(modes) - modes // 2
    probe = np.concatenate([np.roll(scan.probe, place, -1) for place in places]) / np.sqrt(modes)
    engines: Engines = [{"name": "rPIE", "iterations": first}, {"name": "ML", "iterations": last}]
    result = _run(scan, probe, engines, settings)
    rings = frc(result.object, scan.object, _region(scan))
    return rings.resolution("half_bit") or 1.0, _error(scan, result)


# --- point spread -----------------------------------------------------------------------------


@cache
def spread_scan(point_spread_px: float, quick: bool) -> Simulation:
    """Frames of 64 x 64 through a pinhole, counted by a detector that is not sharp."""
    return exitwave.simulate(
        64,
        40 if quick else 200,
        counts_per_frame=1e6,
        probe="aperture",
        overlap=0.8,
        imperfections={"point_spread_px": point_spread_px} if point_spread_px else None,
    )


def spread_error(point_spread_px: float, noise: str, told: bool, settings: Settings) -> float:
    """Object error of rPIE and ML, which may be told of the point spread."""
    scan = spread_scan(point_spread_px, settings.quick)
    first, last = (3, 3) if settings.quick else (40, 120)
    last_engine: dict[str, Any] = {"name": "ML", "iterations": last, "noise": noise}
    if told:
        last_engine["point_spread_px"] = point_spread_px
    engines: Engines = [{"name": "rPIE", "iterations": first}, last_engine]
    return _error(scan, _run(scan, scan.probe, engines, settings))


def point_spread(settings: Settings) -> Iterator[Measurement]:
    """A detector that spreads light over 0.7 pixels rms, told or not, against a sharp one."""
    for noise in ("poisson", "amplitude", "gaussian", "anscombe"):
        sharp = spread_error(0.0, noise, False, settings)
        for told in (False, True):
            yield Measurement(
                case="quality/point spread",
                quantity=f"object error, {noise}, {'told' if told else 'not told'}",
                value=spread_error(0.7, noise, told, settings),
                target=settings.target(1.6) if told else None,
                judged="ratio",
                floor=sharp,
                details={"point_spread_px": 0.7, "frame_shape": [64, 64], "counts_per_frame": 1e6},
            )


# --- background -------------------------------------------------------------------------------


@cache
def stray_light_scan(quick: bool) -> Simulation:
    """Frames of 64 x 64 with 1e5 counts of the beam and 3e4 of a broad halo."""
    rows, columns = np.indices((64, 64)) - 32
    halo = np.exp(-((rows - 4) ** 2 + (columns + 6) ** 2) / (2 * 14**2))
    return exitwave.simulate(
        64,
        40 if quick else 200,
        counts_per_frame=1e5,
        probe="aperture",
        overlap=0.8,
        imperfections={"background_counts": 3e4 * halo / halo.sum()},
    )


def background(settings: Settings) -> Iterator[Measurement]:
    """Stray light that is not known, refined while the probe is held, against one that is known."""
    scan = stray_light_scan(settings.quick)
    first, held, last = (3, 1, 3) if settings.quick else (10, 40, 110)
    ways: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "known": ({}, {"background": scan.truth.background}),
        "ignored": ({}, {}),
        "refined": ({"background_start": 1}, {}),
        "refined, smooth": ({"background_start": 1, "background_smooth_px": 3.0}, {}),
    }
    errors = {}
    for way, (options, given) in ways.items():
        engines: Engines = [
            {"name": "rPIE", "iterations": first, "probe_start": None},
            {"name": "ML", "iterations": last, "probe_start": held} | options,
        ]
        result = _run(scan, scan.probe, engines, settings, **given)
        errors[way] = _error(scan, result)
        judged = way == "refined, smooth"
        details = {"frame_shape": [64, 64], "counts_per_frame": 1e5, "background_per_frame": 3e4}
        yield Measurement(
            case="quality/background",
            quantity=f"object error, {way}",
            value=errors[way],
            target=settings.target(1.2) if judged else None,
            judged="ratio",
            floor=errors["known"],
            details=details,
        )
        if result.background is not None:
            off = result.background - scan.truth.background
            yield Measurement(
                case="quality/background",
                quantity=f"error of the background, {way}",
                value=float(np.linalg.norm(off) / np.linalg.norm(scan.truth.background)),
                target=settings.target(0.05) if judged else None,
                details=details,
            )


# --- common -----------------------------------------------------------------------------------


def _run(
    scan: Simulation, probe: np.ndarray, engines: Engines, settings: Settings, **given: Any
) -> exitwave.Result:
    """From ones."""
    params = {"engines": engines, "device": settings.device, "progress": False} | given
    ones = np.ones(scan.object.shape, np.complex64)
    return exitwave.ptychography(scan.data, ones, probe, scan.positions_px, None, params)


def _region(scan: Simulation) -> np.ndarray:
    return metrics.scan_region(
        scan.positions_px, scan.data.shape[1:], scan.object.shape, scan.probe
    )


def _error(scan: Simulation, result: exitwave.Result) -> float:
    return metrics.relative_error(result.object, scan.object, _region(scan))


CASES: dict[str, CaseFunction] = {
    "low dose": low_dose,
    "fly scan": fly,
    "point spread": point_spread,
    "background": background,
}
