"""The oracle of frames with probes of their own: slopes and expansion of its loss."""

from __future__ import annotations

import numpy as np
import pytest

from reference import relaxation
from small_scan import PROPAGATIONS, noise_of, small_scan

COUNT = 2


def unknowns_of(scan, rng) -> relaxation.Unknowns:
    eigen = 0.3 * scan.probe * noise_of(rng, COUNT, *scan.probe.shape)
    weights = 0.2 * noise_of(rng, len(scan.data), COUNT)
    return scan.obj.astype(complex), scan.probe.astype(complex), eigen, weights


@pytest.mark.parametrize("noise", ["poisson", "amplitude"])
@pytest.mark.parametrize("regime", PROPAGATIONS)
def test_slope_and_expansion_are_those_of_the_loss(regime, noise):
    rng = np.random.default_rng(5)
    scan = small_scan(regime, 2)
    exact, here = scan.reference(), unknowns_of(scan, rng)
    direction = tuple(x * 0.1 * noise_of(rng, *x.shape) for x in here)
    h = 1e-4

    gradient, _, _ = relaxation.gradients(exact, here, noise)
    c1, c2, *_ = relaxation.step_terms(exact, here, direction, noise)
    middle, before, after = (
        relaxation.total_loss(exact, relaxation.moved(here, direction, t), noise)
        for t in (0, -h, h)
    )

    slope, bend = (after - before) / (2 * h), (after - 2 * middle + before) / (2 * h**2)
    assert 2 * relaxation.inner(gradient, direction) == pytest.approx(slope, rel=1e-6)
    assert c1 == pytest.approx(slope, rel=1e-6)
    assert c2 == pytest.approx(bend, rel=1e-4)
