"""The oracle of multislice and refinement: adjoints, finite differences, known limits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import reference as ref
from exitwave.multislice import Slices
from reference import multislice, refinement
from thick_truth import (
    DISTANCES,
    FRAME,
    NEAR_DISTANCE,
    NEAR_PIXEL,
    NOISES,
    PIXEL,
    SLOPE,
    WAVELENGTH,
    central_difference,
    make_kernels,
    make_problem,
    near,
    noise_of,
    relative,
)


@pytest.fixture(params=["far", "near"])
def propagator(request):
    return ref.FarField() if request.param == "far" else near()


# Multislice


def test_one_slice_is_the_thin_model(propagator):
    p = make_problem(propagator, slices=1)
    for position in p.scan.positions:
        wave = multislice.thick_forward(p.obj, p.probe, position, propagator, make_kernels(1))
        assert relative(wave, ref.forward(p.thin, p.probe, position, propagator)) < 1e-14


def test_oracle_and_simulator_agree_on_slices_and_tilt():
    rng = np.random.default_rng(0)
    probe, obj = noise_of(rng, 1, *FRAME), noise_of(rng, 1, 3, *FRAME)

    _, wave = multislice.incident_waves(obj, probe, np.zeros(2), make_kernels(3, slope=SLOPE))

    slices = Slices.make(FRAME, WAVELENGTH, DISTANCES, PIXEL)
    assert relative(wave[0, 0], slices.exit_wave(probe[0], obj[0], np.arctan(SLOPE))) < 1e-13


def test_thick_linear_forward_and_adjoint_are_adjoint(propagator):
    """Re <A(dO, dP), y> = Re <(dO, dP), A* y>, and A is the derivative of the model."""
    rng = np.random.default_rng(3)
    kernels = make_kernels(3, slope=SLOPE)
    p = make_problem(propagator, modes=(2, 2))
    d_obj, d_probe = noise_of(rng, *p.obj.shape), noise_of(rng, *p.probe.shape)
    for position in p.scan.positions:
        y = noise_of(rng, 2, 2, *FRAME)
        model = (p.obj, p.probe, position, propagator, kernels)

        image = multislice.thick_linear_forward(
            p.obj, p.probe, d_obj, d_probe, position, propagator, kernels
        )
        back = multislice.thick_adjoint(*model, y)

        assert ref.inner((image,), (y,)) == pytest.approx(ref.inner((d_obj, d_probe), back))
        step = 1e-6
        moved = [
            multislice.thick_forward(
                p.obj + t * d_obj, p.probe + t * d_probe, position, propagator, kernels
            )
            for t in (step, -step)
        ]
        assert relative((moved[0] - moved[1]) / (2 * step), image) < 1e-8


@pytest.mark.parametrize("noise", NOISES)
def test_thick_gradient_is_the_finite_difference(propagator, noise):
    rng = np.random.default_rng(4)
    kernels = make_kernels(3)
    p = make_problem(propagator, modes=(2, 2))
    gradient = multislice.thick_gradients(p.scan, p.obj, p.probe, kernels, noise)
    d = noise_of(rng, *p.obj.shape), noise_of(rng, *p.probe.shape)

    def loss(t):
        return multislice.thick_loss(p.scan, p.obj + t * d[0], p.probe + t * d[1], kernels, noise)

    expected = central_difference(loss, 3e-5)
    assert 2 * ref.inner(gradient, d) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("noise", ["poisson", "amplitude"])
def test_gradients_of_slice_distances_and_tilt_are_finite_differences(propagator, noise):
    kernels = make_kernels(3, slope=SLOPE)
    p = make_problem(propagator)
    frames = range(len(p.scan.counts))

    def gradient(derivatives):
        return sum(
            multislice.kernel_gradient(
                p.obj, p.probe, p.scan.positions[j], propagator, kernels, derivatives,
                multislice.thick_residual(p.scan, j, p.obj, p.probe, kernels, noise),
            )
            for j in frames
        )  # fmt: skip

    def loss(distances, slope):
        changed = make_kernels(3, distances, slope)
        return multislice.thick_loss(p.scan, p.obj, p.probe, changed, noise)

    by_distance = gradient(multislice.distance_derivatives(kernels, WAVELENGTH, PIXEL, SLOPE))
    for s in (0, 1):
        step = np.eye(2)[s]
        expected = central_difference(lambda t, e=step: loss(DISTANCES + t * e, SLOPE), 2e-9)
        assert by_distance[s] == pytest.approx(expected, rel=1e-6)
    by_slope = multislice.slope_derivatives(kernels, DISTANCES, PIXEL)
    for axis in (0, 1):
        step = np.eye(2)[axis]
        expected = central_difference(lambda t, e=step: loss(DISTANCES, SLOPE + t * e), 2e-6)
        assert gradient(by_slope[axis]).sum() == pytest.approx(expected, rel=1e-6)


# Positions and other unknowns


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("slices", [1, 3])
def test_position_gradient_is_the_finite_difference(propagator, slices, noise):
    kernels = make_kernels(slices)
    p = make_problem(propagator, slices=slices, modes=(2, 2))
    for j in (0, 4):
        residual = multislice.thick_residual(p.scan, j, p.obj, p.probe, kernels, noise)
        got = refinement.position_gradient(
            p.obj, p.probe, p.scan.positions[j], propagator, residual, kernels
        )

        def loss(move, frame=j):
            position = p.scan.positions[frame] + move
            one = ref.Scan(p.scan.counts[[frame]], p.scan.mask, position[None], propagator)
            return multislice.thick_loss(one, p.obj, p.probe, kernels, noise)

        for axis, along in enumerate(np.eye(2)):
            expected = central_difference(lambda t, e=along: loss(t * e), 1e-4)
            assert got[axis] == pytest.approx(expected, rel=1e-6)


def smooth_problem(move, seed=2):
    """A frame of a smooth object, seen ``move`` away from where it is thought to be."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((60, 70))
    obj = np.ones((1, 60, 70), complex)
    for _ in range(6):
        frequency, phase = rng.uniform(-0.06, 0.06, 2), rng.uniform(0, 6)
        obj += 0.2 * np.exp(2j * np.pi * (frequency[0] * rows + frequency[1] * columns) + phase)
    rows, columns = np.indices((32, 36))
    probe = 30 * np.exp(-(((rows - 16) / 5) ** 2) - ((columns - 18) / 6) ** 2)[None] + 0j
    position = np.array([12.0, 14.0])
    return obj, probe, position, np.asarray(move)


