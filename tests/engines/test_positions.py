"""Refinement of positions: the sums are the oracle's, and wrong positions come right."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import exitwave
import reference as ref
from exitwave.metrics import position_error
from exitwave.positions import PositionRefiner
from small_scan import (
    ENGINES,
    IN_GROUPS,
    PROJECTIONS,
    PROPAGATIONS,
    SmallScan,
    assert_same_bits,
    propagator_of,
    relative,
    small_scan,
)

MODES = [(1, 1), (2, 2)]


@cache
def scan_of(regime: str, modes: tuple[int, int], fractional: bool = True) -> SmallScan:
    """Frames half a pixel or so off, and room of three pixels around all windows."""
    scan = small_scan(regime, *modes, fractional=fractional, off=0.05)
    around = ((0, 0), (3, 3), (3, 3))
    obj = np.pad(scan.obj, around, constant_values=1)
    off = np.random.default_rng(5).uniform(-0.7, 0.7, scan.positions.shape)
    off = off if fractional else np.round(off)
    positions = scan.positions + 3 + off
    if fractional:
        # These change their corners with the smallest move.
        positions[::3] = np.floor(positions[::3]) + 0.4999
    return replace(scan, obj=obj, positions=positions)


def refining(name: str, **options: Any) -> dict[str, Any]:
    given = {"name": name, "iterations": 1, "probe_start": 0, "position_start": 0}
    return given | ({"group_size": 4} if name in IN_GROUPS else {}) | options


# Every engine by the gradient; the search is the same for all of them.
WAYS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ENGINES),
    ("DM", {"position_search_px": 0.6}),
    ("rPIE", {"position_search_px": 0.6}),
]
each_way = pytest.mark.parametrize(
    ("name", "options"), WAYS, ids=lambda way: way if isinstance(way, str) else "".join(way)
)


@pytest.fixture
def sums_seen(monkeypatch) -> list[np.ndarray]:
    """Sums that the core took, iteration by iteration."""
    seen: list[np.ndarray] = []
    update = PositionRefiner.update

    def remember(self: PositionRefiner, sums: np.ndarray, *given: float) -> np.ndarray:
        seen.append(sums.copy())
        return update(self, sums, *given)

    monkeypatch.setattr(PositionRefiner, "update", remember)
    return seen


def residual_rule(name: str, exact: ref.Scan, j: int, model: np.ndarray) -> np.ndarray:
    """What the first iteration of an engine sends back from the detector."""
    if name in PROJECTIONS:
        constants = ref.projection_constants(name, 0.9 if name == "RAAR" else 1.0)
        return ref.detector_update(model, model, exact, j, constants) - model
    if name == "ML":
        intensity = (np.abs(model) ** 2).sum((0, 1))
        counts = np.where(exact.mask, exact.counts[j], 0.0)
        factor = np.where(exact.mask, ref.loss_factor(intensity, counts, "poisson"), 0.0)
        return -factor * model
    return (ref.modulus_factor(model, exact.counts[j], exact.mask) - 1) * model


@pytest.mark.parametrize("device", ["cpu:1", "cpu:2", "emulated"])
@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
@pytest.mark.parametrize("regime", PROPAGATIONS)
@pytest.mark.parametrize("name", ENGINES)
def test_sums_and_moves_are_the_oracle_s(name, regime, fractional, modes, device, sums_seen):
    """One update from all frames at once, so that every frame sees the start values."""
    scan = scan_of(regime, modes, fractional)
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    expected = np.array([
        ref.position_sums(
            obj, probe, position, exact.propagator,
            residual_rule(name, exact, j, ref.forward(obj, probe, position, exact.propagator)),
        )
        for j, position in enumerate(scan.positions)
    ])  # fmt: skip
    step = 0.3 if name == "DM" else 1.0
    slope = 2.0 if name == "ML" else 1.0
    moved = ref.moved_positions(scan.positions, expected, step, 0.05, slope)

    options: dict[str, Any] = {"position_max_step_px": 0.05}
    if name in IN_GROUPS:
        options["group_size"] = len(scan.data)
    if name in ("DM", "RAAR"):
        options |= {"power_bound": None}
    result = scan.run(refining(name, **options), device=device)

    (sums,) = sums_seen
    assert sums == pytest.approx(expected, rel=1e-5, abs=1e-5 * np.abs(expected).max())
    assert result.positions == pytest.approx(moved, abs=1e-5)
    assert np.abs(result.positions - scan.positions).max() > 0.01


@pytest.mark.parametrize("regime", ["far", "near"])
def test_sums_are_the_slope_of_the_loss(regime):
    """d/ds sum (sqrt I - sqrt n)^2 = -2 b, by finite differences, on an object that is smooth.

    Central differences are the derivative up to the third order of a pixel.
    """
    rng = np.random.default_rng(0)
    frame = (32, 40)
    rows, columns = (np.linspace(-1, 1, n) for n in frame)
    envelope = np.exp(-10 * (rows[:, None] ** 2 + columns[None, :] ** 2))
    probe = 30 * envelope[None] * np.exp(4j * rows[:, None] ** 2 + 3j * columns[None, :])
    smooth = ndimage.gaussian_filter(rng.standard_normal((2, 48, 56)), (0, 4, 4))
    obj = np.exp(3j * (smooth[:1] + 0.3j * smooth[1:]))
    propagator = propagator_of(regime, frame)
    position = np.array([6.2, 7.7])
    truth = ref.forward(obj, probe, position + np.array([0.4, -0.3]), propagator)
    amplitude = np.sqrt((np.abs(truth) ** 2).sum((0, 1)))

    def loss(at: np.ndarray) -> float:
        model = np.sqrt((np.abs(ref.forward(obj, probe, at, propagator)) ** 2).sum((0, 1)))
        return float(((model - amplitude) ** 2).sum())

    model = ref.forward(obj, probe, position, propagator)
    residual = (amplitude / np.sqrt((np.abs(model) ** 2).sum((0, 1))) - 1) * model
    slopes = ref.position_sums(obj, probe, position, propagator, residual)[3:]

    for axis, step in enumerate(1e-4 * np.eye(2)):
        expected = (loss(position + step) - loss(position - step)) / 2e-4
        assert -2 * slopes[axis] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("regime", ["far", "near"])
@each_way
def test_parts_do_not_change_refined_positions(name, options, regime, device, parts):
    """Frames reach pixels that were their neighbours' alone, and never leave their part's tile."""
    scan = scan_of(regime, (2, 2))
    engine = refining(name, iterations=4, position_affine=0.1, **options)
    expected = scan.run(engine, device="cpu:1", parts=1)

    result = scan.run(engine, device=device, parts=parts)

    assert np.abs(result.positions - expected.positions).max() < 1e-4
    assert relative(result.object, expected.object) < 2e-5
    assert relative(result.probe, expected.probe) < 2e-5
    corners = [np.floor(r + 0.5) for r in (scan.positions, expected.positions)]
    assert (corners[0] != corners[1]).any()


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@each_way
def test_batches_and_blocks_change_no_bit_of_positions(name, options, device):
    scan = scan_of("far", (2, 2))
    engine = refining(name, iterations=3, **options)
    one, *others = (scan.run(engine, device=device, parts=2, batch=batch) for batch in (1, 2, 3, 5))
    if device == "emulated":
        needed = exitwave.plan(
            scan.data, scan.obj, scan.probe, scan.positions, scan.mask,
            {"engines": [engine], "device": device, "parts": 2, "batch": 1},
        ).device_bytes  # fmt: skip
        frame = scan.data[0].nbytes * (9 if name in ("DM", "RAAR") else 1)
        limit = {"device": needed - frame}
        others.append(scan.run(engine, device=device, parts=2, batch=1, memory_limit=limit))

    for other in others:
        assert_same_bits(one, other)
        np.testing.assert_array_equal(one.positions, other.positions)


@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", ["DM", "RAAR"])
def test_kept_waves_follow_their_frames(name, regime):
    """Where every frame's window moves by a pixel, waves of the truth stay those of the truth."""
    from exitwave.core_options import core_options
    from exitwave.counts import read_counts
    from exitwave.devices import choose_lanes
    from exitwave.division import divide
    from exitwave.parameters import validate_params
    from exitwave.problem import make_problem
    from exitwave.start import corners_and_fractions

    truth = small_scan(regime, 2).from_truth()
    obj = np.pad(truth.obj, ((0, 0), (3, 3), (3, 3)))
    truth = replace(truth, obj=obj, positions=truth.positions + 3)
    frames, *frame = truth.data.shape
    lanes = choose_lanes("cpu:1", 2, None, frames)
    division = divide(truth.obj, truth.positions, frames, (frame[0], frame[1]), lanes, margin_px=2)
    kernel = None if regime == "far" else propagator_of(regime).kernel
    problem = make_problem(read_counts(truth.data, truth.mask), division, kernel, 0)
    (engine,) = validate_params({"engines": [refining(name)]}).engines
    core, _ = problem.engine(core_options(engine, problem, 1, 2), truth.obj, truth.probe)
    corner, fraction = corners_and_fractions(truth.positions)

    # The same places, written with the next corner: the probe moves back by the pixel.
    core.set_positions(corner + np.int32(1), fraction - np.float32(1))
    error = core.iterate([], False).deviation / problem.energy

    assert error < 1e-3
    assert relative(core.object[:, 5:-5, 5:-5], truth.obj[:, 5:-5, 5:-5]) < 5e-2


