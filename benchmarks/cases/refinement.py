"""Does refinement find lengths along the beam that were given wrong?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import exitwave
from cases import CaseFunction, Settings
from results import Measurement


def distance(settings: Settings) -> Iterator[Measurement]:
    """Near field, distance off by 1 % either way; start probe from the data, or the true one."""
    size, frames = (64, 30) if settings.quick else (128, 100)
    scan = exitwave.simulate(size, frames, regime="near", counts_per_frame=1e7, seed=1)
    truth = scan.propagation["distance_m"]
    engines = [
        {"name": "RAAR", "iterations": 60, "distance_start": 15},
        {"name": "ML", "iterations": 60, "distance_start": 0},
    ]
    for probe, known in ((None, "from the data"), (scan.probe, "known")):
        for factor in (0.99, 1.01):
            propagation = scan.propagation | {"distance_m": factor * truth}
            params = _params(engines, propagation, settings)
            result = exitwave.ptychography(scan.data, None, probe, scan.positions_px, None, params)
            found = result.refined["distance_m"]
            yield _measured(
                "quality/distance",
                f"error over offset, start at {factor:g}, probe {known}",
                float(found.value) - truth,
                (factor - 1) * truth,
                result,
                settings,
                {"uncertainty_over_offset": float(found.uncertainty) / (0.01 * truth)},
            )


def defocus(settings: Settings) -> Iterator[Measurement]:
    """Far field, defocus of a known aperture off by 10 % either way; the object starts as ones."""
    size, frames = (64, 60) if settings.quick else (128, 200)
    scan = exitwave.simulate(size, frames, counts_per_frame=1e7, seed=1)
    lengths = {"wavelength_m": scan.wavelength_m, "pixel_size_m": scan.pixel_size_m}
    truth = scan.settings["probe_settings"]["defocus_m"]
    engines = [
        {"name": "DM", "iterations": 80, "probe_start": None, "defocus_start": 5},
        {"name": "ML", "iterations": 40},
    ]
    for factor in (0.9, 1.1):
        params = _params(engines, scan.propagation | lengths, settings)
        start = scan.start_probe(defocus_m=factor)
        result = exitwave.ptychography(scan.data, None, start, scan.positions_px, None, params)
        found, offset = result.refined["defocus_m"], (factor - 1) * truth
        yield _measured(
            "quality/defocus",
            f"error over offset, start at {factor:g}",
            float(found.value) + offset,
            offset,
            result,
            settings,
            {"uncertainty_over_offset": float(found.uncertainty) / abs(offset)},
        )


def _params(
    engines: list[dict[str, Any]], propagation: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    return {
        "engines": engines,
        "propagation": propagation,
        "device": settings.device,
        "progress": False,
    }


def _measured(
    case: str,
    quantity: str,
    error: float,
    offset: float,
    result: exitwave.Result,
    settings: Settings,
    details: dict[str, Any],
) -> Measurement:
    return Measurement(
        case=case,
        quantity=quantity,
        value=abs(error / offset),
        target=settings.target(0.05),
        details=details
        | {
            "engines": " ".join(
                f"{name}:{len(errors)}"
                for name, errors in zip(result.engines, result.errors, strict=True)
            ),
            "fourier_error": result.error,
            "seconds": result.seconds,
            "device": result.params["device"],
        },
    )


CASES: dict[str, CaseFunction] = {"distance": distance, "defocus": defocus}
