"""Every engine does what the double-precision oracle does, iteration by iteration."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference as ref
from exitwave.parameters.models import Gradient
from exitwave.partition import draw_groups, spatial_order
from exitwave.schedules import rate, schedule_factors
from reference import lsqml
from small_scan import (
    ENGINES,
    FRAME,
    IN_GROUPS,
    NOISES,
    OBJECT,
    PIES,
    PROJECTIONS,
    PROPAGATIONS,
    SmallScan,
    devices,
    relative,
    small_scan,
)

DEVICES = devices("cpu:1", "cpu:2", "emulated", "emulated:1")
MODES = [(1, 1), (2, 1), (1, 2), (2, 2)]

# Largest relative distance from the oracle; single precision resolves 6e-8.
TOLERANCE = {
    # Two transforms, sums over some hundred terms, a quotient: ten roundings or so. Seen: 1e-6.
    "field": 3e-6,
    # A pixel in the tail of the probe is divided by next to nothing. Seen: 2.6e-6.
    "field without inertia": 1e-5,
    # Steps of ML come from slopes n / I and curvatures n / I^2, large where the model is dark, and
    # each iteration starts from the rounding of the last. Seen: 6e-6 (without fused operations).
    "field after several searches": 2e-5,
    # The sum of squared differences of similar numbers, at a field off as above. Seen: 1e-5.
    "error": 5e-5,
}

OFF_CENTRE = np.roll(ref.disc(FRAME, 0.9), (1, -2), (0, 1))
GROUP_SIZE = 4


def drawn_groups(scan: SmallScan, size: int, iterations: int, seed: int) -> list[list[list[int]]]:
    """The groups that a run with this seed draws."""
    rng, order = np.random.default_rng(seed), spatial_order(scan.positions)
    return [draw_groups(order, size, rng) for _ in range(iterations)]


def expected_run(
    scan: SmallScan, options: dict[str, Any], seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Object, probe and errors of the oracle for the options of one engine."""
    given = dict(options)
    name, iterations = given.pop("name"), given.pop("iterations")
    start, every = given.pop("probe_start", 0), given.pop("probe_every", 1)
    common = {
        "object_inertia": given.pop("object_inertia"),
        "probe_inertia": given.pop("probe_inertia"),
        "support": _image(given.pop("probe_support", None)),
        "fourier": _image(given.pop("probe_fourier_support", None)),
    }
    clip = given.pop("object_clip", None)
    held = given.pop("probe_power", "held") == "held"
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    probe = ref.constraints.apply_supports(probe, common["support"], common["fourier"])
    power = ref.probe_power(probe)
    touched = ref.reached(ref.residual_pass(exact, obj, probe, range(len(scan.data)), _nothing))
    groups: list[Any] = [None]
    if name in IN_GROUPS:
        groups = drawn_groups(scan, given.pop("group_size"), iterations, seed)
    momentum = None
    if name == "mPIE":
        momentum = ref.Momentum.start(obj, given.pop("momentum"), given.pop("momentum_period"))
    if name == "LSQML":
        momentum = lsqml.Momentum(given.pop("momentum"))
    known = ref.known_of(given, ref.under_windows(exact, obj), in_loss=name == "ML")
    optimisers = None
    if name == "gradient":
        settings = Gradient(name=name, iterations=iterations, probe_start=start, **given)
        optimisers = optimisers_of(settings)
    waves, memory, errors = None, None, []
    for iteration in range(iterations):
        moves = start is not None and iteration >= start and (iteration - start) % every == 0
        moves = moves and iteration < given.get("probe_stop", iterations)
        here = common | {"update_probe": moves}
        if name in PROJECTIONS:
            constants = ref.projection_constants(name, given.get("beta", 1.0))
            obj, probe, waves, error = ref.projection_iteration(
                exact,
                obj,
                probe,
                waves,
                constants,
                power_bound=given.get("power_bound"),
                power=power if held else None,
                clip=clip,
                **here,
            )
        elif name == "LSQML":
            obj, probe, error = lsqml.lsqml_iteration(
                exact,
                obj,
                probe,
                groups[iteration],
                momentum,
                touched=touched,
                power=power if held else None,
                clip=clip,
                **given,
                **here,
            )
        elif name in PIES:
            obj, probe, error = ref.pie_iteration(
                exact,
                obj,
                probe,
                groups[iteration],
                momentum=momentum,
                power=power if held else None,
                clip=clip,
                **given,
                **here,
            )
        elif optimisers is not None:
            obj, probe, error = ref.gradient_iteration(
                exact,
                obj,
                probe,
                groups[iteration],
                optimisers,
                schedules=schedule_factors(settings, iteration),
                noise=settings.noise,
                power=power if held else None,
                clip=clip,
                **here,
            )
        else:
            obj, probe, memory, _, error = ref.ml_iteration(
                exact, obj, probe, memory, **given, **here, **known.in_loss(power, len(scan.data))
            )
            if held and known.prior is not None:
                obj, probe = ref.hold_power(obj, probe, power, touched)
            obj = _clipped(obj, clip, touched)
        obj, probe = known.applied(obj, probe, moves)
        if name == "LSQML":
            momentum.after(obj, probe, error)
        errors.append(error)
    if name == "ML" and held:
        obj, probe = ref.hold_power(obj, probe, power, touched)
        obj = _clipped(known.limited(obj), clip, touched)
    return obj, probe, [*errors, ref.fourier_error(exact, obj, probe)]