def simulated(regime: str) -> exitwave.Simulation:
    size = (48, 56) if regime == "far" else (64, 72)
    frames = 80 if regime == "far" else 40
    return exitwave.simulate(size, frames, regime=regime, seed=1)


def disturbed(positions: np.ndarray, rms_px: float) -> np.ndarray:
    """Positions off by ``rms_px``, mean kept."""
    off = np.random.default_rng(3).standard_normal(positions.shape)
    off -= off.mean(axis=0)
    return positions + off * rms_px / np.sqrt((off**2).sum(axis=1).mean())


def reconstructed(
    simulation: exitwave.Simulation, positions: np.ndarray, *engines: dict[str, Any], **params: Any
) -> exitwave.Result:
    return exitwave.ptychography(
        simulation.data, None, simulation.probe, positions, simulation.mask,
        {"engines": list(engines), "propagation": simulation.propagation, "progress": False}
        | params,
    )  # fmt: skip


# Chains with which each engine finds the positions to 0.05 px; ML starts in the right valley.
RECOVERED: dict[str, list[dict[str, Any]]] = {
    "AP": [{"iterations": 800, "position_start": 20}],
    "DM": [{"position_start": 0}],
    "RAAR": [{"position_start": 5}],
    "ePIE": [{"iterations": 800, "position_start": 20, "group_size": 10}],
    "rPIE": [{"iterations": 200, "position_start": 20, "group_size": 10}],
    "mPIE": [{"iterations": 200, "position_start": 20, "group_size": 10}],
    "ML": [{"name": "rPIE", "iterations": 30}, {"position_start": 0}],
}


