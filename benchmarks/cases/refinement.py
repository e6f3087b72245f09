"""Does refinement find lengths along the beam, and its tilt, that were given wrong?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

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


def tilt(settings: Settings) -> Iterator[Measurement]:
    """Electrons, three slices, tilt of 3 mrad given as 0: the object is known and held."""
    scan = _thick_electrons(settings, tilt_rad=(3e-3, -2e-3))
    engine = _held(12) | {"tilt_start": 0, "tilt_every": 1}
    propagation = scan.propagation | {"beam_tilt_rad": (0.0, 0.0)}
    params = _params([engine], propagation, settings)
    result = exitwave.ptychography(
        scan.data, scan.object, scan.probe, scan.positions_px, None, params
    )
    found = result.refined["beam_tilt_rad"]
    for axis, (name, truth) in enumerate((("rows", 3e-3), ("columns", -2e-3))):
        yield _measured(
            "quality/tilt",
            f"error over offset, along {name}, object held",
            float(found.value[axis]) - truth,
            truth,
            result,
            settings,
            {"uncertainty_over_offset": float(found.uncertainty[axis]) / abs(truth)},
        )


def slice_distance(settings: Settings) -> Iterator[Measurement]:
    """The first gap off by 10 %: electrons through known slices that are held, X-rays through two
    slices from ones, whose probe starts from the true one."""
    held = [_held(12) | {"slice_distance_start": 0, "slice_distance_every": 1}]
    free = [
        {"name": "rPIE", "iterations": 30},
        {
            "name": "ML",
            "iterations": 200,
            "noise": "amplitude",
            "slice_distance_start": 20,
            "slice_distance_every": 10,
            "slice_distance_step": 3.0,
        },
    ]
    electrons, x_rays = _thick_electrons(settings), _thick_x_rays(settings)
    for name, scan, engines, start in (
        ("object held", electrons, held, electrons.object),
        ("all free", x_rays, free, np.ones_like(x_rays.object)),
    ):
        assert scan.slice_distances_m is not None
        truth = scan.slice_distances_m[0]
        for factor in (0.9, 1.1):
            distances = (factor * truth, *scan.slice_distances_m[1:])
            params = _params(engines, scan.propagation | {"slice_distances_m": distances}, settings)
            result = exitwave.ptychography(
                scan.data, start, scan.probe, scan.positions_px, None, params
            )
            found = result.refined["slice_distances_m"]
            yield _measured(
                "quality/slice distance",
                f"error over offset, start at {factor:g}, {name}",
                float(found.value[0]) - truth,
                (factor - 1) * truth,
                result,
                settings,
                {"uncertainty_over_offset": float(found.uncertainty[0]) / (0.1 * truth)},
            )


def _thick_electrons(settings: Settings, **given: Any) -> exitwave.Simulation:
    """Three slices 25 nm apart, seen at half an angstrom a pixel: 3 mrad are 3 pixels in all."""
    size, frames = (48, 40) if settings.quick else (64, 100)
    lengths = exitwave.simulate(size, 4, probe="electron").wavelength_m
    distance_m = 5e-11 * size * 75e-6 / lengths
    return exitwave.simulate(
        size,
        frames,
        probe="electron",
        distance_m=distance_m,
        counts_per_frame=1e7,
        slices=3,
        seed=1,
        **given,
    )


def _thick_x_rays(settings: Settings) -> exitwave.Simulation:
    """Two slices, 40 pixels^2 / wavelength apart, each with phases of up to 0.8 rad."""
    size, frames = (48, 30) if settings.quick else (64, 80)
    lengths = exitwave.simulate(size, 4)
    return exitwave.simulate(
        size,
        frames,
        counts_per_frame=1e7,
        slices=2,
        slice_distance_m=40 * lengths.pixel_size_m[0] ** 2 / lengths.wavelength_m,
        overlap=0.8,
        phase_range_rad=(0.0, 0.8),
        seed=1,
    )


def _held(iterations: int) -> dict[str, Any]:
    """An engine that leaves object and probe alone."""
    return {
        "name": "gradient",
        "iterations": iterations,
        "object_start": iterations,
        "probe_start": None,
    }


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


CASES: dict[str, CaseFunction] = {
    "distance": distance,
    "defocus": defocus,
    "tilt": tilt,
    "slice distance": slice_distance,
}
