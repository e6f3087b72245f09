"""Seconds per iteration against the Fourier transforms alone, two threads against one, and what the
refinement of positions adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import exitwave
from cases import CaseFunction, Settings, scans
from environment import load
from floor import Stopwatch, bytes_per_pixel, transforms_per_frame
from results import Measurement

# DM and RAAR update the probe from their third iteration on; one without would be cheaper.
WARM_UP = 3
REPEATS = 12
QUICK_REPEATS = 5
# The numbers of threads take turns, so often.
ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """A case: seconds per iteration of an engine.

    Attributes
    ----------
    limit : float
        Largest ratio to the floor.
    largest_error : float
        Fourier error that the timed iterations must fall below, from the true probe and an object
        of ones.
    """

    name: str
    make_scan: Callable[[Settings], scans.Scan]
    engine: str
    limit: float = 1.5
    largest_error: float = 0.03
    modes: int = 1
    near: bool = False
    fractional: bool = False
    slices: int = 1

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        scan = self.make_scan(settings)
        transforms = transforms_per_frame(
            self.engine, self.modes, self.near, self.fractional, slices=self.slices
        )
        stopwatch = Stopwatch(
            self.engine, scan.frame_shape, transforms * len(scan.data), settings.threads, WARM_UP
        )
        repeats = QUICK_REPEATS if settings.quick else REPEATS
        params = {"propagation": scans.propagation(scan)} if self.near else {}
        if self.modes > 1:
            params["probe_modes"] = self.modes
        if self.slices > 1:
            params |= {"slices": self.slices, "propagation": _PRESSED}
        error = _run(scan, self.engine, WARM_UP + repeats, settings.device, stopwatch, params)
        times = stopwatch.summary()
        details = _sizes(scan, self.engine, settings.threads) | times
        details |= {
            "modes": self.modes,
            "slices": self.slices,
            "transforms_per_frame": transforms,
            "frames_per_s": len(scan.data) / times["best_s"],
            "load": load(),
            "fourier_error": error,
            "largest_error": self.largest_error,
        }
        if not (self.near or self.fractional or self.slices > 1):
            details |= _traffic(scan, self.engine, self.modes, times)
        yield Measurement(
            case=f"speed/{self.name}",
            quantity="time per iteration",
            value=times["best_s"],
            unit="s",
            target=settings.target(self.limit),
            judged="ratio",
            floor=times["floor_best_s"],
            correct=error < self.largest_error,
            details=details,
        )


@dataclass(frozen=True)
class Threads:
    """A case: how many times faster several threads are than one; the floor is transforms alone."""

    name: str
    engine: str
    largest_error: float = 0.03

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        if settings.threads < 2:
            return
        scan = scans.far_scan(settings)
        transforms = transforms_per_frame(self.engine) * len(scan.data)
        watches = {
            threads: Stopwatch(self.engine, scan.frame_shape, transforms, threads, WARM_UP)
            for threads in (1, settings.threads)
        }
        iterations = WARM_UP + (2 if settings.quick else 4)
        errors = [
            _run(scan, self.engine, iterations, f"cpu:{threads}", watch, {})
            for _ in range(1 if settings.quick else ROUNDS)
            for threads, watch in watches.items()
        ]
        one, several = watches[1].summary(), watches[settings.threads].summary()
        yield Measurement(
            case=f"threads/{self.name}",
            quantity=f"speed of {settings.threads} threads over one",
            value=one["best_s"] / several["best_s"],
            # 1.8 for two threads
            target=settings.target(0.9 * settings.threads),
            at_least=True,
            floor=one["floor_best_s"] / several["floor_best_s"],
            correct=max(errors) < self.largest_error,
            details=_sizes(scan, self.engine, settings.threads)
            | {"one": one, "several": several, "load": load(), "fourier_error": max(errors)},
        )


@dataclass(frozen=True)
class Positions:
    """A case: time of an iteration that refines positions, over one that does not."""

    name: str
    engine: str
    limit: float = 1.25
    largest_error: float = 0.03

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        scan = scans.fractional_scan(settings)
        transforms = transforms_per_frame(self.engine, fractional=True) * len(scan.data)
        watches = {
            refined: Stopwatch(self.engine, scan.frame_shape, transforms, settings.threads, WARM_UP)
            for refined in (False, True)
        }
        iterations = WARM_UP + (2 if settings.quick else 4)
        errors = [
            _run(
                scan,
                self.engine,
                iterations,
                settings.device,
                watch,
                {"position_start": 1} if refined else {},
            )
            for _ in range(1 if settings.quick else ROUNDS)
            for refined, watch in watches.items()
        ]
        held, moved = watches[False].summary(), watches[True].summary()
        yield Measurement(
            case=f"speed/{self.name}",
            quantity="time per iteration, positions refined over held",
            value=moved["best_s"],
            unit="s",
            target=settings.target(self.limit),
            judged="ratio",
            floor=held["best_s"],
            correct=max(errors) < self.largest_error,
            details=_sizes(scan, self.engine, settings.threads)
            | {"held": held, "moved": moved, "load": load(), "fourier_error": max(errors)},
        )


def _run(
    scan: scans.Scan,
    engine: str,
    iterations: int,
    device: str,
    stopwatch: Stopwatch,
    given: dict[str, Any],
) -> float:
    """Fourier error after the run, which starts from the true probe and no object."""
    entry = {"name": engine, "iterations": iterations}
    entry |= {key: given[key] for key in _OF_ENGINE if key in given}
    # ML is for the end of a chain: from an object of ones it would need many iterations.
    first = {"name": "ePIE", "slices": given["slices"]} if "slices" in given else {"name": "DM"}
    lead_in = [first | {"iterations": 10}] if engine == "ML" else []
    params = {
        "engines": [*lead_in, entry],
        "propagation": given.get("propagation", {"regime": "far"}),
        "device": device,
        "callback": stopwatch,
        "progress": False,
    }
    return exitwave.ptychography(scan.data, None, scan.probe, scan.positions_px, None, params).error


def _sizes(scan: scans.Scan, engine: str, threads: int) -> dict[str, Any]:
    return {
        "engine": engine,
        "frames": len(scan.data),
        "frame_shape": list(scan.frame_shape),
        "threads": threads,
        "counts": str(scan.data.dtype),
    }


def _traffic(
    scan: scans.Scan, engine: str, modes: int, times: dict[str, float]
) -> dict[str, float]:
    """Bytes moved beside the transforms, and how fast, if the rest of the time were theirs."""
    stages = bytes_per_pixel(engine, modes, scan.data.itemsize)
    beside = times["best_s"] - times["floor_best_s"]
    gigapixels = scan.data.size / 1e9
    return {
        "bytes_per_pixel": stages["total"],
        "memory_bytes_per_pixel": stages["memory"],
        "gb_per_s_beside_transforms": stages["total"] * gigapixels / beside,
        "memory_gb_per_s": stages["memory"] * gigapixels / times["best_s"],
    }


_OF_ENGINE = ("probe_modes", "slices", "position_start")
# Slices so near each other that a thin object is one of theirs, which costs as much as any.
_PRESSED = {
    "regime": "far",
    "wavelength_m": 1e-10,
    "pixel_size_m": 1e-7,
    "slice_distances_m": 1e-9,
}
_FAR, _NEAR, _FRACTIONAL = scans.far_scan, scans.near_scan, scans.fractional_scan
_TIMINGS = (
    *(Timing(engine, _FAR, engine) for engine in ("AP", "DM", "RAAR", "ePIE")),
    *(Timing(engine, _FAR, engine, limit=1.6) for engine in ("ML", "LSQML")),
    *(Timing(f"{engine} 3 modes", _FAR, engine, modes=3) for engine in ("AP", "DM", "ePIE")),
    *(Timing(f"near {engine}", _NEAR, engine, limit=1.6, near=True) for engine in ("DM", "ePIE")),
    *(
        Timing(f"fractional {engine}", _FRACTIONAL, engine, limit, fractional=True)
        for engine, limit in (("DM", 1.5), ("ePIE", 1.5), ("ML", 1.6), ("LSQML", 1.6))
    ),
    *(
        Timing(f"{engine} 8 slices", scans.short_scan, engine, limit=1.6, slices=8)
        for engine in ("ePIE", "ML", "LSQML")
    ),
)
_POSITIONS = tuple(Positions(f"positions {engine}", engine) for engine in ("ePIE", "ML", "LSQML"))
SPEED: dict[str, CaseFunction] = {case.name: case for case in (*_TIMINGS, *_POSITIONS)}
THREADS: dict[str, CaseFunction] = {
    engine: Threads(engine, engine) for engine in ("DM", "ePIE", "ML")
}