@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", RECOVERED)
def test_half_a_pixel_of_error_is_found(name, regime):
    """From 0.5 px rms. Scale and rotation come last: the object bends with the positions."""
    simulation = simulated(regime)
    chain = [{"name": name} | entry for entry in RECOVERED[name]]
    positions = disturbed(simulation.positions_px, 0.5)

    result = reconstructed(simulation, positions, *chain)
    unrefined = reconstructed(
        simulation, positions, *chain[:-1], chain[-1] | {"position_start": None}
    )

    assert position_error(result.positions, simulation.positions_px) < 0.05
    assert result.error < 0.2 * unrefined.error


@pytest.mark.parametrize(("regime", "rms_px"), [("far", 1.5), ("near", 3.0)])
def test_search_finds_large_errors(regime, rms_px):
    """In the near field also those that the gradient does not, in as many passes over frames."""
    simulation = simulated(regime)
    positions = disturbed(simulation.positions_px, rms_px)
    start = {"name": "rPIE", "group_size": 10, "iterations": 15}
    refined = {"name": "rPIE", "group_size": 10, "position_start": 0}

    def off(**options: Any) -> float:
        result = reconstructed(simulation, positions, start, refined | options)
        return position_error(result.positions, simulation.positions_px)

    assert off(iterations=30, position_search_px=rms_px) < 0.08
    if regime == "near":
        assert off(iterations=150) > 1


def test_near_field_is_as_good_as_with_true_positions():
    """Error within 1.1 times that of true positions, positions to 0.05 px, from 0.5 px rms."""
    simulation = exitwave.simulate((64, 72), 40, regime="near", seed=1, counts_per_frame=1e7)
    positions = disturbed(simulation.positions_px, 0.5)
    chain = [{"name": "rPIE", "iterations": 40}, {"name": "ML", "iterations": 40}]
    refining_chain = [entry | {"position_start": 5} for entry in chain]

    true = reconstructed(simulation, simulation.positions_px, *chain)
    refined = reconstructed(simulation, positions, *refining_chain)

    assert refined.error < 1.1 * true.error
    assert position_error(refined.positions, simulation.positions_px) < 0.05


