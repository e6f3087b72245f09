"""Scan positions: density, order, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from exitwave import scans
from exitwave.errors import InvalidArgument


def neighbour_distances(points):
    return cKDTree(points).query(points, k=2)[0][:, 1]


def test_raster_without_jitter_is_a_lattice_with_the_given_steps():
    points = scans.raster((3, 5), (2.0, 7.0))

    rows, columns = points.reshape(3, 5, 2).transpose(2, 0, 1)
    np.testing.assert_allclose(np.diff(rows, axis=0), 2.0)
    np.testing.assert_allclose(np.diff(columns, axis=1), 7.0)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-12)


def test_jitter_moves_points_by_no_more_than_its_fraction_of_the_step():
    still = scans.raster(30, (4.0, 6.0))
    moved = scans.raster(30, (4.0, 6.0), jitter=0.25, seed=3)

    away = np.abs(moved - still)
    assert (away <= [1.0, 1.5]).all()
    assert (away.max(axis=0) > [0.7, 1.0]).all()
    np.testing.assert_array_equal(moved, scans.raster(30, (4.0, 6.0), jitter=0.25, seed=3))
    assert (moved != scans.raster(30, (4.0, 6.0), jitter=0.25, seed=4)).any()


@pytest.mark.parametrize("kind", scans.SCANS)
def test_each_point_has_an_area_of_step_squared(kind):
    step = 3.0
    points = scans.make_scan(kind, 2000, step)

    reach = 20 * step
    inside = (np.abs(points) < reach).all(axis=1)
    assert inside.sum() * step**2 == pytest.approx((2 * reach) ** 2, rel=0.06)


@pytest.mark.parametrize("kind", scans.SCANS)
def test_neighbours_are_about_a_step_apart(kind):
    distances = neighbour_distances(scans.make_scan(kind, 500, 5.0))

    assert 3.0 < np.median(distances) < 5.6
    assert distances.min() > 2.0


@pytest.mark.parametrize("kind", scans.SCANS)
def test_steps_stretch_rows_and_columns_separately(kind):
    square, wide = scans.make_scan(kind, 40, 1.0), scans.make_scan(kind, 40, (1.0, 3.0))

    np.testing.assert_allclose(wide, square * [1.0, 3.0], atol=1e-12)


@pytest.mark.parametrize("kind", scans.SCANS)
@pytest.mark.parametrize("frames", [1, 2, 13])
def test_any_number_of_frames(kind, frames):
    assert scans.make_scan(kind, frames, 2.0).shape == (frames, 2)


def test_linear_overlap_of_touching_and_of_equal_discs():
    assert scans.linear_overlap(10.0, 10.0) == 0
    assert scans.linear_overlap(2.5, 10.0) == 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scans.raster(10, 0.0), "step_px was 0.0, but must be a finite number above 0"),
        (lambda: scans.raster(10, 1.0, jitter=2), "jitter was 2, but must be"),
        (lambda: scans.spiral(0, 1.0), "frames was 0, but must be a whole number"),
        (lambda: scans.rings(5, 1.0, points_first_ring=2), "points_first_ring was 2"),
        (lambda: scans.make_scan("spirall", 5, 1.0), "perhaps 'spiral'"),
        (lambda: scans.spiral(5, (1.0, 2.0, 3.0)), "step_px had 3 values"),
    ],
)
def test_bad_scans_are_refused(call, message):
    with pytest.raises(InvalidArgument, match=message.replace("(", r"\(")):
        call()
