"""Plans for GPUs that are only described hold what the CUDA backend would take there."""

from __future__ import annotations

import numpy as np
import pytest

import exitwave
from exitwave import devices
from exitwave.cuda_library import has_cuda_module
from exitwave.devices import DescribedDevices
from exitwave.parameters import ENGINES
from small_scan import small_scan


def plan(
    engine: str,
    count: int,
    parts: int | None,
    frame: tuple[int, int],
    batch: int | None = None,
) -> exitwave.Plan:
    scan = small_scan("far", 2, frame=frame, frames=17)
    described = DescribedDevices("card", count, memory_bytes=1 << 30)
    params = {"engines": [{"name": engine}], "parts": parts, "batch": batch}
    return exitwave.plan(
        scan.data, None, scan.probe, scan.positions, None, params, devices=described
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_plan_of_described_gpus_has_what_their_lanes_take(engine):
    planned = plan(engine, 2, None, (12, 20)).engines[0]

    gpus, host = planned.memory[:2], planned.memory[2]
    assert planned.parts == 4
    assert all(use.uses["lanes"] > 2 * 4 * 2 * 12 * 20 * 8 for use in gpus)
    assert host.uses["staging"] == (2 + 2 * 4) << 20


def test_awkward_frames_get_room_for_their_transforms():
    """131 is a prime that cuFFT does not split."""
    awkward, smooth = (
        plan("ePIE", 1, None, (12, length), batch=1).engines[0].memory[0].uses["lanes"]
        for length in (131, 130)
    )

    # Of two lanes, eight images in place of the two modes of a frame.
    assert awkward - smooth > 2 * 6 * 12 * 130 * 8


@pytest.mark.skipif(not has_cuda_module(), reason="this build has no CUDA module to compare with")
@pytest.mark.parametrize(("count", "parts"), [(1, None), (1, 5), (2, 3), (3, None), (2, 5)])
@pytest.mark.parametrize("engine", ENGINES)
def test_builds_without_cuda_plan_gpus_to_the_same_byte(
    engine, count, parts, monkeypatch: pytest.MonkeyPatch
):
    frame = (12, 131) if parts == 5 else (12, 20)
    by_cuda = plan(engine, count, parts, frame)
    monkeypatch.setattr(devices, "has_cuda_module", lambda: False)
    counted = plan(engine, count, parts, frame)

    for one, other in zip(by_cuda.engines, counted.engines, strict=True):
        assert (one.parts, one.batch, one.counts) == (other.parts, other.batch, other.counts)
        assert [use.peak_bytes for use in one.memory] == [use.peak_bytes for use in other.memory]
        assert [use.uses for use in one.memory] == [
            {name: count for name, count in use.uses.items() if count or name in mine.uses}
            for use, mine in zip(other.memory, one.memory, strict=True)
        ]
    assert np.isfinite(by_cuda.device_bytes)
