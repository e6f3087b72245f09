"""Frames that come and go in blocks: the bits of a resident run, in the memory that was planned."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import exitwave
from exitwave.engine_run import EngineRun
from short_memory import SHORT, plan_of, short_limit
from small_scan import ENGINES, IN_GROUPS, SmallScan, assert_same_bits, devices, small_scan


def engine(name: str, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": name, "iterations": 4, "probe_start": 1, "probe_centring": 2}
    if name in IN_GROUPS:
        given["group_size"] = 5
    return given | options


# ML keeps most with L-BFGS.
ALL = [{"name": name} for name in ENGINES] + [{"name": "ML", "direction": "lbfgs", "history": 2}]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[EngineRun]:
    """Engines of the runs to come."""
    seen: list[EngineRun] = []
    start = EngineRun.__init__

    def remember(self: EngineRun, *args: Any, **named: Any) -> None:
        start(self, *args, **named)
        seen.append(self)

    monkeypatch.setattr(EngineRun, "__init__", remember)
    return seen


@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("given", ALL, ids=lambda given: "-".join(map(str, given.values())))
def test_blocks_do_not_change_a_bit(given, regime, kind, engines):
    """Nor does a run hold anything else than was planned."""
    name = given["name"]
    device, parts, whose, counts, waves = SHORT[kind]
    scan = small_scan(regime, 2, 2, noise=True, frames=31)
    where = {"device": device, "parts": parts}
    # Centring moves the kept waves.
    options = engine(**given) if regime == "far" else engine(**given, probe_centring=None)
    resident = scan.run(options, **where)
    limit = short_limit(scan, options, whose, **where)
    planned = plan_of(scan, options, memory_limit=limit, **where).engines[0]

    streamed = scan.run(options, memory_limit=limit, **where)

    assert_same_bits(resident, streamed)
    plan = engines[-1].plan
    assert plan == planned
    # Exit waves are so much larger that counts may stay once those have gone.
    if name in ("DM", "RAAR"):
        assert plan.waves == waves
    else:
        assert plan.counts == counts
    if name in ("DM", "RAAR") or whose != "host":
        assert 1 <= plan.block_frames <= 3
        assert plan.moved_bytes > 0
    held = [(use.name, use.peak) for use in engines[-1].core.memory]
    assert held == [(use.name, use.peak_bytes) for use in plan.memory]


@pytest.mark.parametrize("device", devices("emulated:2"))
@pytest.mark.parametrize("flat", ["anywhere", "some pixels"])
@pytest.mark.parametrize("name", ["DM", "rPIE"])
def test_a_flat_object_takes_what_was_planned(name, flat, device, engines):
    """GPUs hold the regions that they work on."""
    scan = small_scan("far", noise=True)
    where = np.zeros(scan.obj.shape[-2:], bool)
    where[2:9, 3:7] = where[4:6, 9:20] = True
    options = engine(name, iterations=1, object_flat=1.1 if flat == "anywhere" else where)

    planned = plan_of(scan, options, device=device, parts=2).engines[0]
    scan.run(options, device=device, parts=2)

    held = [(use.name, use.peak) for use in engines[-1].core.memory]
    assert held == [(use.name, use.peak_bytes) for use in planned.memory]


@pytest.mark.filterwarnings("ignore:data stay in their file, whose chunks")
@pytest.mark.parametrize("dtype", ["uint16", "int64"])
@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("name", ["DM", "ePIE", "ML"])
def test_counts_may_stay_in_their_file(name, device, dtype, tmp_path: Path, engines):
    """Chunks of two frames, and values that the mask hides do not fit the core's type."""
    scan = small_scan("far", noise=True, frame=(32, 32), frames=500)
    data = scan.data.astype(dtype)
    if dtype == "int64":
        data[:, ~scan.mask] = -5
    options = engine(name, group_size=40) if name in IN_GROUPS else engine(name)
    resident = scan.run(options, device=device, parts=3)
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        stored = file.create_dataset("counts", data=data, chunks=(2, 7, 32), shuffle=True)
        from_file = SmallScan(**(vars(scan) | {"data": stored}))
        in_memory = from_file.run(options, device=device, parts=3)
        assert engines[-1].problem.counts.in_memory

        # Less than twice the counts: they stay. Exit waves then do not fit either.
        streamed = from_file.run(
            options, device=device, parts=3, memory_limit={"host": scan.data.nbytes}
        )
        assert not engines[-1].problem.counts.in_memory

    assert_same_bits(resident, in_memory)
    assert_same_bits(resident, streamed)
    if device == "cpu:2":
        assert engines[-1].plan.counts == "file"
        assert engines[-1].plan.host_bytes <= scan.data.nbytes