def test_position_step_finds_a_small_shift():
    """chi is what the exit wave lacks; along its axis the step is the shift that explains it."""
    for move in ((0.05, 0.0), (0.0, -0.08), (0.2, 0.0)):
        obj, probe, position, move = smooth_problem(move)
        inside = ref.window(obj, position, (32, 36))
        # O(r + position + move) by the Fourier shift theorem of the whole, periodic enough object.
        moved = ref.window(ref.shift(obj, -move), position, (32, 36))

        step = refinement.position_step(obj, probe, position, probe[:, None] * (moved - inside))

        axis = np.abs(move).argmax()
        assert step[axis] == pytest.approx(move[axis], rel=0.05)


def test_steps_keep_the_mean_and_the_limit_and_leave_quiet_frames():
    steps = np.array([[1.0, 0.0], [3.0, 0.5], [-1.0, 0.1], [50.0, 50.0]])

    applied = refinement.applied_steps(steps, np.array([1.0, 1.2, 0.8, 0.01]), 0.9)

    assert not applied[3].any()
    assert np.hypot(*applied.T).max() <= 0.9 + 1e-12
    unlimited = refinement.applied_steps(steps, np.array([1.0, 1.2, 0.8, 0.01]), np.inf)
    np.testing.assert_allclose(unlimited.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("noise", ["poisson", "amplitude"])
def test_gradients_of_distance_and_defocus_are_finite_differences(noise):
    p = make_problem(near(), slices=1)
    none = refinement.NO_KERNELS
    frames = range(len(p.scan.counts))
    residuals = [multislice.thick_residual(p.scan, j, p.obj, p.probe, none, noise) for j in frames]

    def at_distance(z):
        scan = dataclasses.replace(p.scan, propagator=near(NEAR_DISTANCE + z))
        return ref.total_loss(scan, p.thin, p.probe, noise)

    def at_defocus(z):
        kernel = near(z).kernel
        return ref.total_loss(p.scan, p.thin, multislice.filtered(p.probe, kernel), noise)

    optics = (WAVELENGTH, NEAR_PIXEL)
    distance = sum(
        refinement.distance_gradient(
            p.thin, p.probe, p.scan.positions[j], p.scan.propagator, residuals[j], *optics
        )
        for j in frames
    )
    defocus = sum(
        refinement.defocus_gradient(
            p.obj, p.probe, p.scan.positions[j], p.scan.propagator, residuals[j], *optics
        )
        for j in frames
    )
    assert distance == pytest.approx(central_difference(at_distance, 2e-6), rel=1e-6)
    assert defocus == pytest.approx(central_difference(at_defocus, 2e-6), rel=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_background_gradient_is_the_finite_difference(propagator, noise):
    rng = np.random.default_rng(6)
    p = make_problem(propagator, slices=1)
    waves = [ref.forward(p.thin, p.probe, x, propagator) for x in p.scan.positions]
    background, direction = rng.uniform(1, 5, FRAME), rng.standard_normal(FRAME)

    def loss(t):
        now = background + t * direction
        models = [(np.abs(wave) ** 2).sum((0, 1)) + now for wave in waves]
        return sum(
            ref.loss(model[p.scan.mask], counts[p.scan.mask], noise).sum()
            for model, counts in zip(models, p.scan.counts, strict=True)
        )

    gradient = refinement.background_gradient(p.scan, waves, background, noise)
    expected = central_difference(loss, 1e-4)
    assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-6)


def test_affine_fit_and_its_gradient():
    rng = np.random.default_rng(7)
    nominal = rng.uniform(0, 50, (20, 2))
    matrix, offset = np.array([[1.01, -0.02], [0.03, 0.98]]), np.array([3.0, 4.0])
    positions = offset + (nominal - nominal.mean(axis=0)) @ matrix.T

    got = refinement.affine_fit(positions, nominal)

    np.testing.assert_allclose(got[0], matrix)
    np.testing.assert_allclose(got[1], offset)
    target = rng.uniform(0, 50, (20, 2))
    d_matrix, d_offset = rng.standard_normal((2, 2)), rng.standard_normal(2)

    def loss(t):
        moved = (offset + t * d_offset) + (nominal - nominal.mean(axis=0)) @ (
            matrix + t * d_matrix
        ).T
        return ((moved - target) ** 2).sum()

    gradient = refinement.affine_gradient(2 * (positions - target), nominal)
    expected = central_difference(loss, 1e-3)
    assert (gradient[0] * d_matrix).sum() + gradient[1] @ d_offset == pytest.approx(expected)
