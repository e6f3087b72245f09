"""Slices split, merged and moved: what the whole object does to the beam stays."""

from __future__ import annotations

import numpy as np
import pytest

from exitwave.errors import InvalidArgument
from exitwave.multislice import Slices
from exitwave.probes import gaussian
from exitwave.slices import resample_slices
from exitwave.specimens import from_slices


def thick(slices, seed=0, shape=(12, 20)):
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(0.7, 1.1, (slices, *shape))
    return amplitude * np.exp(1j * rng.uniform(-0.5, 0.5, (slices, *shape)))


@pytest.mark.parametrize("new", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("old", [1, 2, 4])
def test_product_of_all_slices_is_kept(old, new):
    obj = thick(old)

    got = resample_slices(obj, 2e-6, new, 1.3e-6)

    assert got.shape == (new, 12, 20)
    np.testing.assert_allclose(got.prod(axis=0), obj.prod(axis=0), rtol=1e-12)


def test_same_slices_stay():
    obj = thick(4)
    distances = [1e-6, 2e-6, 0.5e-6]

    np.testing.assert_allclose(resample_slices(obj, distances, 4, distances), obj, rtol=1e-12)


def test_each_half_of_a_slice_is_its_root_and_both_together_the_slice():
    obj = thick(3)

    halves = resample_slices(obj, 2e-6, 6, 1e-6)

    np.testing.assert_allclose(halves[::2], np.sqrt(obj), rtol=1e-12)
    np.testing.assert_allclose(halves[1::2], np.sqrt(obj), rtol=1e-12)
    np.testing.assert_allclose(resample_slices(halves, 1e-6, 3, 2e-6), obj, rtol=1e-12)


def test_one_slice_is_split_in_equal_parts():
    obj = thick(1)

    np.testing.assert_allclose(resample_slices(obj, (), 3, 1e-6) ** 3, np.repeat(obj, 3, 0))


def test_content_goes_to_the_slice_at_its_depth():
    obj = np.ones((5, 6, 7), complex)
    obj[3] = np.exp(0.4j)

    got = np.angle(resample_slices(obj, 1e-6, 3, 2e-6))

    np.testing.assert_allclose(got.mean(axis=(1, 2)), [0, 0.2, 0.2], atol=1e-12)


def test_phase_beyond_a_turn_is_split_without_jumps():
    x = np.linspace(0, 1, 40)
    obj = np.exp(9j * np.outer(x, x))[None]

    parts = resample_slices(obj, (), 3, 1e-6)

    for part in parts:
        assert np.abs(np.diff(part, axis=1)).max() < 0.2
    np.testing.assert_allclose(parts.prod(axis=0), obj[0], atol=1e-12)


def test_modes_are_kept_apart_and_the_type_stays():
    modes = np.stack([thick(2, 1), thick(2, 2)]).astype(np.complex64)

    got = resample_slices(modes, 1e-6, 3, 1e-6)

    assert got.shape == (2, 3, 12, 20)
    assert got.dtype == np.complex64
    np.testing.assert_allclose(got[1], resample_slices(modes[1], 1e-6, 3, 1e-6), rtol=1e-6)


def test_finer_slices_see_the_same_wave():
    """What the thin slices of one material do together differs only by the space between halves."""
    shape, pixel, wavelength = (48, 56), 1e-8, 1.5e-10
    obj, probe = from_slices(shape, 3), gaussian(shape, pixel, wavelength, fwhm_m=1.2e-7)

    def behind(sample, distances):
        return Slices.make(shape, wavelength, distances, pixel).exit_wave(probe, sample)

    fine = resample_slices(obj, 4e-6, 6, 2e-6)
    change = behind(fine, [2e-6] * 5) - np.array(
        Slices.make(shape, wavelength, [1e-6], pixel).exit_wave(
            behind(np.concatenate([np.ones((1, *shape)), obj]), [1e-6, 4e-6, 4e-6]),
            np.ones((2, *shape)),
        )
    )
    assert np.linalg.norm(change) < 0.03


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((4, 5)), 1e-6, 2, 1e-6), "obj had shape"),
        ((np.full((2, 4, 5), np.nan), 1e-6, 2, 1e-6), "must be finite"),
        ((np.ones((3, 4, 5)), [1e-6] * 3, 2, 1e-6), "must be one number, or 2"),
        ((np.ones((3, 4, 5)), 1e-6, 0, 1e-6), "new_slices was 0"),
        ((np.ones((3, 4, 5)), 1e-6, 2, 0.0), "slices must lie apart"),
    ],
)
def test_what_is_no_stack_of_slices_is_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        resample_slices(*arguments)
