"""What is known of the object: the oracle's gradient, expansion and step belong to its penalty."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from small_scan import noise_of

STRENGTHS = ["tv", "smoothness", "l1", "reweighted_l1", "l2"]


def field() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An object of two modes, a direction, and reached pixels with holes."""
    rng = np.random.default_rng(3)
    touched = rng.random((7, 9)) > 0.2
    return 1 + 0.3 * noise_of(rng, 2, 7, 9), noise_of(rng, 2, 7, 9) * touched, touched


@pytest.mark.parametrize("of_phase", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_gradient_is_the_finite_difference(strength, of_phase):
    obj, direction, touched = field()
    prior = ref.Prior(touched, **{strength: 0.3}, of_phase=of_phase)

    def along(t: float) -> float:
        return prior.penalty(obj + t * direction)

    slope = (along(1e-6) - along(-1e-6)) / 2e-6
    assert 2 * np.vdot(prior.gradient(obj), direction).real == pytest.approx(slope, rel=1e-6)
    assert prior.terms(obj, direction)[0] == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_expansion_lies_above_the_penalty(strength):
    """So that a step to its minimum is never uphill."""
    obj, direction, touched = field()
    prior = ref.Prior(touched, **{strength: 0.3})
    r1, r2 = prior.terms(obj, direction)

    for t in (-0.5, -0.05, 0.05, 0.5):
        expanded = prior.penalty(obj) + t * r1 + t**2 * r2
        assert prior.penalty(obj + t * direction) <= expanded * (1 + 1e-12)


@pytest.mark.parametrize("of_phase", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_steps_come_to_rest_at_the_emptiest_object(strength, of_phase):
    """The penalty falls with every step."""
    obj, _, touched = field()
    prior = ref.Prior(touched, **{strength: 0.05}, of_phase=of_phase)
    penalties = [prior.penalty(obj)]
    for _ in range(30):
        obj = prior.step(obj)
        penalties.append(prior.penalty(obj))

    assert (np.diff(penalties) < 1e-12).all()
    lowest = prior.penalty(np.ones_like(obj))
    assert penalties[-1] - lowest < 0.3 * (penalties[0] - lowest)
