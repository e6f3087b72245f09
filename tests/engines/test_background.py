"""A background that all frames have, refined from the frames alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import InvalidArgument, _core, metrics
from exitwave.io import load_result, save_result
from exitwave.parameters import validate_params
from reference.background import background_step, background_sums
from small_scan import (
    FRAME,
    NOISES,
    SmallScan,
    assert_same_bits,
    devices,
    everything,
    relative,
    small_scan,
)

ENGINES = ["ML", "gradient"]
# A gradient, so that exchanged axes would be seen.
BACKGROUND = np.add.outer(np.linspace(20, 60, FRAME[0]), np.linspace(0, 90, FRAME[1]))


@cache
def scan_of(regime: str = "far", off: float = 0.1) -> SmallScan:
    scan = small_scan(regime, 2, off=off)
    return replace(scan, data=(scan.data + BACKGROUND).astype(np.float32))


def refining(name: str, **options: Any) -> dict[str, Any]:
    given = {"name": name, "iterations": 4, "background_start": 1}
    if name == "gradient":
        given |= {"group_size": 4}
    return given | options


def run(scan: SmallScan, *engines: dict[str, Any], **params: Any) -> exitwave.Result:
    return scan.run(*engines, **{"background": 0.8 * BACKGROUND} | params)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("smooth", [0.0, 1.3])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_first_step_is_that_of_the_oracle(regime, noise, smooth, device):
    """Of the model before object and probe move; 2e-4: slopes cancel in sums over frames."""
    scan = scan_of(regime)
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    expected = background_step(exact, obj, probe, 0.8 * BACKGROUND, noise, smooth)

    engine = refining("ML", iterations=1, background_start=0, noise=noise)
    result = run(scan, engine | {"background_smooth_px": smooth}, device=device)

    moved = relative(result.background, 0.8 * BACKGROUND)
    assert moved > 1e-2
    assert relative(result.background, expected) < 2e-4


@pytest.mark.parametrize("noise", NOISES)
def test_oracle_of_the_slope_is_a_finite_difference(noise):
    scan = scan_of()
    exact = replace(scan.reference(), point_spread=ref.point_image(0.8))
    obj, probe = scan.obj.astype(complex), scan.probe.astype(complex)
    direction = np.random.default_rng(6).standard_normal(FRAME)

    def loss_at(step: float) -> float:
        total = 0.0
        for counts, position in zip(exact.counts, exact.positions, strict=True):
            wave = ref.forward(obj, probe, position, exact.propagator)
            model = exact.spread((np.abs(wave) ** 2).sum((0, 1))) + BACKGROUND + step * direction
            total += ref.loss(model, counts, noise)[exact.mask].sum()
        return float(total)

    slope, _ = background_sums(exact, obj, probe, BACKGROUND, noise)

    expected = (loss_at(1e-3) - loss_at(-1e-3)) / 2e-3
    assert -(slope * direction).sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_true_background_stays_where_it_is(name):
    scan = scan_of().from_truth()

    result = run(scan, refining(name), background=BACKGROUND)

    assert relative(result.background, BACKGROUND) < 1e-5
    assert relative(result.object, scan.true_obj) < 2e-4


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_parts_do_not_change_the_result(name, device):
    engine = everything(name, background_start=1, background_smooth_px=0.8, point_spread_px=0.6)
    expected = run(scan_of(), engine)

    result = run(scan_of(), engine, device=device, parts=3)

    assert relative(result.object, expected.object) < 1e-5
    assert relative(result.background, expected.background) < 1e-5
    assert result.error == pytest.approx(expected.error, rel=1e-4)


@pytest.mark.parametrize("name", ENGINES)
def test_frames_in_blocks_give_the_same_bits(name):
    scan = small_scan("near", 2, frames=31)
    scan = replace(scan, data=scan.data + np.float32(7))
    given = {"device": "emulated:1", "parts": 2, "background": None}
    resident = run(scan, refining(name), **given)
    params = given | {"engines": [refining(name)], "propagation": resident.params["propagation"]}
    arguments = scan.data, scan.obj, scan.probe, scan.positions, scan.mask
    limit = {"device": exitwave.plan(*arguments, params).device_bytes - 1}

    streamed = run(scan, refining(name), **given, memory_limit=limit)

    assert_same_bits(resident, streamed)
    np.testing.assert_array_equal(resident.background, streamed.background)


@pytest.mark.parametrize("stop_after", [2, 6])
@pytest.mark.parametrize("name", ENGINES)
def test_a_resumed_run_has_the_bits_of_one_that_was_never_stopped(name, stop_after, tmp_path):
    """Stopped while it refines, and in the next engine, which works with what was found."""
    scan, place = scan_of(), str(tmp_path / "run.checkpoint")
    engines = [refining(name), {"name": "rPIE", "iterations": 4}]
    whole = run(scan, *engines, device="emulated", parts=2)
    seen = []

    def stop(state: Any) -> bool:
        seen.append(state.iteration)
        return len(seen) == stop_after

    run(scan, *engines, device="emulated", parts=2, checkpoint=place, callback=stop)
    resumed = exitwave.resume(place, scan.data)

    assert_same_bits(whole, resumed)
    np.testing.assert_array_equal(whole.background, resumed.background)


def test_next_engines_work_with_what_was_found():
    scan = scan_of().from_truth()
    held = refining("ML", iterations=3, background_start=0, probe_start=None)

    result = run(scan, held, {"name": "rPIE", "iterations": 3})

    told = run(scan, {"name": "rPIE", "iterations": 3}, background=result.background)
    ignorant = run(scan, {"name": "rPIE", "iterations": 3})
    assert result.error < 0.2 * ignorant.error
    assert result.error == pytest.approx(told.error, rel=0.5)


def test_result_and_its_file_have_the_background(tmp_path: Path):
    result = run(scan_of(), refining("ML"))
    save_result(tmp_path / "result.h5", result)

    again = load_result(tmp_path / "result.h5")

    np.testing.assert_array_equal(again.background, result.background)
    models = np.array(list(metrics.result_intensities(again)))
    valid = scan_of().mask
    counts = scan_of().data[:, valid]
    error = ((np.sqrt(models[:, valid]) - np.sqrt(counts)) ** 2).sum() / counts.sum()
    assert error == pytest.approx(result.error, rel=1e-3)
    assert run(scan_of(), {"name": "ML", "iterations": 1}).background is None


@cache
def experiment(background: bool) -> exitwave.simulation.Simulation:
    counts = 6 * np.exp(-np.add.outer(np.arange(-16, 16) ** 2, np.arange(-10, 22) ** 2) / 300)
    return exitwave.simulate(
        32, 120, counts_per_frame=1e5, probe="aperture", overlap=0.8, seed=4,
        imperfections={"background_counts": counts} if background else None,
    )  # fmt: skip


def object_error(scan: Any, result: exitwave.Result) -> float:
    shape = scan.data.shape[1:]
    region = metrics.scan_region(scan.positions_px, shape, scan.object.shape, scan.probe)
    return metrics.relative_error(result.object, scan.object, region)


def reconstruct(last: dict[str, Any], **params: Any) -> exitwave.Result:
    scan = experiment(True)
    engines = [{"name": "rPIE", "iterations": 10}, {"iterations": 50} | last]
    given = {"engines": engines, "device": "cpu:1", "progress": False} | params
    return exitwave.ptychography(scan.data, None, scan.probe, scan.positions_px, None, given)


@pytest.mark.parametrize("engine", [{"name": "ML"}, {"name": "gradient", "noise": "poisson"}])
def test_unknown_background_is_recovered_and_the_object_with_it(engine):
    scan = experiment(True)
    known = object_error(scan, reconstruct(engine, background=scan.truth.background))
    ignorant = object_error(scan, reconstruct(engine))

    result = reconstruct(engine | {"background_start": 5, "background_smooth_px": 3.0})

    assert relative(result.background, scan.truth.background) < 0.05
    assert object_error(scan, result) < 1.15 * known
    assert ignorant > 2 * known


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"name": "DM", "background_start": 1}, "not used by DM, only by ML, gradient"),
        ({"name": "ML", "background_start": 100}, r"background_start is 100, but .* 100 iter"),
        ({"name": "ML", "background_smooth_px": 2.0}, "background_start is None; set"),
        ({"name": "ML", "background_smooth_px": 30.0}, "from 0 to 20"),
    ],
)
def test_what_makes_no_sense_is_refused(engine, message):
    with pytest.raises(InvalidArgument, match=message):
        validate_params({"engines": [engine]})


def test_core_refuses_what_it_cannot_spread_or_refine():
    """Python checks before; the core never trusts."""
    scan, options = scan_of(), _core.EngineOptions()
    frames = len(scan.data)
    corner, fraction = np.zeros((frames, 2), np.int32), np.zeros((frames, 2), np.float32)
    core_scan = _core.Scan(
        scan.data, scan.mask, corner, fraction, FRAME, None, [list(range(frames))]
    )
    options.name, options.background_refinement = "ML", True
    field = np.ones((1, *FRAME), np.complex64)

    with pytest.raises(InvalidArgument, match="the scan has none to refine"):
        _core.Engine(core_scan, options, field, field, _core.CpuSettings())
    with pytest.raises(InvalidArgument, match="odd lengths"):
        options.set_point_spread([np.ones((3, 4), np.float32)])
