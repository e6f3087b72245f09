"""Seconds per iteration on one GPU, and what part of its bandwidth the bytes of the code make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import exitwave
from cases import CaseFunction, CaseSkippedError, Settings, scans
from exitwave.cuda_library import why_no_gpu
from exitwave.topology.work import TRANSFORM_BYTES, bytes_per_pixel, transforms_per_frame
from results import Measurement

# The third iteration is the first that updates the probe, and plans are made when first needed.
WARM_UP = 5
REPEATS = 50
QUICK_REPEATS = 2


@dataclass
class Clock:
    """Callback: when the last iteration of the warm-up ended, and the last of all."""

    engine: str
    began: float = 0.0
    ended: float = 0.0
    iterations: int = 0

    def __call__(self, state: Any) -> None:
        if state.engine != self.engine or state.iteration < WARM_UP - 1:
            return
        self.ended = time.perf_counter()
        if self.iterations == 0:
            self.began = self.ended
        self.iterations += 1

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / (self.iterations - 1)


@dataclass(frozen=True)
class OnGpu:
    """A case: seconds per iteration of an engine on the first GPU.

    Attributes
    ----------
    reach_s : float
        What must be reached on an H200.
    largest_error : float
        Fourier error that the run must fall below, from the true probe and an object of ones.
    streamed : bool
        Counts stay in pinned memory of the host; the time is compared with the resident one, or
        with that of the link to the GPU where this is longer.
    """

    name: str
    make_scan: Callable[[Settings], scans.Scan]
    engine: str
    reach_s: float
    largest_error: float = 0.03
    modes: int = 1
    near: bool = False
    streamed: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, settings: Settings) -> Iterator[Measurement]:
        if reason := why_no_gpu():
            raise CaseSkippedError(f"no GPU can be used: {reason}")
        scan = self.make_scan(settings)
        seconds, result, _ = self._run(scan, settings, {})
        details = self._details(scan, seconds) | {"fourier_error": result.error}
        floor = None
        if self.streamed:
            resident = seconds
            limit = exitwave.plan(*self._arguments(scan, settings, {})).engines[0].device_bytes - 1
            seconds, result, moved = self._run(scan, settings, {"memory_limit": {"device": limit}})
            details |= {"moved_gb_per_s": moved / seconds / 1e9, "resident_s": resident}
            link = link_gb_per_s()
            details["link_gb_per_s"] = link
            floor = resident if link is None else max(resident, moved / link / 1e9)
        yield Measurement(
            case=f"gpu/{self.name}",
            quantity="time per iteration",
            value=seconds,
            unit="s",
            target=settings.target(1.2 if self.streamed else self.reach_s),
            judged="ratio" if self.streamed else "value",
            floor=floor,
            correct=result.error < self.largest_error,
            details=details,
        )

    def _arguments(
        self, scan: scans.Scan, settings: Settings, given: dict[str, Any]
    ) -> tuple[Any, ...]:
        repeats = QUICK_REPEATS if settings.quick else REPEATS
        entry = {"name": self.engine, "iterations": WARM_UP + repeats} | self.options
        if self.modes > 1:
            entry["probe_modes"] = self.modes
        # ML is for the end of a chain: from an object of ones it would need many iterations.
        lead_in = [{"name": "DM", "iterations": 10}] if self.engine == "ML" else []
        params = {
            "engines": [*lead_in, entry],
            "propagation": scans.propagation(scan) if self.near else {"regime": "far"},
            "device": "cuda",
            "progress": False,
        }
        return scan.data, None, scan.probe, scan.positions_px, None, params | given

    def _run(
        self, scan: scans.Scan, settings: Settings, given: dict[str, Any]
    ) -> tuple[float, exitwave.Result, int]:
        """Seconds per iteration, the result, and the bytes that an iteration moves to and fro."""
        clock = Clock(self.engine)
        planned = exitwave.plan(*self._arguments(scan, settings, given)).engines[-1].moved_bytes
        given = given | {"callback": clock}
        result = exitwave.ptychography(*self._arguments(scan, settings, given))
        return clock.seconds, result, planned

    def _details(self, scan: scans.Scan, seconds: float) -> dict[str, Any]:
        from exitwave import _core

        stages = bytes_per_pixel(self.engine, self.modes, scan.data.itemsize)
        transforms = transforms_per_frame(self.engine, self.modes, self.near)
        moved = (stages["total"] + TRANSFORM_BYTES * transforms) * scan.data.size
        details = {
            "engine": self.engine,
            "frames": len(scan.data),
            "frame_shape": list(scan.frame_shape),
            "modes": self.modes,
            "device": _core.cuda_devices()[0].name,
            "runtime": _core.build_info()["cuda_runtime"],
            "gb_per_s": moved / seconds / 1e9,
            "memory_gb_per_s": stages["memory"] * scan.data.size / seconds / 1e9,
        }
        if copy := copy_gb_per_s():
            details |= {"copy_gb_per_s": copy, "fraction_of_copy": details["gb_per_s"] / copy}
        return details


def copy_gb_per_s() -> float | None:
    """Bytes read and written per second by a copy on the first GPU; None without CuPy."""
    source = _gigabyte_on_gpu()
    if source is None:
        return None
    import cupy

    target = cupy.empty_like(source)
    return 2 * _gb_per_s(lambda: cupy.copyto(target, source), source.nbytes)


def link_gb_per_s() -> float | None:
    """Bytes per second that come to the first GPU from pinned memory; None without CuPy."""
    target = _gigabyte_on_gpu()
    if target is None:
        return None
    import cupyx

    pinned = cupyx.empty_pinned(target.shape, target.dtype)
    return _gb_per_s(lambda: target.set(pinned), target.nbytes)


def _gigabyte_on_gpu() -> Any:
    """An array; None without CuPy, or where a stand-in is no device for it."""
    try:
        import cupy

        return cupy.ones(1 << 28, cupy.float32)
    except Exception:
        return None


def _gb_per_s(copy: Callable[[], Any], size: int) -> float:
    """Of the fastest copy."""
    import cupy

    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    best = float("inf")
    for _ in range(10):
        start.record()
        copy()
        stop.record()
        stop.synchronize()
        best = min(best, cupy.cuda.get_elapsed_time(start, stop) / 1e3)
    return size / best / 1e9


_CASES = (
    OnGpu("DM", scans.far_scan, "DM", 1.5e-3),
    OnGpu("ML", scans.far_scan, "ML", 3e-3),
    OnGpu("DM 3 modes", scans.far_scan, "DM", 4e-3, modes=3),
    OnGpu("ML 3 modes", scans.far_scan, "ML", 8e-3, modes=3),
    OnGpu("near DM", scans.large_near_scan, "DM", 4e-3, near=True),
    OnGpu("near ML", scans.large_near_scan, "ML", 9e-3, near=True),
    OnGpu("rPIE", scans.many_frames, "rPIE", 3e-3, options={"group_size": 64}),
    OnGpu("DM streamed counts", scans.far_scan, "DM", 0, streamed=True),
)
CASES: dict[str, CaseFunction] = {case.name: case for case in _CASES}
