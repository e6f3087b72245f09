"""The intensity of each frame, refined with the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave.partition import draw_groups, spatial_order
from reference import lsqml
from small_scan import PROPAGATIONS, SmallScan, assert_same_bits, devices, relative, small_scan

DRIFT = 0.05


def drifting(scan: SmallScan) -> tuple[SmallScan, np.ndarray]:
    """The scan with a factor on the amplitude of each frame."""
    factors = 1 + DRIFT * np.random.default_rng(3).standard_normal(len(scan.data))
    factors /= factors.mean()
    data = (scan.data * factors[:, None, None] ** 2).astype(scan.data.dtype)
    return replace(scan, data=data), factors


def refining(**options: Any) -> dict[str, Any]:
    return {"name": "LSQML", "iterations": 5, "group_size": 4, "intensity_start": 1} | options


def expected_run(scan: SmallScan, options: dict[str, Any]) -> tuple[Any, ...]:
    """Object, probe, intensities and errors of the oracle."""
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    rng, order = np.random.default_rng(0), spatial_order(scan.positions)
    momentum, factors = lsqml.Momentum(0.7), np.ones(len(scan.data))
    power, touched = ref.probe_power(probe), ref.under_windows(exact, obj)
    errors = []
    for iteration in range(options["iterations"]):
        obj, probe, error = lsqml.lsqml_iteration(
            exact,
            obj,
            probe,
            draw_groups(order, options["group_size"], rng),
            momentum,
            touched=touched,
            power=power,
            noise=options.get("noise", "amplitude"),
            object_step=0.7,
            probe_step=0.7,
            factors=factors,
            refine=iteration >= options["intensity_start"],
            update_probe=options.get("probe_start", 0) is not None,
        )
        momentum.after(obj, probe, error)
        errors.append(error)
    return obj, probe, factors**2, errors


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize(
    ("noise", "probe_start"), [("amplitude", 0), ("poisson", 0), ("poisson", None)]
)
@pytest.mark.parametrize("modes", [(1, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("regime", PROPAGATIONS)
def test_intensities_are_the_oracle_s(regime, modes, noise, probe_start, device):
    """A probe that is held stays, whatever the factors do."""
    scan, _ = drifting(small_scan(regime, *modes))
    options = refining(noise=noise, probe_start=probe_start)
    obj, probe, intensities, errors = expected_run(scan, options)

    result = scan.run(options, device=device, parts=3)

    off_object, off_probe = relative(result.object, obj), relative(result.probe, probe)
    assert off_object < 1e-5
    assert off_probe < 1e-5
    np.testing.assert_allclose(result.intensities, intensities, rtol=1e-5)
    np.testing.assert_allclose(result.errors[0], errors, rtol=1e-3)
    assert np.ptp(intensities) > 0.05


def test_drift_is_found_and_does_not_reach_the_object():
    steady = small_scan(frames=40, fractional=False).from_truth()
    scan, factors = drifting(steady)
    options = {"name": "LSQML", "iterations": 60, "group_size": 8}

    refined = scan.run(options | {"intensity_start": 0})
    plain = scan.run(options)

    # Up to the overall factor, which the object has.
    assert refined.error < 1e-2 * plain.error
    assert np.sqrt(refined.intensities) == pytest.approx(factors, abs=0.1 * DRIFT)
    assert plain.intensities is None


def test_true_intensities_stay():
    scan = small_scan().from_truth()

    result = scan.run(refining(intensity_start=0, iterations=2))

    np.testing.assert_allclose(result.intensities, 1, rtol=1e-5)
    off = relative(result.object, scan.true_obj)
    assert off < 1e-5


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
def test_parts_and_batches_do_not_change_intensities(device):
    scan, _ = drifting(small_scan("far", 2))
    one = scan.run(refining(), device="cpu:1", parts=1)

    several = scan.run(refining(), device=device, parts=4)
    batched = scan.run(refining(), device=device, parts=4, batch=3)

    np.testing.assert_allclose(several.intensities, one.intensities, rtol=1e-6)
    assert relative(several.object, one.object) < 1e-5
    assert_same_bits(several, batched)
    np.testing.assert_array_equal(several.intensities, batched.intensities)


def test_next_engine_goes_on_from_the_intensities_that_were_found():
    scan, _ = drifting(small_scan())
    first = refining(intensity_start=0, momentum=0.0)

    two = scan.run(first, refining(intensity_start=100, iterations=1))
    one = scan.run(first)

    np.testing.assert_allclose(two.intensities, one.intensities, rtol=1e-12)


def test_stopped_run_goes_on_to_the_bit(tmp_path: Path):
    scan, _ = drifting(small_scan())
    path = str(tmp_path / "run.checkpoint")
    whole = scan.run(refining())

    def stop(state: Any) -> bool:
        return bool(state.iteration == 2)

    stopped = scan.run(refining(), callback=stop, checkpoint=path)
    assert stopped.stopped == "callback"
    resumed = exitwave.resume(path, scan.data)

    assert_same_bits(whole, resumed)
    np.testing.assert_array_equal(whole.intensities, resumed.intensities)


def test_result_file_keeps_intensities(tmp_path: Path):
    scan, _ = drifting(small_scan())
    result = scan.run(refining())

    exitwave.save_result(tmp_path / "result.cxi", result)

    kept = exitwave.load_result(tmp_path / "result.cxi")
    np.testing.assert_array_equal(kept.intensities, result.intensities)


def test_background_in_dark_pixels_is_no_light_of_the_frames():
    """The object of the truth keeps its brightness, to which the mean of all factors goes."""
    rng = np.random.default_rng(4)
    truth = small_scan(frames=40, fractional=False).from_truth()
    dimmed = np.sqrt(300 / truth.data.sum(axis=(1, 2)).mean())
    counts = rng.poisson(dimmed**2 * truth.data + 1.0).astype(np.uint16)
    scan = replace(truth, data=counts, probe=(dimmed * truth.probe).astype(np.complex64))
    held = {"probe_start": None, "object_step": 1e-6, "group_size": 40, "iterations": 1}

    engine = refining(noise="poisson", intensity_start=0) | held
    result = scan.run(engine, background=1.0, scale_start=False)

    lit = np.abs(truth.obj[0]) > 0.1
    gain = np.abs(result.object / truth.obj)[..., lit]
    assert np.median(gain) == pytest.approx(1, abs=0.03)
