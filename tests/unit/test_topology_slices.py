"""What the model says of thick objects."""

from __future__ import annotations

import numpy as np
import pytest

import exitwave
from exitwave import scans
from exitwave.topology import Job, find_halo, memory_of, predict, read_machine

FRAME, FRAMES = (24, 32), 60
POSITIONS = scans.raster(FRAMES, (5, 6))
LENGTHS = {"regime": "far", "wavelength_m": 1e-10, "pixel_size_m": 1e-8}


def held_by_the_core(engine: str, slices: int) -> int:
    """Bytes of a run on the CPU, which leaves the counts where they are."""
    distances = {"slice_distances_m": (1e-6,) * (slices - 1)} if slices > 1 else {}
    plan = exitwave.plan(
        np.broadcast_to(np.uint16(0), (FRAMES, *FRAME)),
        None,
        np.ones((2, *FRAME), np.complex64),
        POSITIONS,
        None,
        {
            "engines": [{"name": engine, "iterations": 1, "object_modes": 2}],
            "propagation": LENGTHS | distances if slices > 1 else {"regime": "far"},
            "device": "cpu:1",
            "batch": 4,
        },
    )
    return plan.engines[0].memory[0].peak_bytes


def job_of(engine: str, slices: int) -> Job:
    modes = {"probe_modes": 2, "object_modes": 2}
    return Job(POSITIONS, FRAME, engine=engine, slices=slices, batch=4, **modes)


@pytest.mark.parametrize("engine", ["ePIE", "rPIE", "mPIE", "ML", "LSQML", "gradient"])
def test_slices_take_the_memory_that_the_core_takes_for_them(engine):
    parts = [np.arange(FRAMES)]
    halo = find_halo(POSITIONS, parts, FRAME)

    one, four = (memory_of(job_of(engine, n), halo, parts).total[0] for n in (1, 4))

    expected = held_by_the_core(engine, 4) - held_by_the_core(engine, 1)
    assert four - one == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("engine", ["rPIE", "ML", "LSQML", "gradient"])
def test_each_slice_more_takes_the_same_time_and_bytes(engine):
    """Two transforms each way, and the sums of a slice more to exchange."""
    machine = read_machine("dgx-a100")

    seen = [predict(job_of(engine, n), machine, devices=4) for n in (2, 3, 4)]

    for values in (
        [job_of(engine, n).frame_bytes for n in (2, 3, 4)],
        [each.compute_seconds for each in seen],
        [sum(each.object_traffic.bytes) for each in seen],
    ):
        first, second = np.diff(values)
        assert first > values[0] / 3
        assert second == pytest.approx(first)
