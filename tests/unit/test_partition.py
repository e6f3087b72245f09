"""Parts are compact and equal, groups use each frame once and are spread over the scan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitwave.errors import InvalidArgument
from exitwave.partition import draw_groups, spatial_order, split_in_parts


def scan_of(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, (50, 90), (frames, 2))


@given(frames=st.integers(1, 60), parts=st.integers(1, 60), seed=st.integers(0, 9))
def test_every_frame_is_in_one_part_and_parts_are_equal(frames, parts, seed):
    parts = min(parts, frames)

    pieces = split_in_parts(scan_of(frames, seed), parts)

    assert len(pieces) == parts
    assert sorted(np.concatenate(pieces).tolist()) == list(range(frames))
    sizes = [len(piece) for piece in pieces]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 2


def test_parts_are_cut_along_the_longer_side():
    rows, columns = np.meshgrid(np.arange(4), np.arange(40), indexing="ij")
    positions = np.stack([rows.ravel(), columns.ravel()], axis=1).astype(float)

    for piece in split_in_parts(positions, 4):
        extent = np.ptp(positions[piece], axis=0)
        assert extent.tolist() == [3, 9]


@pytest.mark.parametrize("parts", [2, 3, 7, 16])
def test_parts_are_compact(parts):
    """The bounding boxes together are little larger than that of the scan."""
    positions = scan_of(2000)

    boxes = [np.ptp(positions[piece], axis=0).prod() for piece in split_in_parts(positions, parts)]

    assert sum(boxes) < 1.05 * np.ptp(positions, axis=0).prod()


@given(frames=st.integers(1, 80), seed=st.integers(0, 9))
def test_order_has_every_frame_once(frames, seed):
    assert sorted(spatial_order(scan_of(frames, seed)).tolist()) == list(range(frames))


def test_neighbours_in_the_order_are_neighbours_in_the_scan():
    positions = scan_of(1000)
    order = spatial_order(positions)

    step = np.linalg.norm(np.diff(positions[order], axis=0), axis=1)
    unordered = np.linalg.norm(np.diff(positions, axis=0), axis=1)

    assert np.median(step) < 0.15 * np.median(unordered)


def test_frames_at_one_place_are_no_problem():
    """As in a scan with repeated exposures: order and parts are those of the frame numbers."""
    positions = np.zeros((10, 2))

    assert spatial_order(positions).tolist() == list(range(10))
    assert [piece.tolist() for piece in split_in_parts(positions, 2)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
    ]


@given(frames=st.integers(1, 60), size=st.integers(1, 80), seed=st.integers(0, 9))
def test_groups_use_every_frame_once(frames, size, seed):
    order = spatial_order(scan_of(frames))

    groups = draw_groups(order, size, np.random.default_rng(seed))

    assert sorted(frame for group in groups for frame in group) == list(range(frames))
    sizes = [len(group) for group in groups]
    assert max(sizes) == min(size, frames)
    # Only the last round of the strata may be incomplete.
    assert sum(n < max(sizes) for n in sizes) <= 1


def test_frames_of_a_group_are_spread_over_the_scan():
    """The nearest two of a group are further apart than those of a random choice."""
    positions = scan_of(640)
    random = np.random.default_rng(1)
    groups = draw_groups(spatial_order(positions), 16, random)
    shuffled = random.permutation(640).reshape(-1, 16)

    def nearest(group: list[int]) -> float:
        apart = np.linalg.norm(positions[group][:, None] - positions[group][None], axis=-1)
        return float(apart[apart > 0].min())

    spread = np.mean([nearest(group) for group in groups])
    chance = np.mean([nearest(list(group)) for group in shuffled])
    assert spread > 1.3 * chance


def test_groups_differ_from_iteration_to_iteration_and_follow_the_seed():
    order = spatial_order(scan_of(40))
    random = np.random.default_rng(3)

    first, second = (draw_groups(order, 4, random) for _ in range(2))

    assert first != second
    assert draw_groups(order, 4, np.random.default_rng(3)) == first
    assert draw_groups(order, 4, np.random.default_rng(4)) != first


# --- weights, trees of units, halos ---------------------------------------------------------------


def halo_area(positions: np.ndarray, pieces: list[np.ndarray], frame: tuple[int, int]) -> float:
    """Pixels of all bounding boxes of windows beyond those of the scan."""
    boxes = [np.prod(np.ptp(positions[piece], axis=0) + frame) for piece in pieces]
    return float(sum(boxes) - np.prod(np.ptp(positions, axis=0) + frame))


@given(
    frames=st.integers(1, 90),
    parts=st.integers(1, 90),
    together=st.sampled_from([(), (8,), (4, 2), (6, 3), (5,)]),
    seed=st.integers(0, 9),
)
def test_parts_down_a_tree_differ_by_one_frame_at_most(frames, parts, together, seed):
    parts = min(parts, frames)

    pieces = split_in_parts(scan_of(frames, seed), parts, frame_shape=(12, 20), together=together)

    assert sorted(np.concatenate(pieces).tolist()) == list(range(frames))
    sizes = [len(piece) for piece in pieces]
    assert len(sizes) == parts
    assert max(sizes) - min(sizes) <= 1


@given(parts=st.integers(1, 40), seed=st.integers(0, 9), spread=st.floats(1, 50))
def test_costs_of_parts_differ_by_about_one_frame(parts, seed, spread):
    cost = np.random.default_rng(seed).uniform(1, spread, 400)

    pieces = split_in_parts(scan_of(400, seed), parts, cost=cost)

    assert sorted(np.concatenate(pieces).tolist()) == list(range(400))
    sums = np.array([cost[piece].sum() for piece in pieces])
    # Each cut is off by half a frame, and passes the rest of what it is off to one of its sides.
    assert np.abs(sums - cost.sum() / parts).max() <= 1.5 * cost.max()


def test_expensive_frames_make_small_parts():
    positions = np.stack([np.zeros(40), np.arange(40.0)], axis=1)
    cost = np.where(np.arange(40) < 10, 3.0, 1.0)

    first, second = split_in_parts(positions, 2, cost=cost)

    assert first.tolist() == list(range(10))
    assert second.tolist() == list(range(10, 40))


@pytest.mark.parametrize("options", [{}, {"frame_shape": (12, 20)}, {"together": (4, 2)}])
def test_same_scan_gives_the_same_parts(options):
    positions = scan_of(300)
    before = positions.copy()

    one, two = (split_in_parts(positions, 8, **options) for _ in range(2))

    assert [piece.tolist() for piece in one] == [piece.tolist() for piece in two]
    np.testing.assert_array_equal(positions, before)


@pytest.mark.parametrize(
    ("parts", "together"),
    [(4, ()), (9, ()), (25, ()), (16, (8,)), (24, (8,)), (64, (8,)), (16, (4, 2)), (60, (4, 2))],
)
def test_square_scans_are_never_cut_into_stripes(parts, together):
    positions = np.random.default_rng(2).uniform(0, 500, (4000, 2))

    pieces = split_in_parts(positions, parts, frame_shape=(64, 64), together=together)

    for piece in pieces:
        extent = np.ptp(positions[piece], axis=0)
        assert extent.max() < 3.1 * extent.min()


def test_wide_windows_are_cut_across_their_short_side():
    """Both halves of a square scan hold the windows' width or height twice: the smaller one."""
    positions = np.random.default_rng(3).uniform(0, 60, (500, 2))

    for frame, axis in (((8, 128), 0), ((128, 8), 1)):
        first, second = split_in_parts(positions, 2, frame_shape=frame)
        assert positions[first, axis].max() <= positions[second, axis].min()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_knowing_the_window_never_enlarges_the_halo_of_a_cut(parts, seed):
    positions = np.random.default_rng(seed).uniform(0, (90, 110), (400, 2))
    frame = (24, 60)

    plain, informed = (split_in_parts(positions, parts, frame_shape=f) for f in (None, frame))

    assert halo_area(positions, informed, frame) <= 1.02 * halo_area(positions, plain, frame)


def test_a_node_is_a_compact_piece_of_the_scan():
    positions = scan_of(2400)

    pieces = split_in_parts(positions, 24, frame_shape=(12, 20), together=(8, 4))

    for unit in (8, 4):
        members = [np.concatenate(pieces[first : first + unit]) for first in range(0, 24, unit)]
        boxes = sum(np.ptp(positions[member], axis=0).prod() for member in members)
        assert boxes < 1.03 * np.ptp(positions, axis=0).prod()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": 0}, "parts is 0, but must be 1 to the 5 frames"),
        ({"parts": 6}, "parts is 6, but must be 1 to the 5 frames"),
        ({"parts": 2, "cost": [1, 2]}, r"cost has shape \(2,\), but must be a finite number"),
        ({"parts": 2, "cost": [1, 1, 0, 1, 1]}, "above 0 for each of the 5 frames"),
        ({"parts": 2, "cost": [1, 1, np.nan, 1, 1]}, "must be a finite number above 0"),
        ({"parts": 2, "together": (2, 4)}, r"together is \(2, 4\), but must be numbers of parts"),
        ({"parts": 2, "together": (0,)}, r"together is \(0,\)"),
    ],
)
def test_wrong_partitions_are_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        split_in_parts(scan_of(5), **options)
