"""Parts are compact and equal; groups use each frame once and are spread over the scan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
