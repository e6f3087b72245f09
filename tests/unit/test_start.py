"""Start values: corners, probes from data, modes that are split off, orthogonal modes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from exitwave import start
from small_scan import noise_of, relative


@given(st.floats(0, 1e5))
def test_corner_is_the_nearest_pixel_and_the_fraction_what_is_left(position):
    corner, fraction = start.corners_and_fractions(np.array([[position, position + 0.5]]))
    expected, rest = ref.corner_and_fraction(np.array([position, position + 0.5]))

    assert corner[0].tolist() == expected.tolist()
    assert (np.abs(fraction) <= 0.5).all()
    np.testing.assert_allclose(fraction[0], rest, atol=1e-7)


def test_half_a_pixel_goes_up():
    corner, fraction = start.corners_and_fractions(np.array([[0.5, 1.4999], [2.5, 3.5]]))

    assert corner.tolist() == [[1, 1], [3, 4]]
    np.testing.assert_allclose(fraction, [[-0.5, 0.4999], [-0.5, -0.5]], atol=1e-6)


def test_object_is_made_to_hold_all_windows_and_no_more():
    positions = np.array([[-3.2, 5.5], [4.4, 7.0], [0.0, 20.49]])

    shape, moved = start.placed(None, positions, (12, 20))

    obj = start.StartObject(None, shape).cut()
    assert obj.shape == (1, 12 + 7, 20 + 14)
    assert (obj == 1).all()
    np.testing.assert_allclose(moved, positions + np.array([3, -6]))


def test_probe_from_far_field_data_has_the_mean_frame():
    """Its Fourier amplitude is the root of the mean frame; it is centred in the window."""
    rows, columns = np.indices((13, 20))
    mean = 100 * np.exp(-((rows - 6) ** 2) / 8 - (columns - 10) ** 2 / 20) + 1e-3
    mask = np.ones(mean.shape, bool)

    probe = start.defocused_probe(mean, mask, 0.0)

    at_detector = np.fft.fftshift(np.fft.fft2(probe[0], norm="ortho"))
    np.testing.assert_allclose(np.abs(at_detector) ** 2, mean, rtol=1e-3)
    power = np.abs(probe[0]) ** 2
    assert np.unravel_index(power.argmax(), power.shape) == (6, 10)


def test_probe_from_near_field_data_propagates_to_the_mean_frame():
    rng = np.random.default_rng(1)
    mean = rng.uniform(50, 100, (12, 20))
    kernel = ref.NearField.angular_spectrum((12, 20), 5e-7, 2e-5, (1e-6, 1e-6)).kernel

    probe = start.probe_in_near_field(mean, np.ones(mean.shape, bool), kernel)

    wave = np.fft.ifft2(np.fft.fft2(probe[0]) * kernel)
    np.testing.assert_allclose(np.abs(wave) ** 2, mean, rtol=1e-4)


@pytest.mark.parametrize(("present", "modes"), [(1, 2), (1, 3), (1, 5), (2, 3), (2, 5)])
def test_new_probe_modes_keep_the_power_and_are_orthogonal(present, modes):
    rng = np.random.default_rng(2)
    rows, columns = np.indices((12, 20))
    beam = np.exp(-((rows - 6) ** 2) / 8 - (columns - 10) ** 2 / 20)
    probe = (10 * beam * (1 + 0.3 * noise_of(rng, present, 12, 20))).astype(np.complex64)

    grown = start.grown_probe(probe, modes)

    assert grown.dtype == np.complex64
    assert grown.shape == (modes, 12, 20)
    assert (np.abs(grown) ** 2).sum() == pytest.approx((np.abs(probe) ** 2).sum(), rel=1e-5)
    new = grown[present:].reshape(modes - present, -1).astype(complex)
    old = grown[:present].reshape(present, -1).astype(complex)
    power = (np.abs(probe[0]) ** 2).sum()
    expected = start.NEW_MODE_POWER * power
    np.testing.assert_allclose(new @ new.conj().T, expected * np.eye(len(new)), atol=0.1 * expected)
    assert np.abs(new @ old.conj().T).max() < 1e-4 * power
    # What was there stays what it was, up to a factor.
    for before, after in zip(probe, grown, strict=False):
        overlap = abs(np.vdot(before, after)) ** 2
        both = np.vdot(before, before).real * np.vdot(after, after).real
        assert overlap == pytest.approx(both, rel=1e-4)


def test_first_of_many_modes_stays_the_strongest():
    probe = noise_of(np.random.default_rng(0), 1, 12, 20).astype(np.complex64)

    power = (np.abs(start.grown_probe(probe, 30)) ** 2).sum(axis=(1, 2))

    assert power.sum() == pytest.approx((np.abs(probe) ** 2).sum(), rel=1e-5)
    assert power[0] > 5 * power[1:].max()


@pytest.mark.parametrize("modes", [None, 2])
def test_as_many_modes_as_there_are_change_nothing(modes):
    probe = noise_of(np.random.default_rng(0), 2, 12, 20).astype(np.complex64)

    assert start.grown_probe(probe, modes) is probe
    assert start.grown_object(probe, modes, np.random.default_rng(0)) is probe


def test_new_object_modes_keep_the_power_of_each_pixel():
    rng = np.random.default_rng(2)
    obj = (1 + 0.3 * noise_of(rng, 1, 22, 33)).astype(np.complex64)

    grown = start.grown_object(obj, 3, np.random.default_rng(0))

    assert grown.shape == (3, 22, 33)
    assert grown.flags.c_contiguous
    power = (np.abs(grown) ** 2).sum(axis=0)
    np.testing.assert_allclose(power, np.abs(obj[0]) ** 2, rtol=1e-5)
    again = start.grown_object(obj, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(grown, again)
    assert not np.array_equal(grown, start.grown_object(obj, 3, np.random.default_rng(1)))


@given(modes=st.integers(1, 5), seed=st.integers(0, 50))
def test_orthogonal_modes_have_the_same_coherence(modes, seed):
    """sum_m P_m(r) conj(P_m(r')) is what any intensity is made of."""
    probe = noise_of(np.random.default_rng(seed), modes, 6, 5).astype(np.complex64)

    mixed = start.orthogonal_modes(probe)

    before, after = (p.reshape(modes, -1).astype(complex) for p in (probe, mixed))
    assert relative(after.T @ after.conj(), before.T @ before.conj()) < 1e-6
    products = after.conj() @ after.T
    power = np.diag(products).real
    assert np.abs(products - np.diag(power)).max() < 1e-5 * power[0]
    assert (np.diff(power) <= 0).all()


def test_orthogonal_modes_keep_the_phase_of_the_strongest():
    """So that the probe does not turn when two modes are told apart."""
    rng = np.random.default_rng(5)
    probe = (noise_of(rng, 3, 6, 5) * np.array([0.2, 3, 1])[:, None, None]).astype(np.complex64)

    for phase in np.exp(1j * np.linspace(0, 6, 7)):
        turned = (probe * phase).astype(np.complex64)
        overlap = np.vdot(start.orthogonal_modes(turned)[0], turned[1])
        assert overlap.real > 0
        assert abs(overlap.imag) < 1e-4 * overlap.real