def optimisers_of(settings: Gradient) -> tuple[ref.Optimiser, ref.Optimiser]:
    of_object, of_probe = (
        ref.Optimiser(kind, rate(kind, given), settings.step_memory, settings.square_memory)
        for kind, given in (
            (settings.object_optimiser, settings.object_rate),
            (settings.probe_optimiser, settings.probe_rate),
        )
    )
    return of_object, of_probe


def _nothing(_: int, model: np.ndarray) -> np.ndarray:
    return 0 * model


def _clipped(obj: np.ndarray, clip: Any, touched: np.ndarray) -> np.ndarray:
    return obj if clip is None else ref.clip_amplitude(obj, clip, touched)


def _image(support: Any) -> Any:
    return ref.disc(FRAME, support) if isinstance(support, float) else support


def defaults(name: str, **options: Any) -> dict[str, Any]:
    """Options of one engine that hide no mistake: no step, inertia or alpha is 0 or 1."""
    given: dict[str, Any] = {
        "name": name,
        "iterations": 1,
        "probe_start": 0,
        "object_inertia": 0.01,
        "probe_inertia": 0.02,
    }
    if name in ("DM", "RAAR"):
        given |= {"beta": 0.8}
    if name in IN_GROUPS:
        given |= {"group_size": GROUP_SIZE}
    if name in (*PIES, "LSQML"):
        given |= {"object_step": 0.9, "probe_step": 0.7}
    if name == "gradient":
        given |= {"object_rate": 0.08, "probe_rate": 0.06, "step_memory": 0.8, "square_memory": 0.7}
    if name == "LSQML":
        given |= {"noise": "amplitude", "momentum": 0.4}
    if name in ("rPIE", "mPIE"):
        given |= {"object_alpha": 0.3, "probe_alpha": 0.4}
    if name == "mPIE":
        given |= {"momentum": 0.7, "momentum_period": 3}
    return given | options


def assert_as_oracle(scan: SmallScan, options: dict[str, Any], device: str = "cpu:1") -> None:
    expected = _expected(scan, options)
    result = scan.run(options, device=device)

    kind = "field" if options["object_inertia"] > 0 else "field without inertia"
    if options["name"] == "ML" and options["iterations"] > 1:
        kind = "field after several searches"
    tolerance = TOLERANCE[kind]
    off_object = relative(result.object, expected[0])
    off_probe = relative(result.probe, expected[1])
    moved = relative(result.object, scan.obj)
    assert off_object < tolerance
    assert off_probe < tolerance
    assert moved > 100 * tolerance
    assert [*result.errors[0], result.error] == pytest.approx(expected[2], rel=TOLERANCE["error"])


_seen: dict[str, tuple[SmallScan, Any]] = {}


def _expected(scan: SmallScan, options: dict[str, Any]) -> Any:
    """The oracle's run, once for all devices."""
    key = f"{id(scan)} {options}"
    if key not in _seen:
        # With the scan, so that its id stays its own.
        _seen[key] = scan, expected_run(scan, options)
    return _seen[key][1]


@cache
def scan_of(regime: str, modes: tuple[int, int], fractional: bool = True) -> SmallScan:
    return small_scan(regime, *modes, fractional=fractional)


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
    "flat region": {"object_flat": np.indices(OBJECT).sum(0) < 18},
    "flat where bright": {"object_flat": 1.1},
    "smooth probe": {"probe_smoothness": 0.05},
}


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("name", ENGINES)
def test_what_is_known_of_object_and_probe(name, known, device):
    scan = scan_of("far", (2, 1))
    assert_as_oracle(scan, defaults(name, iterations=2) | KNOWN[known], device)


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
    errors = _expected(scan, options)[2]
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
