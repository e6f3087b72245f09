"""How close reconstructions come to the data, and to the truth."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import exitwave
from cases import CaseFunction, Settings, scans
from exitwave import metrics
from exitwave.simulation import Simulation
from results import Measurement

Engines = list[dict[str, Any]]
# What is compared with the truth: where the light of all frames together exceeds half its mean.
REGION = "illumination above half its mean"


# --- measured data ----------------------------------------------------------------------------

STAR = "aps_velociprobe_siemens.h5"
MASKED_STAR = "aps_siemens_masked.h5"


def star_one_mode(settings: Settings) -> Iterator[Measurement]:
    """Siemens star, 60 iterations of ePIE."""
    engines = [{"name": "ePIE", "iterations": 5 if settings.quick else 60}]
    yield _star("quality/star 1 mode", STAR, engines, 0.0145, settings)


def star_least_squares(settings: Settings) -> Iterator[Measurement]:
    """Siemens star, 60 iterations of LSQML."""
    engines = [{"name": "LSQML", "iterations": 5 if settings.quick else 60}]
    yield _star("quality/star LSQML", STAR, engines, 0.0139, settings)


def star_three_modes(settings: Settings) -> Iterator[Measurement]:
    """200 iterations of ePIE, the first 20 of them with one mode."""
    first, rest = (2, 4) if settings.quick else (20, 180)
    engines = [
        {"name": "ePIE", "iterations": first},
        {"name": "ePIE", "iterations": rest, "probe_modes": 3},
    ]
    yield _star("quality/star 3 modes", STAR, engines, 0.0092, settings)


def masked_star(settings: Settings) -> Iterator[Measurement]:
    """60 iterations of ePIE; and again a chain with zeros where the hot pixels stood."""
    case = "quality/star masked"
    engines = [{"name": "ePIE", "iterations": 5 if settings.quick else 60}]
    yield _star(case, MASKED_STAR, engines, 0.0156, settings)
    with exitwave.load(scans.measured(MASKED_STAR)) as dataset:
        counts, mask = dataset.data[()], dataset.mask
        given = dataset.probe, dataset.positions_px
    chain = [{"name": name, "iterations": 2} for name in ("DM", "RAAR", "AP", "ePIE", "ML")]
    hot, zeros = (
        exitwave.ptychography(data, None, *given, mask, _params(chain, settings))
        for data in (counts, np.where(mask, counts, 0))
    )
    differing = sum(
        int(np.count_nonzero(first != second))
        for first, second in ((hot.object, zeros.object), (hot.probe, zeros.probe))
    )
    yield Measurement(
        case=case,
        quantity="pixels that values under the mask change",
        value=float(differing),
        target=0.0,
        details={"engines": _text(chain), "replaced": int((counts[:, ~mask] != 0).sum())},
    )


def _star(case: str, file: str, engines: Engines, target: float, settings: Settings) -> Measurement:
    path = scans.measured(file)
    result = exitwave.ptychography(path, params=_params(engines, settings))
    return Measurement(
        case=case,
        quantity="Fourier error",
        value=result.error,
        target=settings.target(target),
        details={"engines": _text(engines), "seconds": result.seconds, "device": settings.device},
    )


# --- simulated data ---------------------------------------------------------------------------


@cache
def small_scan(counts_per_frame: float | None, integer_positions: bool = True) -> Simulation:
    """100 frames of 64 x 64: a pinhole of a third of the window on a spiral, overlap 0.75."""
    return exitwave.simulate(
        64,
        100,
        probe="aperture",
        overlap=0.75,
        counts_per_frame=counts_per_frame,
        integer_positions=integer_positions,
    )


@cache
def hard_scan(quick: bool) -> Simulation:
    """400 frames of 128 x 128, 1e7 counts each: a defocused lens on a spiral, overlap 0.8.

    At this overlap counting statistics leave an error of about 0.003, and of 0.005 at 0.7.
    """
    size, frames = (64, 60) if quick else (128, 400)
    return exitwave.simulate(size, frames, counts_per_frame=1e7, overlap=0.8)


def wrong_lens(scan: Simulation) -> np.ndarray:
    """A start probe with an aperture 10 % too large, and 20 % too far out of focus."""
    return scan.start_probe(numerical_aperture=1.1, defocus_m=1.2)


def object_error(scan: Simulation, obj: np.ndarray) -> float:
    """Relative error of the object, free of factor, ramp and shift."""
    region = metrics.scan_region(
        scan.positions_px, scan.data.shape[1:], scan.object.shape, scan.probe
    )
    return metrics.relative_error(obj, scan.object, region)


def counting_limit(scan: Simulation, settings: Settings) -> float:
    """Error that ML ends at from the truth: what the counts leave."""
    params = _params([{"name": "ML", "iterations": 10 if settings.quick else 100}], settings)
    start = scan.object, scan.probe
    result = exitwave.ptychography(
        scan.data, *start, scan.positions_px, None, params | {"scale_start": False}
    )
    return object_error(scan, result.object)


@dataclass(frozen=True)
class Clean:
    """A case: data without noise, whole positions, from a pinhole 10 % too large and ones.

    Besides, without targets, the same from the true probe, and at fractional positions.
    """

    name: str
    engines: tuple[tuple[str, int], ...]
    target: float

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        yield self._measure("relative object error", small_scan(None), 1.1, settings, self.target)
        yield self._measure("... from the true probe", small_scan(None), 1.0, settings)
        fractional = small_scan(None, integer_positions=False)
        yield self._measure("... fractional positions", fractional, 1.1, settings)

    def _measure(
        self,
        quantity: str,
        scan: Simulation,
        diameter: float,
        settings: Settings,
        target: float | None = None,
    ) -> Measurement:
        engines = [
            {"name": name, "iterations": 10 if settings.quick else iterations}
            for name, iterations in self.engines
        ]
        result = exitwave.ptychography(
            scan.data,
            None,
            scan.start_probe(diameter_m=diameter),
            scan.positions_px,
            None,
            _params(engines, settings),
        )
        return Measurement(
            case=f"quality/{self.name}",
            quantity=quantity,
            value=object_error(scan, result.object),
            target=None if target is None else settings.target(target),
            details=_facts(scan, engines, result) | {"start_diameter": diameter},
        )


@dataclass(frozen=True)
class Counts:
    """A case: the same pinhole with counting noise, start 10 % too large, the default chain."""

    name: str
    counts: float
    target: float

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        scan = small_scan(self.counts)
        start = scan.start_probe(diameter_m=1.1)
        yield _default_chain(f"quality/{self.name}", scan, start, self.target, settings)


def no_tuning(settings: Settings) -> Iterator[Measurement]:
    """Wrong start probe, default chain."""
    scan = hard_scan(settings.quick)
    yield _default_chain("quality/no tuning", scan, wrong_lens(scan), 0.005, settings)


def _default_chain(
    case: str, scan: Simulation, start: np.ndarray, target: float, settings: Settings
) -> Measurement:
    # No engines, as with params None; the chain is not printed.
    params = {"device": settings.device, "progress": False}
    result = exitwave.ptychography(scan.data, None, start, scan.positions_px, None, params)
    return Measurement(
        case=case,
        quantity="relative object error",
        value=object_error(scan, result.object),
        target=settings.target(target),
        floor=counting_limit(scan, settings),
        details=_facts(scan, result.params["engines"], result),
    )


# --- drift ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drift:
    """A case: many iterations of one engine from the wrong probe; errors rise so much at most."""

    engine: str
    iterations: int = 1000
    every: int = 20

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        scan = hard_scan(settings.quick)
        engines = [{"name": self.engine, "iterations": 40 if settings.quick else self.iterations}]
        object_errors, powers = [], []

        def watch(state: Any) -> None:
            object_errors.append(object_error(scan, state.object[0]))
            powers.append(float(np.sum(np.abs(state.probe) ** 2)))

        params = _params(engines, settings) | {"callback": watch, "callback_every": self.every}
        start = wrong_lens(scan)
        result = exitwave.ptychography(scan.data, None, start, scan.positions_px, None, params)
        facts = _facts(scan, engines, result) | {
            "probe_power_last_over_first": powers[-1] / powers[0],
            "probe_error": metrics.probe_error(result.probe, scan.probe),
        }
        for quantity, errors in (
            ("object error, last ones over lowest", object_errors),
            ("Fourier error, last ones over lowest", list(result.errors[0])),
        ):
            lowest = int(np.argmin(errors))
            yield Measurement(
                case=f"quality/no drift {self.engine}",
                quantity=quantity,
                value=max(errors[lowest:]) / errors[lowest],
                target=settings.target(1.2),
                details=facts | {"lowest": errors[lowest], "last": errors[-1], "at": lowest},
            )


def cutting_support(settings: Settings) -> Iterator[Measurement]:
    """A support that cuts the true probe warns, one that holds it does not."""
    scan = hard_scan(settings.quick)
    for radius, expected in ((0.3, 1.0), (1.0, 0.0)):
        engines = [{"name": "DM", "iterations": 20, "probe_support": radius}]
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            exitwave.ptychography(
                scan.data, None, scan.probe, scan.positions_px, None, _params(engines, settings)
            )
        count = float(sum("support" in str(warning.message) for warning in seen))
        yield Measurement(
            case="quality/support",
            quantity=f"warnings at radius {radius:g}",
            value=count,
            target=expected,
            at_least=expected > 0,
            details={"engines": _text(engines)},
        )


def drifting_beam(settings: Settings) -> Iterator[Measurement]:
    """Intensities that drift by 5 % rms: refined, against a steady beam; and left as they are."""
    refined = _drift_error(0.05, {"intensity_start": 5}, settings)
    steady = _drift_error(0.0, {}, settings)
    yield Measurement(
        case="quality/drifting beam",
        quantity="relative object error, intensities refined",
        value=refined,
        target=settings.target(1.3),
        judged="ratio",
        floor=steady,
        details={"region": REGION, "device": settings.device},
    )
    yield Measurement(
        case="quality/drifting beam",
        quantity="... not refined",
        value=_drift_error(0.05, {}, settings),
        floor=steady,
        details={"region": REGION, "device": settings.device},
    )


def _drift_error(drift: float, options: dict[str, Any], settings: Settings) -> float:
    scan = exitwave.simulate(
        64,
        100,
        probe="aperture",
        overlap=0.75,
        counts_per_frame=1e6,
        integer_positions=True,
        imperfections={"intensity_drift": drift},
    )
    iterations = 10 if settings.quick else 60
    engine = {"name": "LSQML", "iterations": iterations, "noise": "poisson"} | options
    result = exitwave.ptychography(
        scan.data,
        None,
        scan.start_probe(diameter_m=1.1),
        scan.positions_px,
        None,
        _params([engine], settings),
    )
    return object_error(scan, result.object)


# --- common -----------------------------------------------------------------------------------


def _params(engines: Engines, settings: Settings) -> dict[str, Any]:
    return {"engines": engines, "device": settings.device, "progress": False}


def _text(engines: Engines) -> str:
    return " ".join(f"{engine['name']}:{engine['iterations']}" for engine in engines)


def _facts(scan: Simulation, engines: Engines, result: exitwave.Result) -> dict[str, Any]:
    return {
        "engines": _text(engines),
        "frames": len(scan.data),
        "frame_shape": list(scan.data.shape[1:]),
        "counts_per_frame": scan.counts_per_frame,
        "overlap": scan.overlap,
        "region": REGION,
        "fourier_error": result.error,
        "seconds": result.seconds,
        "device": result.params["device"],
    }


_CLEAN = (
    Clean("clean DM", (("DM", 200),), 1.5e-3),
    Clean("clean RAAR", (("RAAR", 200),), 1.5e-3),
    Clean("clean ePIE", (("ePIE", 200),), 3e-4),
    Clean("clean LSQML", (("LSQML", 200),), 3e-4),
    Clean("clean DM+ML", (("DM", 100), ("ML", 200)), 1e-4),
)
_COUNTS = (
    Counts("counts 1e8", 1e8, 2e-3),
    Counts("counts 1e6", 1e6, 2.5e-2),
    Counts("counts 1e5", 1e5, 7e-2),
)
CASES: dict[str, CaseFunction] = {
    "star 1 mode": star_one_mode,
    "star LSQML": star_least_squares,
    "star 3 modes": star_three_modes,
    "star masked": masked_star,
    **{case.name: case for case in _CLEAN},
    **{case.name: case for case in _COUNTS},
    "no tuning": no_tuning,
    "no drift DM": Drift("DM"),
    "no drift RAAR": Drift("RAAR"),
    "support": cutting_support,
    "drifting beam": drifting_beam,
}
