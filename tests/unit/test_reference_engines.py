"""The oracle's engines: fixed points, and limits that are known on paper."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import reference as ref
from thin_truth import FAR, FRAME, make_truth, noise_of, perturbed, relative


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
