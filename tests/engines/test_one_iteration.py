"""Every engine does what the double-precision oracle does, iteration by iteration."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import reference as ref
from oracle_runs import TOLERANCE, assert_as_oracle, defaults, expected_run, oracle_run, scan_of
from small_scan import (
    ENGINES,
    FRAME,
    IN_GROUPS,
    NOISES,
    OBJECT,
    PROJECTIONS,
    PROPAGATIONS,
    SmallScan,
    devices,
    relative,
    small_scan,
)

DEVICES = devices("cpu:1", "cpu:2", "emulated", "emulated:1")
MODES = [(1, 1), (2, 1), (1, 2), (2, 2)]

OFF_CENTRE = np.roll(ref.disc(FRAME, 0.9), (1, -2), (0, 1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
@pytest.mark.parametrize("regime", PROPAGATIONS)
@pytest.mark.parametrize("name", ENGINES)
def test_one_iteration(name, regime, fractional, modes, device):
    """A mask and inertia are part of every case."""
    assert_as_oracle(scan_of(regime, modes, fractional), defaults(name), device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", ENGINES)
def test_several_iterations(name, regime, device):
    """What an engine keeps from one iteration to the next: exit waves, direction, velocity."""
    assert_as_oracle(scan_of(regime, (2, 2)), defaults(name, iterations=4), device)


# What every engine can be told, one thing at a time.
OPTIONS = {
    "no inertia": {"object_inertia": 0.0, "probe_inertia": 0.0},
    "probe starts later": {"iterations": 3, "probe_start": 1},
    "probe never": {"iterations": 2, "probe_start": None},
    "probe every second": {"iterations": 4, "probe_start": 1, "probe_every": 2},
    "support by radius": {"probe_support": 0.8},
    "support by image": {"probe_support": OFF_CENTRE},
    "Fourier support": {"probe_fourier_support": OFF_CENTRE},
    "both supports": {"probe_support": 0.9, "probe_fourier_support": OFF_CENTRE, "iterations": 2},
    "free power": {"probe_power": "free", "iterations": 2},
    "clipped object": {"object_clip": (0.7, 1.2)},
    "clipped in each iteration": {"object_clip": (0.7, 1.2), "iterations": 3},
}


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.filterwarnings("ignore:.*supports cut")
@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
def test_option_of_all_engines(name, options, fractional, device):
    scan = scan_of("far", (2, 1), fractional)
    assert_as_oracle(scan, defaults(name) | OPTIONS[options], device)


# What can be known of object and probe. Phases are known no better than what they are of.
KNOWN = {
    "total variation": {"object_tv": 0.05},
    "smoothness": {"smoothness": 0.05},
    "l1": {"object_l1": 0.05},
    "reweighted l1": {"object_reweighted_l1": 0.02},
    "l2": {"object_l2": 0.05},
    "all of the phase": {
        "object_prior_of": "phase",
        "object_tv": 0.03,
        "smoothness": 0.02,
        "object_l1": 0.01,
        "object_l2": 0.02,
    },
    "positive real part": {"object_positivity": "real"},
    "positive phase": {"object_positivity": "phase"},
    "negative phase": {"object_positivity": "negative_phase"},
    "one material": {"object_kappa": 0.3},
    "one material, refined": {"object_kappa": 0.3, "kappa_start": 1},
    "blurred": {"object_blur_px": 0.7},
    "flat region": {"object_flat": np.indices(OBJECT).sum(0) < 18},
    "flat where bright": {"object_flat": 1.1},
    "smooth probe": {"probe_smoothness": 0.05},
    "smooth probe in its supports": {
        "probe_smoothness": 0.05,
        "probe_support": 0.8,
        "probe_fourier_support": 0.9,
    },
}


@pytest.mark.filterwarnings("ignore:.*supports cut")
@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("name", ENGINES)
def test_what_is_known_of_object_and_probe(name, known, device):
    scan = scan_of("far", (2, 1))
    assert_as_oracle(scan, defaults(name, iterations=2) | KNOWN[known], device)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize(
    "known",
    [
        {"object_clip": (0.7, 1.2), "probe_smoothness": 0.05},
        {"object_kappa": 0.3, "kappa_start": 0, "object_l2": 0.05, "object_blur_px": 0.5},
    ],
    ids=lambda known: " ".join(known),
)
@pytest.mark.parametrize("name", ENGINES)
def test_every_second_iteration_ends_with_constraints(name, known, device):
    """The last one does not."""
    options = defaults(name, iterations=3) | known | {"constraint_every": 2}
    assert_as_oracle(scan_of("far", (2, 1)), options, device)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("frames_inside", [0, 4])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_power_bound(name, frames_inside, device):
    """Frames inside the bound are left alone, the others moved to it."""
    scan = scan_of("far", (2, 1))
    deviations = sorted(deviation_of_frames(scan))
    bound = float(deviations[frames_inside]) * 0.99
    assert_as_oracle(scan, defaults(name, power_bound=bound, iterations=2), device)


def deviation_of_frames(scan: SmallScan) -> np.ndarray:
    """Mean squared amplitude deviation per valid pixel of each frame at the start."""
    exact = scan.reference()
    waves = ref.start_exit_waves(exact, scan.obj.astype(complex), scan.probe.astype(complex))
    model = np.sqrt((np.abs(np.array(waves)) ** 2).sum((1, 2)))
    return ((model - np.sqrt(scan.data)) ** 2)[:, scan.mask].mean(axis=1)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("group_size", [1, 3, 13, 50])
@pytest.mark.parametrize("name", IN_GROUPS)
def test_groups_of_any_size(name, group_size, device):
    """One frame, some, all, and more than there are."""
    scan = scan_of("far", (1, 1))
    assert_as_oracle(scan, defaults(name, group_size=group_size, iterations=2), device)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("period", [1, 2, 5])
def test_momentum_counts_updates_over_all_iterations(period, device):
    """Four updates in an iteration: a period of 5 goes on from one iteration to the next."""
    options = defaults("mPIE", momentum=0.8, momentum_period=period, iterations=4)
    assert_as_oracle(scan_of("near", (1, 1)), options, device)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("smoothness", [0.0, 0.05])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("modes", [(1, 1), (2, 2)], ids=str)
def test_noise_models_and_smoothness(noise, smoothness, modes, device):
    """Three iterations: the direction is conjugate to the one before in the last two."""
    options = defaults("ML", noise=noise, smoothness=smoothness, iterations=3)
    assert_as_oracle(scan_of("far", modes), options, device)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("modes", [(1, 1), (2, 2)], ids=str)
def test_noise_models_of_least_squares(noise, modes, device):
    """Each frame's own step along the slope of its loss."""
    assert_as_oracle(scan_of("far", modes), defaults("LSQML", noise=noise, iterations=3), device)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
