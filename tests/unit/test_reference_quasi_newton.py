"""The oracle's L-BFGS is the update of a matrix, as the books have it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from reference.quasi_newton import Lbfgs


def test_direction_is_that_of_the_matrix():
    """H <- (1 - s y^T / <s, y>) H (1 - y s^T / <s, y>) + s s^T / <s, y>, from scale / weight."""
    rng = np.random.default_rng(0)
    bend = rng.standard_normal((8, 8))
    bend = bend @ bend.T + np.eye(8)
    weight = rng.uniform(0.5, 2, 8)
    places = rng.standard_normal((4, 8))
    lbfgs = Lbfgs(2)
    for place in places:
        gradient = bend @ place
        got = lbfgs.direction(
            (place[:5], place[5:]),
            (gradient[:5], gradient[5:]),
            (weight[:5], weight[5:]),
            lambda field: field,
            True,
        )

    pairs = [(b - a, bend @ (b - a)) for a, b in pairwise(places[1:])]
    s, y = pairs[-1]
    inverse = np.diag(1 / weight) * (s @ y) / (y @ (y / weight))
    for s, y in pairs:
        left = np.eye(8) - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    np.testing.assert_allclose(np.concatenate(got), -inverse @ bend @ places[-1], rtol=1e-10)


def test_a_pair_along_which_the_loss_bends_downwards_does_not_count():
    rng = np.random.default_rng(1)
    obj, probe, gradient = rng.standard_normal((3, 6))
    lbfgs = Lbfgs(3)

    def direction(place: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return lbfgs.direction(
            (place, probe), (slope, 0 * probe), (np.ones(6), np.ones(6)), lambda f: f, True
        )

    direction(obj, gradient)
    turned = direction(obj + 1, gradient - 1)

    assert not lbfgs.changes[0].counts
    np.testing.assert_array_equal(turned[0], 1 - gradient)
