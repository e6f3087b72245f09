"""Thick objects: limits in which slices are known to do nothing, to multiply, or to shift."""

from __future__ import annotations

import numpy as np
import pytest

from exitwave import metrics, simulate, specimens
from exitwave.errors import InvalidArgument
from exitwave.multislice import Slices, band_limit, checked_distances
from exitwave.propagate import Detector, far_field, propagate, shift

SHAPE, PIXEL, WAVELENGTH = (36, 48), (9e-9, 8e-9), 1.5e-10
DISTANCE = 2e-6


def smooth(rng, *shape, cut=0.12):
    """Random wave whose product with two others stays below the band limit."""
    qy, qx = np.fft.fftfreq(shape[-2])[:, None], np.fft.fftfreq(shape[-1])[None]
    noise = rng.standard_normal((2, *shape))
    spectrum = np.fft.fft2(noise[0] + 1j * noise[1]) * (np.hypot(qy, qx) < cut)
    wave = np.fft.ifft2(spectrum)
    return wave / np.abs(wave).std()


def between(*distances):
    return Slices.make(SHAPE, WAVELENGTH, distances, PIXEL)


def relative(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def test_empty_slices_are_free_space():
    rng = np.random.default_rng(0)
    probe = smooth(rng, *SHAPE)

    wave = between(DISTANCE, 2 * DISTANCE).exit_wave(probe, np.ones((3, *SHAPE)))

    assert relative(wave, propagate(probe, WAVELENGTH, 3 * DISTANCE, PIXEL)) < 1e-12


def test_an_empty_slice_at_no_distance_changes_nothing():
    rng = np.random.default_rng(1)
    probe, first, second = (smooth(rng, *SHAPE) for _ in range(3))
    ones = np.ones(SHAPE)

    two = between(DISTANCE).exit_wave(probe, np.stack([first, second]))
    three = between(0.0, DISTANCE).exit_wave(probe, np.stack([first, ones, second]))

    assert relative(three, two) < 1e-12


def test_slices_at_no_distance_equal_their_product():
    rng = np.random.default_rng(2)
    probe, first, second = (smooth(rng, *SHAPE) for _ in range(3))

    wave = between(0.0).exit_wave(probe, np.stack([first, second]))

    assert relative(wave, probe * first * second) < 1e-12


def test_phase_slices_keep_the_energy():
    rng = np.random.default_rng(3)
    probe = smooth(rng, *SHAPE, cut=0.1)
    phases = np.exp(0.2j * np.stack([smooth(rng, *SHAPE, cut=0.06).real for _ in range(4)]))

    wave = between(DISTANCE, DISTANCE, DISTANCE).exit_wave(probe, phases)

    assert np.linalg.norm(wave) == pytest.approx(np.linalg.norm(probe), rel=1e-5)


def test_band_limit_is_two_thirds_of_both_axes():
    inside = band_limit((36, 48))

    assert inside[0, 16]
    assert not inside[0, 17]
    assert inside[12, 0]
    assert not inside[13, 0]
    assert not inside[9, 13]


def test_tilt_moves_the_beam_between_slices():
    """The second slice is hit where the tilted beam arrives; the first where it enters."""
    rng = np.random.default_rng(4)
    probe, first, second = (smooth(rng, *SHAPE) for _ in range(3))
    slices = between(DISTANCE)
    tilt = np.array([0.004, -0.007])

    tilted = slices.exit_wave(probe, np.stack([first, second]), tilt)

    move = DISTANCE * np.tan(tilt) / np.array(PIXEL)
    straight = slices.exit_wave(probe, np.stack([first, shift(second, -move)]))
    assert relative(tilted, shift(straight, move)) < 1e-12


@pytest.mark.parametrize("regime", ["far", "near"])
def test_detector_with_one_slice_is_the_thin_one(regime):
    rng = np.random.default_rng(5)
    kernel = None if regime == "far" else np.exp(1j * rng.random(SHAPE))
    obj, probe = smooth(rng, 2, 50, 60), np.fft.fft2(smooth(rng, 3, *SHAPE))
    thin = Detector(regime, kernel)
    thick = Detector(regime, kernel, between())

    position = (3.3, 4.8)
    expected = thin.waves(obj, probe, position)

    np.testing.assert_allclose(thick.waves(obj[:, None], probe, position), expected, atol=1e-10)


# The simulator


SMALL = {"frame_shape": (24, 32), "frames": 7}


def test_simulated_thick_object_has_the_intensity_of_its_exit_wave():
    s = simulate(**SMALL, slices=3, integer_positions=True, probe_modes=2)

    assert s.object.shape[0] == 3
    assert len(s.slice_distances_m) == 2
    row, column = s.positions_px[4].astype(int)
    window = s.object[:, row : row + 24, column : column + 32]
    slices = Slices.make((24, 32), s.wavelength_m, s.slice_distances_m, s.pixel_size_m)
    waves = [slices.exit_wave(mode, window) for mode in s.probe]
    power = sum(np.abs(far_field(wave)) ** 2 for wave in waves)
    np.testing.assert_allclose(s.data[4], power, rtol=1e-4, atol=1e-6 * power.max())


def test_one_slice_is_the_thin_object():
    rng = np.random.default_rng(6)
    obj = np.exp(0.3j * rng.random((60, 70)))
    for regime in ("far", "near"):
        thin = simulate(**SMALL, obj=obj, regime=regime)
        thick = simulate(**SMALL, obj=obj[None], slices=1, regime=regime)

        np.testing.assert_allclose(thick.data, thin.data, rtol=1e-5)
        assert thick.object.shape == (1, 60, 70)


def test_object_modes_of_slices_add_their_intensities():
    rng = np.random.default_rng(7)
    obj = np.exp(0.3j * rng.random((2, 3, 60, 70)))
    options = {**SMALL, "slices": 3, "probe": "gaussian"}

    both = simulate(**options, obj=obj)
    alone = [simulate(**options, obj=mode) for mode in obj]

    def shares(s):  # of the beam's power, free of the scaling to a mean count
        return s.data / np.linalg.norm(s.probe) ** 2

    np.testing.assert_allclose(
        shares(both), shares(alone[0]) + shares(alone[1]), rtol=1e-4, atol=1e-9
    )


def test_thickness_is_seen():
    """The same slices pressed together give other frames: there is something to reconstruct."""
    options = {**SMALL, "slices": 4, "seed": 3}
    thick, flat = simulate(**options), simulate(**options, slice_distance_m=0.0)

    assert relative(np.sqrt(thick.data), np.sqrt(flat.data)) > 0.02


def test_listed_distances_and_tilts_of_frames_are_kept_as_truth():
    tilts = np.linspace(0, 3e-2, 14).reshape(7, 2)
    s = simulate(**SMALL, slices=3, slice_distance_m=[1e-6, 2e-6], tilt_rad=tilts)
    straight = simulate(**SMALL, slices=3, slice_distance_m=[1e-6, 2e-6])

    assert s.slice_distances_m == (1e-6, 2e-6)
    np.testing.assert_array_equal(s.truth.tilt_rad, tilts)
    scale = np.linalg.norm(straight.probe) ** 2 / np.linalg.norm(s.probe) ** 2
    changes = [relative(a * scale, b) for a, b in zip(s.data, straight.data, strict=True)]
    assert changes[0] < 0.3 * changes[-1]
    assert changes[-1] > 1e-3


def test_every_slice_has_its_own_picture_with_a_weak_phase():
    obj = specimens.from_slices((40, 50), 12, phase_range_rad=(0.0, 0.2))

    phases = np.angle(obj).reshape(12, -1)
    np.testing.assert_allclose(np.abs(obj), 1)
    assert phases.min() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(phases.max(axis=1), 0.2)
    likeness = np.abs(np.corrcoef(phases) - np.eye(12))
    assert likeness.max() < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slice_distance_m": 1e-6}, "give slices as well"),
        ({"tilt_rad": (0, 1e-3)}, "give slices as well"),
        ({"slices": 0}, "slices was 0"),
        ({"slices": 3, "slice_distance_m": [1e-6] * 3}, "must be one number, or 2"),
        ({"slices": 3, "slice_distance_m": -1e-6}, "slice_distance_m was -1e-06"),
        ({"slices": 3, "obj": np.ones((90, 90))}, r"must be \(slices, rows"),
        ({"slices": 3, "obj": np.ones((2, 90, 90))}, r"with slices = 3"),
        ({"slices": 3, "phase_image": "moon"}, "which have their own pictures"),
        ({"slices": 3, "object_modes": 2}, "which have their own pictures"),
        ({"slices": 3, "tilt_rad": (1, 2, 3)}, "tilt_rad had shape"),
        ({"slices": 3, "tilt_rad": (0, np.nan)}, "tilt_rad had shape"),
    ],
)
def test_bad_slices_are_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        simulate(**SMALL, **options)


def test_one_distance_stands_for_all_and_one_slice_needs_none():
    assert checked_distances(1e-6, 4) == (1e-6,) * 3
    assert checked_distances(1e-6, 2) == (1e-6,)
    assert checked_distances(1e-6, 1) == ()
    assert checked_distances([1e-6, 2e-6], 3) == (1e-6, 2e-6)


def test_thin_objects_are_untouched_by_all_this():
    s = simulate(**SMALL)

    assert s.slice_distances_m is None
    assert metrics.fourier_error(s.data, s.object, s.probe, s.positions_px) < 1e-13