def test_momentum_rests_when_the_error_does_not_fall(device):
    """Steps that are too long: the error rises and falls."""
    options = defaults("LSQML", momentum=0.5, object_step=1.5, probe_step=1.0, iterations=5)
    scan = scan_of("far", (1, 1))
    errors = oracle_run(scan, options)[2]
    assert (np.diff(errors[:-2]) > 0).any()
    assert (np.diff(errors[:-2]) < 0).any()
    assert_as_oracle(scan, options, device)


@pytest.mark.parametrize("name", ["ML", "LSQML"])
@pytest.mark.parametrize("noise", NOISES)
def test_counts_with_poisson_noise_and_zeros(noise, name):
    """uint16 counts with pixels of no count at all."""
    scan = small_scan("far", noise=True)
    assert (scan.data == 0).any()
    assert_as_oracle(scan, defaults(name, noise=noise))


@cache
def odd_scan(regime: str) -> SmallScan:
    return small_scan(regime, 2, frame=(11, 15))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_odd_frames(name, regime, device):
    """The middle of an odd frame lies at n // 2; rows of 15 pixels are not aligned in memory."""
    assert_as_oracle(odd_scan(regime), defaults(name), device)


@pytest.mark.filterwarnings("ignore:.*supports cut")
@pytest.mark.parametrize("fractional", [True, False])
def test_smoothness_where_the_support_leaves_the_object_dark(fractional):
    """Pixels under a window, but under no light, are smoothed like their neighbours."""
    scan = scan_of("far", (1, 1), fractional)
    support = ref.disc(FRAME, 0.7)
    options = defaults("ML", smoothness=0.05, probe_support=support, iterations=2)
    assert_as_oracle(scan, options)


@pytest.mark.parametrize("name", ENGINES)
def test_probe_that_fades_to_nothing(name):
    """Squares that single precision holds only as subnormal numbers divide nothing."""
    scan = scan_of("far", (1, 1), False)
    probe = scan.probe.copy()
    probe[:, :3], probe[:, :, :3] = 3e-20, 1e-21
    options = {"name": name, "iterations": 4, "object_inertia": 0.0, "probe_inertia": 0.0}

    result = replace(scan, probe=probe).run(options)

    assert np.isfinite(result.object).all()
    assert np.isfinite(result.probe).all()


@pytest.mark.parametrize("seed", [0, 7])
def test_seed_draws_the_groups(seed):
    scan = scan_of("far", (1, 1))
    options = defaults("rPIE", iterations=2)

    result = scan.run(options, seed=seed)

    same = relative(result.object, expected_run(scan, options, seed)[0])
    other = relative(result.object, expected_run(scan, options, seed + 1)[0])
    assert same < TOLERANCE["field"]
    assert other > 1e-3