@pytest.mark.parametrize("name", ["DM", "RAAR"])
def test_half_precision_halves_the_exit_waves_and_reaches_the_same_error(name):
    scan = small_scan("far", 2, noise=True)
    options = engine(name, iterations=40)

    single = scan.run(options)
    half = scan.run(options | {"exit_wave_storage": "half"})

    assert half.error == pytest.approx(single.error, rel=1e-2)
    uses = [
        plan_of(scan, options | {"exit_wave_storage": kept}, device="emulated:1", parts=1)
        .engines[0]
        .memory[0]
        .uses["exit waves"]
        for kept in ("single", "half")
    ]
    assert uses[0] == 2 * uses[1] == scan.data.size * 2 * 8


def test_scaled_down_extreme_job_runs_in_two_thirds_of_its_exit_waves():
    """A 40th of 2552 frames of 768 x 768, whose exit waves take 12 GB: in the same share of 8."""
    scan = small_scan("far", noise=True, frame=(48, 48), frames=160)
    waves = scan.data.size * 8
    limit = {"device": 2 * waves // 3}
    resident = scan.run(engine("DM", iterations=2), device="emulated:1", parts=2)

    streamed = scan.run(
        engine("DM", iterations=2), device="emulated:1", parts=2, memory_limit=limit
    )

    assert_same_bits(resident, streamed)
    needed = plan_of(scan, engine("DM"), device="emulated:1", parts=2).device_bytes
    assert needed > waves > limit["device"]


def test_plan_looks_at_no_count():
    """A terabyte that is not there."""
    frames = np.broadcast_to(np.uint16(0), (250_000, 1024, 2048))
    rows, columns = np.divmod(np.arange(len(frames)), 500)
    positions = np.stack([rows, columns], axis=1) * 8.0

    plan = exitwave.plan(
        frames, None, None, positions, None,
        {"engines": [{"name": "ePIE"}], "device": "emulated:8", "memory_limit": "40 GB"},
    )  # fmt: skip

    assert plan.device_bytes <= 40e9
    assert plan.engines[0].counts == "host"
    assert plan.engines[0].moved_bytes == frames.size * 2


def test_limit_that_holds_nothing_is_refused_before_any_work():
    scan = small_scan("far", 2)
    with pytest.raises(
        exitwave.OutOfMemory, match=r"leaves 1000 bytes on each device, but DM needs \d+ there"
    ):
        scan.run(engine("DM"), device="emulated", memory_limit=1000)


def test_too_little_for_the_scale_of_the_probe_names_no_engine_of_another_chain():
    scan = exitwave.simulate(24, 9)
    params = {"engines": [engine("DM")], "device": "cpu:1", "memory_limit": 1000}
    with pytest.raises(exitwave.OutOfMemory, match=r"but the scaling of the start probe") as found:
        exitwave.ptychography(scan.data, None, scan.probe, scan.positions_px, None, params)
    assert "ePIE" not in str(found.value)


def test_scratch_folder_that_is_not_there_is_named():
    scan = small_scan("far")
    limit = short_limit(scan, engine("DM"), "host", device="cpu:1")
    with pytest.raises(exitwave.DeviceError, match="scratch file in /nowhere: cannot be made"):
        scan.run(engine("DM"), device="cpu:1", memory_limit=limit, scratch_folder="/nowhere")


def test_engine_of_a_chain_is_gone_before_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch):
    """Or a chain would hold more than its plan, the largest of its engines."""
    alive: weakref.WeakSet[EngineRun] = weakref.WeakSet()
    at_start: list[int] = []
    start = EngineRun.__init__

    def count(self: EngineRun, *args: Any, **kwargs: Any) -> None:
        at_start.append(len(alive))
        start(self, *args, **kwargs)
        alive.add(self)

    monkeypatch.setattr(EngineRun, "__init__", count)
    small_scan("far").run(engine("DM"), engine("ePIE"), engine("ML"))
    assert at_start == [0, 0, 0]
