"""What is done with the frames' own opinions of their positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exitwave.parameters import validate_params
from exitwave.positions import (
    Bounds,
    PositionRefiner,
    affine_positions,
    frame_steps,
    limited,
    margin_px,
    position_limit,
)
from exitwave.schedules import due, position_factor


@pytest.fixture
def given() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 60, (50, 2))


def sums_for(moves: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Normal equations whose solutions are the moves, with an oblique matrix."""
    a = np.array([[2.0, 0.5], [0.5, 1.0]])
    right = moves @ a
    columns = [np.full(len(moves), v) for v in (2.0, 0.5, 1.0)]
    return np.column_stack([*columns, right]) * strength[:, None]


def refiner(given: np.ndarray, **options: Any) -> PositionRefiner:
    engine = {"name": "AP", "position_start": 0} | options
    params = validate_params({"engines": [engine]}).engines[0]
    bounds = Bounds.around(given, params.position_limit_px, (100, 100), (20, 20))
    return PositionRefiner(params, given, given, bounds)


def test_steps_solve_each_frame_s_equations_up_to_the_damping(given):
    moves = np.random.default_rng(1).normal(0, 0.3, given.shape)

    steps, loud = frame_steps(sums_for(moves, np.linspace(0.5, 1.5, 50)))

    assert loud.all()
    assert steps == pytest.approx(moves, abs=0.08)


def test_object_that_varies_along_one_axis_moves_frames_along_it_alone():
    sums = np.array([[1.0, 0.0, 0.0, 0.3, 0.0], [1.0, 1.0, 1.0, 0.2, 0.2]])

    steps, _ = frame_steps(sums)

    assert steps[0] == pytest.approx((0.3, 0.0), abs=0.01)
    assert steps[1, 0] == pytest.approx(steps[1, 1])
    assert 0.05 < steps[1, 0] < 0.11


def test_quiet_frames_stay_and_the_mean_of_the_others_is_kept(given):
    moves = np.random.default_rng(1).normal(0.2, 0.1, given.shape)
    strength = np.ones(50)
    strength[:7] = 1e-4

    moved = refiner(given).update(sums_for(moves, strength))

    np.testing.assert_array_equal(moved[:7], given[:7])
    assert moved[7:].mean(axis=0) == pytest.approx(given[7:].mean(axis=0), abs=1e-12)
    assert np.abs(moved - given)[7:].max() > 0.1


def test_silence_moves_nothing(given):
    np.testing.assert_array_equal(refiner(given).update(np.zeros((50, 5))), given)


def test_long_steps_keep_their_direction():
    steps = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])

    assert limited(steps, 1.0) == pytest.approx(np.array([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


def test_bounds_hold_however_long_frames_push(given):
    moves = np.random.default_rng(1).normal(0, 1, given.shape)
    refine = refiner(given, position_limit_px=1.5)

    for _ in range(20):
        moved = refine.update(sums_for(moves, np.ones(50)))

    assert np.abs(moved - given).max() <= 1.5
    assert moved.min() >= 0
    assert moved.max() <= 80
    assert refine.at_bound() > 10


def test_affine_map_is_found_in_spite_of_frames_that_went_astray(given):
    rng = np.random.default_rng(2)
    matrix = np.array([[1.01, -0.02], [0.015, 0.98]])
    truth = given @ matrix + np.array([3.0, -2.0])
    moved = truth + rng.normal(0, 0.02, given.shape)
    moved[:8] += rng.uniform(5, 9, (8, 2))

    mapped = affine_positions(given, moved, np.ones(50, bool))

    assert np.abs(mapped - truth).max() < 0.03


def test_pull_towards_the_map_is_in_proportion(given):
    moves = np.random.default_rng(1).normal(0, 0.1, given.shape)
    sums = sums_for(moves, np.ones(50))

    free, half, all_of_it = (
        refiner(given, position_affine=weight).update(sums) for weight in (0.0, 0.5, 1.0)
    )

    assert half == pytest.approx((free + all_of_it) / 2)
    basis = np.column_stack([given, np.ones(50)])
    assert np.linalg.lstsq(basis, all_of_it, rcond=None)[1] == pytest.approx(0, abs=1e-20)


def test_steps_of_poisson_losses_are_halved(given):
    """Their slopes are twice those of squared amplitudes, where both nearly agree."""
    sums = sums_for(np.random.default_rng(1).normal(0, 0.1, given.shape), np.ones(50))

    one, other = (
        refiner(given, name="ML", noise=noise).update(sums) for noise in ("amplitude", "poisson")
    )

    assert 2 * (other - given) == pytest.approx(one - given, abs=1e-12)


def test_search_finds_the_lowest_place_where_bounds_are_tight(given):
    """Bounds just beyond where frames belong, for some frames without room along one axis."""
    rng = np.random.default_rng(3)
    moves = rng.uniform(0.3, 0.6, given.shape) * rng.choice([-1, 1], given.shape)
    moves[:5, 0] = moves[5:9, 1] = 0.0
    room = np.where(moves == 0, 0.0, 0.01)
    moves -= np.where(moves == 0, 0.0, moves.sum(axis=0) / (moves != 0).sum(axis=0))
    truth = given + moves
    bounds = Bounds(np.minimum(given, truth) - room, np.maximum(given, truth) + room)
    params = refiner(given, position_search_px=1.0).params
    search = PositionRefiner(params, given, given, bounds)

    def deviations_at(positions: np.ndarray) -> np.ndarray:
        y, x = (positions - truth).T
        return 3 + 2 * y**2 + x**2 + 0.7 * y * x

    found = search.search(deviations_at)

    assert found == pytest.approx(truth, abs=1e-9)
    assert search.at_bound() == 0


@pytest.mark.parametrize("unknown", ["position", "map", "distance", "slice_distance", "tilt"])
def test_iterations_that_refine(unknown):
    given = {"name": "gradient", "iterations": 20, "object_start": 9}
    given |= {f"{unknown}_start": 3, f"{unknown}_every": 4, f"{unknown}_stop": 11}
    known = {"regime": "near", "wavelength_m": 1e-10, "distance_m": 0.1, "pixel_size_m": 1e-7}
    propagation = known | {"slice_distances_m": 1e-3}
    (engine,) = validate_params({"engines": [given], "propagation": propagation}).engines

    assert [i for i in range(20) if due(engine, unknown, i)] == [3, 7]
    assert not any(due(engine, "defocus", i) for i in range(20))


def test_steps_of_positions_follow_their_schedule():
    given = {"name": "gradient", "iterations": 9, "position_start": 1, "position_stop": 5}
    engines = validate_params({"engines": [given, given | {"position_schedule": "cosine"}]}).engines

    constant, cosine = ([position_factor(engine, i) for i in range(1, 5)] for engine in engines)

    assert constant == [1.0] * 4
    assert cosine == pytest.approx((1 + np.cos(np.pi * np.arange(4) / 4)) / 2)


def test_room_for_windows_is_that_of_the_engine_that_moves_them_farthest():
    engines = validate_params({
        "engines": [
            {"name": "AP"},
            {"name": "AP", "position_start": 0, "position_limit_px": 2.5},
            {"name": "AP", "position_start": 0, "position_limit_px": 1.0},
        ]
    }).engines  # fmt: skip

    assert position_limit(engines) == 2.5
    assert position_limit(engines[:1]) is None
    assert margin_px(2.5) == 4
    assert margin_px(None) == 0
