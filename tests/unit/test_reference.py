"""The oracle itself: adjoints, gradients, fixed points, and limits that are known on paper."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import reference as ref

FRAME = (12, 20)
FAR = ref.FarField()
NEAR = ref.NearField.angular_spectrum(FRAME, 1e-10, 0.02, (1e-7, 1.3e-7))
FRESNEL = ref.NearField.fresnel(FRAME, 1e-10, 0.02, (1e-7, 1.3e-7))
PROPAGATORS = {"far": FAR, "near": NEAR, "fresnel": FRESNEL}
NOISES = ["poisson", "amplitude", "gaussian", "anscombe"]


def noise_of(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def relative(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


@dataclasses.dataclass
class Truth:
    scan: ref.Scan
    obj: np.ndarray
    probe: np.ndarray


def make_truth(propagator, probe_modes=2, object_modes=1, frames=13, seed=1) -> Truth:
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(FRAME)
    envelope = np.exp(-(((rows - 6) / 3) ** 2) - ((columns - 10) / 5) ** 2)
    probe = 30 * envelope * (1 + 0.5 * noise_of(rng, probe_modes, *FRAME))
    obj = 1 + 0.3 * noise_of(rng, object_modes, 22, 33)
    positions = rng.uniform(0, (22 - FRAME[0] - 0.6, 33 - FRAME[1] - 0.6), (frames, 2))
    counts = ref.simulate_counts(obj, probe, positions, propagator)
    mask = rng.random(FRAME) > 0.1
    return Truth(ref.Scan(counts, mask, positions, propagator), obj, probe)


@pytest.fixture(params=PROPAGATORS)
def propagator(request):
    return PROPAGATORS[request.param]


@pytest.fixture(params=[(1, 1), (2, 1), (3, 2)], ids=["1x1", "2x1", "3x2"])
def modes(request):
    return request.param


@pytest.fixture
def truth(propagator, modes):
    return make_truth(propagator, *modes)


def perturbed(truth, size=0.3, seed=5):
    rng = np.random.default_rng(seed)
    obj = truth.obj + size * noise_of(rng, *truth.obj.shape)
    return obj, truth.probe * (1 + size * noise_of(rng, *truth.probe.shape))


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


def test_ml_step_is_the_same_for_a_factor_traded_between_object_and_probe():
    truth = make_truth(FAR)
    obj, probe = perturbed(truth, 0.1)
    one = two = (obj, probe, None)
    two = (obj / 3, probe * 3, None)
    for _ in range(3):
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


# Engines


def run_one(engine, truth, obj, probe, **options):
    """One iteration of any engine with all its frames."""
    if engine == "ML":
        return ref.ml_iteration(truth.scan, obj, probe, None, **options)[:2]
    if engine in ("ePIE", "rPIE", "mPIE"):
        options |= {} if engine == "ePIE" else {"object_alpha": 0.2, "probe_alpha": 0.3}
        momentum = ref.Momentum.start(obj, 0.7, 2) if engine == "mPIE" else None
        groups = [[0, 5, 9], [1, 2, 12, 7], [3, 4, 6, 8, 10, 11]]
        return ref.pie_iteration(truth.scan, obj, probe, groups, momentum=momentum, **options)[:2]
    constants = ref.projection_constants(engine, 0.8)
    return ref.projection_iteration(truth.scan, obj, probe, None, constants, **options)[:2]


ENGINES = ["AP", "DM", "RAAR", "ePIE", "rPIE", "mPIE", "ML"]


@pytest.mark.parametrize("engine", ENGINES)
def test_truth_is_a_fixed_point(truth, engine):
    """Noise-free, fractional positions, modes, a mask: exact, because updates are differences."""
    obj, probe = run_one(engine, truth, truth.obj, truth.probe)

    assert relative(obj, truth.obj) < 1e-12
    assert relative(probe, truth.probe) < 1e-12


@pytest.mark.parametrize("engine", ENGINES)
def test_what_stands_under_the_mask_plays_no_part(engine):
    truth = make_truth(FAR)
    counts = np.where(truth.scan.mask, truth.scan.counts, 65535.0)
    other = dataclasses.replace(truth, scan=dataclasses.replace(truth.scan, counts=counts))
    start = perturbed(truth, 0.1)

    one, two = run_one(engine, truth, *start), run_one(engine, other, *start)

    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_iterations_reduce_the_fourier_error(truth, engine):
    obj, probe = perturbed(truth, 0.1)
    before = ref.fourier_error(truth.scan, obj, probe)

    for _ in range(3):
        obj, probe = run_one(engine, truth, obj, probe)

    assert ref.fourier_error(truth.scan, obj, probe) < 0.7 * before


def test_raar_with_beta_one_is_dm_with_beta_one(truth):
    start = perturbed(truth)
    runs = []
    for name in ("DM", "RAAR"):
        obj, probe, waves = *start, None
        constants = ref.projection_constants(name, 1.0)
        for _ in range(4):
            obj, probe, waves, _ = ref.projection_iteration(
                truth.scan, obj, probe, waves, constants
            )
        runs.append((obj, probe))

    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_raar_is_written_as_published(truth):
    """beta (psi + P_M R_O psi) + (1 - 2 beta) P_O psi, which is Luke's
    beta / 2 (R_M R_O + 1) psi + (1 - beta) P_O psi, with P_O psi = the model, R = 2 P - 1."""
    obj, probe = perturbed(truth)
    scan, beta = truth.scan, 0.8
    model = ref.forward(obj, probe, scan.positions[0], scan.propagator)
    wave = model + 0.2 * noise_of(np.random.default_rng(1), *model.shape)

    got = ref.detector_update(model, wave, scan, 0, ref.projection_constants("RAAR", beta))

    reflected = 2 * model - wave
    modulus = ref.modulus_factor(reflected, scan.counts[0], scan.mask) * reflected
    expected = beta * (wave + modulus) + (1 - 2 * beta) * model
    assert relative(got, expected) < 1e-13


def test_difference_form_is_the_overlap_of_the_exit_waves(truth):
    """O + nO / (dO + c) equals (c O + sum conj(P) psi) / (c + sum |P|^2)."""
    obj, probe = perturbed(truth)
    scan = truth.scan
    waves = [
        model * ref.modulus_factor(model, scan.counts[j], scan.mask)
        for j, model in enumerate(ref.start_exit_waves(scan, obj, probe))
    ]
    plain = ref.residual_pass(scan, obj, probe, range(13), lambda j, model: waves[j])
    c = 1e-3 * plain.object_denominator.max()
    expected = (c * obj + plain.object_numerator) / (c + plain.object_denominator)

    got, _, _, _ = ref.projection_iteration(
        scan, obj, probe, None, ref.projection_constants("AP", 1.0), update_probe=False
    )

    assert relative(got, expected) < 1e-12


def test_groups_of_one_are_the_published_sequential_epie():
    """Maiden & Rodenburg 2009, written out: no sums, one frame after the other."""
    truth = make_truth(FAR, 1, 1)
    start_obj, start_probe = perturbed(truth, 0.1)
    order = [4, 0, 12, 7, 1]
    obj, probe = start_obj[0].copy(), start_probe[0].copy()
    for j in order:
        row, column = np.floor(truth.scan.positions[j] + 0.5).astype(int)
        here = np.s_[row : row + 12, column : column + 20]
        fraction = truth.scan.positions[j] - (row, column)
        p, o = ref.shift(probe, fraction), obj[here].copy()
        wave = np.fft.fft2(p * o, norm="ortho")
        counts = np.fft.ifftshift(truth.scan.counts[j])
        valid = np.fft.ifftshift(truth.scan.mask)
        wave = np.where(valid, np.sqrt(counts) * np.exp(1j * np.angle(wave)), wave)
        change = np.fft.ifft2(wave, norm="ortho") - p * o
        obj[here] += p.conj() / (np.abs(p) ** 2).max() * change
        probe = probe + ref.shift(o.conj() / (np.abs(o) ** 2).max() * change, -fraction)

    got_obj, got_probe, _ = ref.pie_iteration(
        truth.scan, start_obj, start_probe, [[j] for j in order]
    )

    # The kernel's origin is a corner here and the middle there: a phase that never matters.
    assert relative(got_obj[0], obj) < 1e-12
    assert relative(got_probe[0], probe) < 1e-12


def test_momentum_adds_the_velocity_every_period():
    momentum = ref.Momentum.start(np.zeros((1, 2, 2)), 0.5, 2)

    first = momentum.after_update(np.ones((1, 2, 2)))
    second = momentum.after_update(2 * np.ones((1, 2, 2)))
    momentum.after_update(second)
    third = momentum.after_update(4 * np.ones((1, 2, 2)))

    assert first[0, 0, 0] == 1
    assert second[0, 0, 0] == 2 + 0.5 * 2
    assert third[0, 0, 0] == 4 + 0.5 * (0.5 * 2 + (4 - 3))


# Constraints


def test_holding_the_power_changes_no_exit_wave(truth):
    sums = ref.residual_pass(truth.scan, truth.obj, truth.probe, range(13), lambda j, m: m)

    obj, probe = ref.hold_power(truth.obj, truth.probe, 42.0, ref.reached(sums))

    assert ref.probe_power(probe) == pytest.approx(42.0)
    for position in truth.scan.positions:
        before = ref.exit_waves(truth.obj, truth.probe, position)
        assert relative(ref.exit_waves(obj, probe, position), before) < 1e-12


def test_supports_are_projections():
    rng = np.random.default_rng(0)
    probe, support = noise_of(rng, 2, *FRAME), ref.disc(FRAME, 0.7)

    for project in (ref.real_support, ref.fourier_support):
        once = project(probe, support)
        assert relative(project(once, support), once) < 1e-13
        assert 0 < np.linalg.norm(once) < np.linalg.norm(probe)
    assert support[6, 10]
    assert not support[0, 0]


def test_clip_keeps_phases_and_bounds_amplitudes():
    obj = noise_of(np.random.default_rng(0), 1, 5, 6)

    clipped = ref.clip_amplitude(obj, (0.5, 1.0))

    assert np.abs(clipped).min() >= 0.5 - 1e-12
    assert np.abs(clipped).max() <= 1 + 1e-12
    np.testing.assert_allclose(np.angle(clipped), np.angle(obj))


@pytest.mark.parametrize("engine", ["AP", "ePIE", "ML"])
def test_supports_hold_after_an_update(engine):
    truth = make_truth(FAR)
    support = ref.disc(FRAME, 0.6)
    obj, probe = perturbed(truth, 0.1)
    probe = ref.real_support(probe, support)

    _, probe = run_one(engine, truth, obj, probe, support=support)

    assert not probe[:, ~support].any()


def test_cone_beam_scales_distance_and_pixel():
    assert ref.fresnel_scaling(4.0, 6e-6, 1.0) == pytest.approx((0.8, 1.2e-6))
