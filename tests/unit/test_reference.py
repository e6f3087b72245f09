"""The oracle itself: adjoints and gradients of its model and losses."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from thin_truth import (
    FAR,
    FRAME,
    NEAR,
    NOISES,
    make_truth,
    noise_of,
    perturbed,
    relative,
)

# Propagation and forward model


def test_propagator_keeps_the_power_and_is_undone_by_its_adjoint(propagator):
    rng, fraction = np.random.default_rng(0), np.array([0.3, -0.45])
    x, y = noise_of(rng, *FRAME), noise_of(rng, *FRAME)

    there = propagator.forward(x, fraction)

    assert np.vdot(there, there).real == pytest.approx(np.vdot(x, x).real, rel=1e-12)
    assert relative(propagator.backward(there, fraction), x) < 1e-13
    assert np.vdot(there, y) == pytest.approx(np.vdot(x, propagator.backward(y, fraction)))


def test_plane_wave_of_the_far_field_lands_on_its_pixel():
    """Kernel exp(-2 pi i u x): exp(+2 pi i u x) gives one bright pixel at (Y//2 + u, X//2 + v)."""
    rows, columns = np.indices(FRAME)

    wave = FAR.forward(np.exp(2j * np.pi * (2 * rows / 12 + 3 * columns / 20)), np.zeros(2))

    assert np.unravel_index(np.abs(wave).argmax(), FRAME) == (6 + 2, 10 + 3)


def test_shift_moves_a_pixel_by_whole_pixels_and_back_by_fractions():
    rng = np.random.default_rng(0)
    wave = noise_of(rng, *FRAME)

    assert relative(ref.shift(wave, np.array([2.0, -3.0])), np.roll(wave, (2, -3), (0, 1))) < 1e-13
    move = np.array([0.5, -0.3])
    assert relative(ref.shift(ref.shift(wave, move), -move), wave) < 1e-13


def test_near_field_moves_the_object_and_not_the_beam(modes):
    """Without an object the frame is the same for every fraction of the position."""
    truth = make_truth(NEAR, *modes)

    counts = ref.simulate_counts(
        np.ones_like(truth.obj), truth.probe, truth.scan.positions, truth.scan.propagator
    )

    assert relative(counts[0], counts[1]) < 1e-12


def test_linear_forward_and_adjoint_are_adjoint(truth):
    """Re <A(dO, dP), y> = Re <(dO, dP), A* y> for every frame, in double."""
    rng = np.random.default_rng(3)
    d_obj, d_probe = noise_of(rng, *truth.obj.shape), noise_of(rng, *truth.probe.shape)
    for position in truth.scan.positions:
        y = noise_of(rng, len(truth.probe), len(truth.obj), *FRAME)
        sums = ref.Sums.zeros(truth.obj, truth.probe)

        ref.adjoint(truth.obj, truth.probe, position, truth.scan.propagator, y, sums)
        image = ref.linear_forward(
            truth.obj, truth.probe, d_obj, d_probe, position, truth.scan.propagator
        )

        back = np.vdot(d_obj, sums.object_numerator) + np.vdot(d_probe, sums.probe_numerator)
        assert np.vdot(image, y) == pytest.approx(back, rel=1e-10)


def test_denominators_are_the_illumination_and_the_object_power(truth):
    sums = ref.residual_pass(
        truth.scan, truth.obj, truth.probe, range(13), lambda j, model: 0 * model
    )

    assert sums.object_denominator.sum() == pytest.approx(13 * ref.probe_power(truth.probe))
    assert sums.probe_denominator.shape == FRAME
    assert not sums.object_numerator.any()


# Detector


def test_modulus_factor_gives_the_measured_intensity_and_leaves_masked_pixels(truth):
    obj, probe = perturbed(truth)
    waves = ref.forward(obj, probe, truth.scan.positions[4], truth.scan.propagator)

    g = ref.modulus_factor(waves, truth.scan.counts[4], truth.scan.mask)

    got = (np.abs(g * waves) ** 2).sum((0, 1))
    np.testing.assert_allclose(
        got[truth.scan.mask], truth.scan.counts[4][truth.scan.mask], rtol=1e-12
    )
    assert (g[~truth.scan.mask] == 1).all()


def test_power_bound_leaves_a_frame_on_the_sphere_of_the_bound(truth):
    obj, probe = perturbed(truth)
    counts, mask = truth.scan.counts[4], truth.scan.mask
    waves = ref.forward(obj, probe, truth.scan.positions[4], truth.scan.propagator)

    def deviation(g):
        amplitude = np.sqrt((np.abs(g * waves) ** 2).sum((0, 1)))
        return ((amplitude - np.sqrt(counts)) ** 2)[mask].mean()

    start = deviation(1.0)
    g = ref.modulus_factor(waves, counts, mask, power_bound=0.1 * start)
    assert deviation(g) == pytest.approx(0.1 * start)
    assert (ref.modulus_factor(waves, counts, mask, power_bound=2 * start) == 1).all()


@pytest.mark.parametrize("noise", NOISES)
def test_loss_factor_and_curvature_are_derivatives_of_the_loss(noise):
    model, counts = np.array([0.3, 2.0, 17.0, 400.0]), np.array([0.0, 3.0, 12.0, 410.0])
    step = 1e-5 * model

    slope = (ref.loss(model + step, counts, noise) - ref.loss(model - step, counts, noise)) / (
        2 * step
    )
    bend = (
        ref.loss_factor(model + step, counts, noise) - ref.loss_factor(model - step, counts, noise)
    ) / (2 * step)

    np.testing.assert_allclose(ref.loss_factor(model, counts, noise), slope, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ref.loss_curvature(model, counts, noise), bend, rtol=1e-5)


# ML


@pytest.mark.parametrize("noise", NOISES)
def test_gradient_is_the_finite_difference_of_the_loss(truth, noise):
    obj, probe = perturbed(truth)
    rng = np.random.default_rng(7)
    d_obj, d_probe = noise_of(rng, *obj.shape), 10 * noise_of(rng, *probe.shape)

    gradient, _, _ = ref.gradients(truth.scan, obj, probe, noise)

    step = 1e-6
    up = ref.total_loss(truth.scan, obj + step * d_obj, probe + step * d_probe, noise)
    down = ref.total_loss(truth.scan, obj - step * d_obj, probe - step * d_probe, noise)
    slope = 2 * (np.vdot(gradient[0], d_obj) + np.vdot(gradient[1], d_probe)).real
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("noise", NOISES)
def test_step_terms_are_the_expansion_of_the_loss(truth, noise):
    obj, probe = perturbed(truth)
    gradient, sums, _ = ref.gradients(truth.scan, obj, probe, noise)
    h = tuple(-z for z in ref.precondition(gradient, sums, (0.1, 0.1)))

    c1, c2, safe = ref.step_terms(truth.scan, obj, probe, h, noise)

    # Small enough for the second order at dark pixels, large enough for the rounding of the loss.
    t = 3e-5
    up = ref.total_loss(truth.scan, obj + t * h[0], probe + t * h[1], noise)
    down = ref.total_loss(truth.scan, obj - t * h[0], probe - t * h[1], noise)
    middle = ref.total_loss(truth.scan, obj, probe, noise)
    assert c1 == pytest.approx(2 * ref.inner(gradient, h), rel=1e-10)
    assert c1 == pytest.approx((up - down) / (2 * t), rel=1e-3)
    assert c2 == pytest.approx((up + down - 2 * middle) / (2 * t**2), rel=2e-2)
    assert safe > 0


@pytest.mark.parametrize("noise", NOISES)
def test_ml_steps_reduce_the_loss(truth, noise):
    obj, probe = perturbed(truth, 0.1)
    losses, memory = [ref.total_loss(truth.scan, obj, probe, noise)], None
    for _ in range(5):
        obj, probe, memory, _, _ = ref.ml_iteration(truth.scan, obj, probe, memory, noise=noise)
        losses.append(ref.total_loss(truth.scan, obj, probe, noise))

    assert (np.diff(losses) < 0).all()


@pytest.mark.parametrize("memory", [lambda: None, lambda: ref.Lbfgs(2)], ids=["conjugate", "lbfgs"])
def test_ml_step_is_the_same_for_a_factor_traded_between_object_and_probe(memory):
    truth = make_truth(FAR)
    obj, probe = perturbed(truth, 0.1)
    one = (obj, probe, memory())
    two = (obj / 3, probe * 3, memory())
    for _ in range(4):
        one = ref.ml_iteration(truth.scan, *one[:3], smoothness=0.01)
        two = ref.ml_iteration(truth.scan, *two[:3], smoothness=0.01)

    assert relative(two[0] * 3, one[0]) < 1e-10
    assert relative(two[1] / 3, one[1]) < 1e-10


def test_smoothness_gradient_is_its_finite_difference():
    truth = make_truth(FAR, 2, 2)
    rng = np.random.default_rng(2)
    d_obj, d_probe = noise_of(rng, *truth.obj.shape), noise_of(rng, *truth.probe.shape)
    sums = ref.residual_pass(truth.scan, truth.obj, truth.probe, [0, 5], lambda j, m: 0 * m)
    touched = ref.reached(sums)
    assert not touched.all()

    def value(t):
        return ref.smoothness_loss(truth.obj + t * d_obj, truth.probe + t * d_probe, 0.3, touched)

    g_obj, g_probe = ref.smoothness_gradients(truth.obj, truth.probe, 0.3, touched)
    slope = 2 * (np.vdot(g_obj, d_obj) + np.vdot(g_probe, d_probe)).real
    c1, c2 = ref.smoothness_terms(truth.obj, truth.probe, (d_obj, d_probe), 0.3, touched)

    assert slope == pytest.approx((value(1e-4) - value(-1e-4)) / 2e-4, rel=1e-6)
    assert c1 == pytest.approx(slope)
    assert c2 == pytest.approx((value(1e-3) + value(-1e-3) - 2 * value(0)) / 2e-6, rel=1e-4)
