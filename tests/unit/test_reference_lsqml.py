"""The oracle of LSQML: its steps are minima, its directions lead downhill."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference import lsqml
from thick_truth import FRAME, NOISES, make_problem, near, noise_of, relative


@pytest.fixture(params=["far", "near"])
def propagator(request):
    return ref.FarField() if request.param == "far" else near()


@pytest.mark.parametrize("noise", NOISES)
def test_line_step_comes_close_to_the_minimum_along_the_slope(noise):
    rng = np.random.default_rng(8)
    model, mask = rng.uniform(5, 50, FRAME), rng.random(FRAME) > 0.2
    counts = rng.poisson(model * rng.uniform(0.8, 1.2, FRAME)).astype(float)
    offset = lsqml.offset_of(noise)
    xi = ref.loss_factor(model + offset, counts + offset, noise)

    def loss(alpha):
        here = (model * (1 - alpha * xi) ** 2)[mask] + offset
        return ref.loss(here, counts[mask] + offset, noise).sum()

    lowest = min(loss(alpha) for alpha in np.linspace(0, 1, 1001))

    alpha = lsqml.line_step(model, counts, mask, noise)

    assert loss(alpha) - lowest < 0.1 * (loss(0) - lowest)


@pytest.mark.parametrize("noise", NOISES)
def test_line_step_goes_downhill_from_any_model(noise):
    """Dark where the data are bright, and the other way round."""
    rng = np.random.default_rng(8)
    model, mask = rng.uniform(0, 3, FRAME) ** 8, np.ones(FRAME, bool)
    counts = rng.poisson(rng.permutation(model.ravel()).reshape(FRAME)).astype(float)
    offset = lsqml.offset_of(noise)
    xi = ref.loss_factor(model + offset, counts + offset, noise)

    alpha = lsqml.line_step(model, counts, mask, noise)

    before, after = (
        ref.loss(model * (1 - step * xi) ** 2 + offset, counts + offset, noise).sum()
        for step in (0.0, alpha)
    )
    assert 0 < alpha <= 1
    assert after < before


def test_frame_steps_solve_the_least_squares_problem(propagator):
    rng = np.random.default_rng(9)
    p = make_problem(propagator, slices=1, modes=(2, 2))
    d_obj, d_probe = noise_of(rng, *p.thin.shape), noise_of(rng, *p.probe.shape)
    position = p.scan.positions[2]
    exact = 0.7 * ref.exit_waves(d_obj, p.probe, position) - 0.3 * ref.exit_waves(
        p.thin, d_probe, position
    )

    got = lsqml.frame_steps(p.thin, p.probe, d_obj, d_probe, position, exact, 0.0)
    noisy = exact + noise_of(rng, *exact.shape)
    best = np.array(lsqml.frame_steps(p.thin, p.probe, d_obj, d_probe, position, noisy, 0.0))

    assert got == pytest.approx((0.7, -0.3))

    def left(steps):
        by_object = ref.exit_waves(d_obj, p.probe, position)
        by_probe = ref.exit_waves(p.thin, d_probe, position)
        return np.linalg.norm(noisy - steps[0] * by_object - steps[1] * by_probe)

    for change in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert left(best + change) > left(best)


@pytest.mark.parametrize("noise", NOISES)
def test_directions_lead_downhill(propagator, noise):
    p = make_problem(propagator, slices=1, modes=(2, 2))
    frames = range(len(p.scan.counts))
    chi = [lsqml.exit_residual(p.scan, j, p.thin, p.probe, noise)[0] for j in frames]

    d_obj, d_probe = lsqml.directions(p.scan, p.thin, p.probe, frames, chi)

    gradient, _, _ = ref.gradients(p.scan, p.thin, p.probe, noise)
    assert ref.inner(gradient, (d_obj, np.zeros_like(p.probe))) < 0
    assert ref.inner(gradient, (np.zeros_like(p.thin), d_probe)) < 0


@pytest.mark.parametrize("noise", NOISES)
def test_lsqml_lowers_its_loss_and_leaves_the_truth_alone(propagator, noise):
    p = make_problem(propagator, slices=1, modes=(1, 1), frames=12)
    frames = range(len(p.scan.counts))
    obj, probe = p.thin, p.probe
    losses = [ref.total_loss(p.scan, obj, probe, noise)]
    for _ in range(8):
        obj, probe, _ = lsqml.lsqml_group(p.scan, obj, probe, frames, noise)
        losses.append(ref.total_loss(p.scan, obj, probe, noise))
    floor = ref.total_loss(p.scan, p.truth[0][:, 0], p.truth[1], noise)

    assert (np.diff(losses) < 0).all()
    assert losses[-1] - floor < 0.3 * (losses[0] - floor)
    true_obj, true_probe, terms = lsqml.lsqml_group(
        p.scan, p.truth[0][:, 0], p.truth[1], frames, noise
    )
    assert relative(true_obj, p.truth[0][:, 0]) < 1e-12
    assert relative(true_probe, p.truth[1]) < 1e-12
    assert sum(term[0] for term in terms) < 1e-18


def test_object_alone_can_be_updated():
    p = make_problem(ref.FarField(), slices=1, modes=(1, 1))

    obj, probe, _ = lsqml.lsqml_group(
        p.scan, p.thin, p.probe, range(4), "amplitude", update_probe=False
    )

    np.testing.assert_array_equal(probe, p.probe)
    assert relative(obj, p.thin) > 1e-6


def test_trimmed_mean_drops_a_tenth_at_either_end():
    values = [100.0, *range(1, 19), -50.0]
    assert lsqml.trimmed_mean(values) == pytest.approx(np.mean(range(2, 18)))
    assert lsqml.trimmed_mean([1.0, 5.0]) == 3.0