def test_mean_stays_and_result_tells_both():
    simulation = simulated("near")
    positions = disturbed(simulation.positions_px, 0.5)

    result = reconstructed(
        simulation, positions, {"name": "rPIE", "iterations": 20, "position_start": 5}
    )

    start = result.start["positions"]
    assert np.ptp(start - positions, axis=0) == pytest.approx(0, abs=1e-9)
    assert result.positions.mean(axis=0) == pytest.approx(start.mean(axis=0), abs=1e-6)
    assert np.abs(result.positions - start).max() > 0.3


def test_next_engine_starts_from_refined_positions():
    simulation = simulated("near")
    positions = disturbed(simulation.positions_px, 0.5)
    seen: list[np.ndarray] = []
    refine = {"name": "rPIE", "iterations": 30, "position_start": 5}

    def remember(state: exitwave.State) -> None:
        seen.append(state.positions.copy())

    result = reconstructed(
        simulation, positions, refine, {"name": "ML", "iterations": 5}, callback=remember
    )

    np.testing.assert_array_equal(seen[29], result.positions)
    np.testing.assert_array_equal(seen[4], result.start["positions"])
    assert (seen[5] != seen[4]).any()
    assert result.errors[1][0] < 1e-3


def test_affine_map_alone_moves_all_frames_together():
    """A scan that is 2 % too wide and turned by 0.7 degrees."""
    simulation = simulated("near")
    truth = simulation.positions_px
    centre = truth.mean(axis=0)
    positions = (truth - centre) @ np.array([[1.0, -0.012], [0.012, 1.02]]) + centre
    engine = {"name": "rPIE", "iterations": 60, "position_start": 5, "position_affine": 1.0}

    result = reconstructed(simulation, positions, engine)

    start = result.start["positions"]
    assert position_error(start, truth) > 0.2
    assert position_error(result.positions, truth) < 0.02
    assert position_error(result.positions, start, "affine") < 1e-9


def test_frames_do_not_leave_the_object_that_was_given():
    scan = small_scan("far", off=0.05)
    worse = replace(scan, positions=disturbed(scan.positions + 0.4, 0.4))

    with pytest.warns(UserWarning, match="frames ended at position_limit_px or at the edge"):
        result = worse.run(refining("ePIE", iterations=30, position_limit_px=0.2))

    assert np.abs(result.positions - worse.positions).max() <= 0.2 + 1e-9
    assert result.object.shape == worse.obj.shape


def test_object_made_for_the_run_has_room_on_all_sides():
    scan = small_scan("far")
    engine = refining("ePIE", position_limit_px=2.0)
    still, moving = (
        exitwave.ptychography(
            scan.data, None, scan.probe, scan.positions, scan.mask, {"engines": [e]}
        )
        for e in ({"name": "ePIE", "iterations": engine["iterations"]}, engine)
    )

    assert np.subtract(moving.object.shape, still.object.shape) == pytest.approx((6, 6))


@pytest.mark.parametrize("device", ["cpu:1", "emulated"])
@each_way
def test_stopped_run_goes_on_with_refined_positions_to_the_bit(name, options, device, tmp_path):
    """Stopped in the engine that refines, and again in one that only uses what was refined."""
    scan = scan_of("far", (2, 1))
    chain = [refining(name, iterations=4, **options), {"name": "AP", "iterations": 3}]
    whole = scan.run(*chain, device=device, parts=3)

    stop = {"checkpoint": tmp_path / "run", "callback": lambda state: state.iteration == 1}
    first = scan.run(*chain, device=device, parts=3, **stop)
    assert first.stopped == "callback"
    second = exitwave.resume(
        tmp_path / "run", scan.data, params={"callback": lambda s: s.engine_index == 1}
    )
    assert second.stopped == "callback"
    resumed = exitwave.resume(tmp_path / "run", scan.data)

    assert_same_bits(whole, resumed)
    np.testing.assert_array_equal(whole.positions, resumed.positions)
    assert (whole.positions != scan.positions).any()
