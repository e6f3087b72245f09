"""Runs of the oracle beside runs of the package, with options that hide no mistake."""

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
from small_scan import FRAME, IN_GROUPS, PIES, PROJECTIONS, SmallScan, relative, small_scan

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
    exact = replace(exact, point_spread=ref.point_image(given.pop("point_spread_px", None)))
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
    touched_by_windows = ref.under_windows(exact, obj)
    lit = np.zeros_like(touched_by_windows)
    for position in exact.positions:
        ny, nx = exact.mask.shape
        here = ref.window(lit, position, exact.mask.shape)
        here[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4] = True
    known = ref.known_of(given, touched_by_windows, lit, in_loss=name == "ML")
    optimisers = None
    if name == "gradient":
        settings = Gradient(name=name, iterations=iterations, probe_start=start, **given)
        optimisers = optimisers_of(settings)
    waves, errors = None, []
    memory: Any = None
    if given.pop("direction", "conjugate") == "lbfgs":
        memory = ref.Lbfgs(given.pop("history"))
    given_clip = clip
    for iteration in range(iterations):
        clip = given_clip if known.due(iteration) else None
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
        obj, probe = known.applied(obj, probe, moves, iteration)
        if moves and known.probe_smoothness and known.due(iteration):
            supports = common["support"], common["fourier"]
            probe = ref.constraints.apply_supports(probe, *supports)
        if name == "LSQML":
            momentum.after(obj, probe, error)
        errors.append(error)
    if name == "ML" and held:
        obj, probe = ref.hold_power(obj, probe, power, touched)
        obj = _clipped(known.limited(obj, iterations - 1), given_clip, touched)
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
    expected = oracle_run(scan, options)
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


def oracle_run(scan: SmallScan, options: dict[str, Any]) -> Any:
    """The oracle's run, once for all devices."""
    key = f"{id(scan)} {options}"
    if key not in _seen:
        # With the scan, so that its id stays its own.
        _seen[key] = scan, expected_run(scan, options)
    return _seen[key][1]


@cache
def scan_of(regime: str, modes: tuple[int, int], fractional: bool = True) -> SmallScan:
    return small_scan(regime, *modes, fractional=fractional)
