"""ML with directions by L-BFGS: as the oracle, for any number of parts, and to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from oracle_runs import assert_as_oracle, defaults, expected_run, oracle_run, scan_of
from small_scan import (
    NOISES,
    PROPAGATIONS,
    SmallScan,
    assert_same_bits,
    devices,
    everything,
    noise_of,
    relative,
    small_scan,
)

LBFGS = {"direction": "lbfgs", "history": 2}


def lbfgs(**options: Any) -> dict[str, Any]:
    """More iterations than pairs are kept, and enough inertia that rounding does not grow."""
    inertia = {"object_inertia": 0.1, "probe_inertia": 0.15}
    return defaults("ML", iterations=4) | inertia | LBFGS | options


@pytest.mark.parametrize("device", devices("cpu:1", "cpu:2", "emulated"))
@pytest.mark.parametrize("modes", [(1, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_iterations(regime, modes, device):
    assert_as_oracle(scan_of(regime, modes), lbfgs(), device)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_models(noise):
    assert_as_oracle(scan_of("far", (1, 1), False), lbfgs(noise=noise))


OPTIONS: dict[str, dict[str, Any]] = {
    "one pair": {"history": 1},
    "no inertia": {"object_inertia": 0.0, "probe_inertia": 0.0, "iterations": 3},
    "probe starts later": {"probe_start": 2},
    "probe never": {"probe_start": None},
    "supports": {"probe_support": 0.9, "probe_fourier_support": 0.9},
    "clipped in each iteration": {"object_clip": (0.7, 1.2)},
    "smooth": {"smoothness": 0.05},
    "total variation": {"object_tv": 0.05},
    "smooth probe": {"probe_smoothness": 0.05},
}


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.filterwarnings("ignore:.*supports cut")
def test_options(options, device):
    assert_as_oracle(scan_of("far", (2, 1)), lbfgs(**OPTIONS[options]), device)


def thick(scan: SmallScan) -> SmallScan:
    rng = np.random.default_rng(0)
    shape = (2, 3, *scan.obj.shape[-2:])
    return replace(scan, obj=(1 + 0.1 * noise_of(rng, *shape)).astype(np.complex64))


SLICES = PROPAGATIONS["far"] | {
    "wavelength_m": 5e-7,
    "pixel_size_m": 1e-6,
    "slice_distances_m": [3e-6, 5e-6],
}


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("parts", [2, 7])
@pytest.mark.parametrize("slices", [1, 3])
def test_parts_do_not_change_the_result(slices, parts, device):
    scan = small_scan("far", 2, 2) if slices == 1 else thick(small_scan("far", 2))
    where: dict[str, Any] = {"propagation": SLICES} if slices > 1 else {}
    options = everything("ML", **LBFGS)

    one = scan.run(options, device="cpu:1", parts=1, **where)
    several = scan.run(options, device=device, parts=parts, **where)

    assert relative(several.object, one.object) < 1e-5
    assert relative(several.probe, one.probe) < 1e-5
    assert one.errors[0][-1] < 0.7 * one.errors[0][0]


@pytest.mark.parametrize("device", ["emulated", "cpu:2"])
def test_a_stopped_run_goes_on_to_the_bit(device, tmp_path):
    """Before there is a pair, with some, and with all; and where the probe is moved."""
    scan = small_scan("far", 2, noise=True)
    options = {"name": "ML", "iterations": 7, "probe_start": 1, "probe_centring": 4} | LBFGS
    where = {"device": device, "parts": 3}
    whole = scan.run(options, **where)

    for iteration in (0, 2, 5):

        def stop(state: exitwave.State, last: int = iteration) -> bool:
            return state.iteration == last

        scan.run(options, callback=stop, checkpoint=tmp_path / "run", **where)
        assert_same_bits(whole, exitwave.resume(tmp_path / "run", scan.data))


def test_pairs_that_do_not_count_are_left_out_on_the_device():
    """Far from the truth the loss bends downwards along some steps."""
    scan, rng = scan_of("far", (1, 1)), np.random.default_rng(2)
    far_off = replace(scan, obj=(0.2 * noise_of(rng, *scan.obj.shape)).astype(np.complex64))
    inertia = {"object_inertia": 0.3, "probe_inertia": 0.3}
    exact, obj, probe = far_off.reference(), far_off.obj.astype(complex), scan.probe.astype(complex)
    memory = ref.Lbfgs(3)
    for _ in range(4):
        obj, probe, *_ = ref.ml_iteration(exact, obj, probe, memory, noise="anscombe", **inertia)
    assert {bool(change.counts) for change in memory.changes} == {True, False}

    assert_as_oracle(far_off, lbfgs(noise="anscombe", history=3, **inertia))


def test_more_pairs_and_none_differ():
    scan = scan_of("far", (1, 1))
    one, other = (oracle_run(scan, lbfgs(history=n, iterations=6))[0] for n in (1, 3))
    conjugate = expected_run(scan, defaults("ML", iterations=6))[0]

    assert relative(one, other) > 1e-3
    assert relative(conjugate, other) > 1e-3
