"""A start probe from the data alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import start
from exitwave.counts import Counts, read_counts
from exitwave.devices import available_threads, choose_lanes
from exitwave.division import divide
from exitwave.engine_run import EngineRun
from exitwave.errors import DivergenceError, InvalidArgument
from exitwave.parameters import validate_params
from exitwave.problem import make_problem, scaled_probe
from exitwave.ranks import ALONE, Ranks

Complex64 = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]

# Beams that are tried: diameter in steps of the scan, the sign being that of the defocus. Scans are
# made with overlaps that lead to two to five steps.
_DIAMETERS = (0.0, 2.0, -2.0, 3.0, -3.0, 4.5, -4.5)
_ITERATIONS = 12
_FRAMES = 150
# Pixels of all frames of a trial, so that large frames do not take minutes.
_PIXELS = 10_000_000


Taken = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]  # numbers of frames, and their counts


def gather_middle(counts: Counts, positions: Float64, ranks: Ranks) -> list[Taken]:
    """Frames in the middle of the scan: on the first rank those of all ranks."""
    return list(ranks.collect([counts.take(_middle_frames(positions, counts))]))


def find_probe(
    counts: Counts,
    positions: Float64,
    kernel: npt.NDArray[np.complex128] | None,
    taken: list[Taken] | None = None,
) -> Complex64:
    """Start probe (1, Y, X) for a scan of which nothing else is known.

    Near field: the mean frame's amplitude, propagated back to the sample with a flat phase.
    Far field: the mean frame's amplitude as aperture, and the defocus, of some that fit the step of
    the scan, with which a few iterations on frames in the middle of the scan get on best. They run
    in one part, so that the choice depends on nothing but the data. ``taken``: these frames, where
    ``counts`` does not have all of them.

    Raises
    ------
    InvalidArgument
        None of them gets anywhere.
    """
    if kernel is not None:
        return start.probe_in_near_field(counts.mean_of_waves, counts.mask, kernel)
    step_px = _step(positions)
    diameters = _DIAMETERS if step_px > 0 else _DIAMETERS[:1]
    probes = [
        start.defocused_probe(counts.mean_of_waves, counts.mask, d * step_px) for d in diameters
    ]
    if len(probes) == 1:
        return probes[0]
    taken = gather_middle(counts, positions, ALONE) if taken is None else taken
    middle = np.concatenate([numbers for numbers, _ in taken])
    order = np.argsort(middle)
    middle, stored = middle[order], np.concatenate([frames for _, frames in taken])[order]
    part = replace(read_counts(stored, counts.mask), sensor=counts.sensor)
    with ThreadPoolExecutor(available_threads()) as threads:
        errors = list(threads.map(lambda p: _error_after(part, positions[middle], p), probes))
    best = int(np.argmin(errors))
    if not np.isfinite(errors[best]):
        raise InvalidArgument("probe is None, and none could be found from the data; give one.")
    return probes[best]


def _error_after(counts: Counts, positions: Float64, probe: Complex64) -> float:
    """Fourier error after a few iterations; infinite where they diverge."""
    frame_shape = (counts.data.shape[1], counts.data.shape[2])
    lanes = choose_lanes("cpu:1", 1, None, len(positions))
    division = divide(None, positions, len(positions), frame_shape, lanes)
    obj = start.StartObject(None, division.object_shape).cut()
    problem = make_problem(counts, division, None, seed=0)
    params = validate_params({"engines": [{"name": "rPIE", "iterations": _ITERATIONS}]})
    try:
        engine = EngineRun(0, params.engines[0], problem, obj, scaled_probe(problem, obj, probe))
        for _ in engine.iterations():
            pass
        return engine.error()
    except (DivergenceError, InvalidArgument):
        return np.inf


def _middle_frames(positions: Float64, counts: Counts) -> npt.NDArray[np.int64]:
    """Frames nearest to the centre of the scan, in their own order."""
    count = min(_FRAMES, max(30, _PIXELS // (counts.data.shape[1] * counts.data.shape[2])))
    distance = np.linalg.norm(positions - positions.mean(axis=0), axis=1)
    return np.sort(np.argsort(distance, kind="stable")[:count])


def _step(positions: Float64) -> float:
    """Side of the square that each frame has for itself; 0 where the scan has no area."""
    return float(np.sqrt(np.ptp(positions, axis=0).prod() / len(positions)))
