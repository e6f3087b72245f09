"""Metrics: gauge, errors, ring correlation, likelihoods."""

from __future__ import annotations

import time

import numpy as np
import pytest

from exitwave import metrics, specimens
from exitwave.alignment import as_region
from exitwave.errors import InvalidArgument
from exitwave.propagate import shift
from exitwave.simulator import simulate


def without_high_frequencies(image, limit):
    """Image without content above ``limit`` times the Nyquist frequency."""
    spectrum = np.fft.fft2(image)
    for axis, size in enumerate(image.shape):
        keep = np.abs(np.fft.fftfreq(size)) < limit / 2
        spectrum *= keep[:, None] if axis == 0 else keep[None, :]
    return np.fft.ifft2(spectrum)


def band_limited(shape, seed=0, limit=0.6):
    """Speckle on a mean, of unit root mean square."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    image = without_high_frequencies(noise, limit) + 0.5
    return image / np.sqrt(np.mean(np.abs(image) ** 2))


def ramp(shape, cycles):
    y, x = (np.arange(n) - n // 2 for n in shape)
    phase = cycles[0] * y[:, None] / shape[0] + cycles[1] * x[None, :] / shape[1]
    return np.exp(2j * np.pi * phase)


def with_gauge(image, factor, moved, cycles):
    return factor * shift(image, moved) * ramp(image.shape[-2:], cycles)


GAUGES = [
    (1.0, (0.0, 0.0), (0.0, 0.0)),
    (0.3 * np.exp(2j), (0.31, -0.47), (0.4, -0.3)),
    (5.0j, (0.0, 0.0), (1.5, 0.5)),
    (2.0 * np.exp(-1j), (6.6, -5.2), (3.4, -6.3)),
    (1.0, (-0.5, 12.5), (-9.5, 4.5)),
]


@pytest.mark.parametrize(("factor", "moved", "cycles"), GAUGES)
@pytest.mark.parametrize("shape", [(96, 120), (81, 75)])
def test_known_gauge_is_recovered(shape, factor, moved, cycles):
    truth = band_limited(shape)
    image = with_gauge(truth, factor, moved, cycles)

    found = metrics.align(image, truth, np.ones(shape, dtype=bool))

    assert found.converged
    assert found.error < 1e-6
    np.testing.assert_allclose(found.shift_px, np.negative(moved), atol=1e-6)
    removed = np.array(found.ramp_rad_per_px) * shape / (2 * np.pi)
    np.testing.assert_allclose(removed, cycles, atol=1e-6)
    assert found.factor * factor == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.image, truth, atol=1e-5)


@pytest.mark.parametrize(("factor", "moved", "cycles"), GAUGES)
def test_rubbish_outside_the_region_does_not_matter(factor, moved, cycles):
    pictures = specimens.from_images((180, 170), "camera", "coins", phase_range_rad=(-2, 2))
    truth = without_high_frequencies(pictures, 0.6)
    image = with_gauge(truth, factor, moved, cycles)
    random = np.random.default_rng(3)
    y, x = np.ogrid[:180, :170]
    scanned = np.hypot(y - 90, x - 85) < 80
    image = np.where(scanned, image, factor * random.standard_normal((180, 170)))

    found = metrics.align(image, truth, np.hypot(y - 90, x - 85) < 45)

    np.testing.assert_allclose(found.shift_px, np.negative(moved), atol=2e-3)
    assert found.error < 5e-3


def test_gauge_of_wrapped_phases_is_recovered():
    truth = specimens.from_images((150, 150), "camera", "moon", phase_range_rad=(-15, 15))
    image = with_gauge(truth, 1j, (3.3, -2.2), (2.5, -4.25))

    assert metrics.relative_error(image, truth, np.ones((150, 150), dtype=bool)) < 1e-6


def test_error_of_noise_is_its_strength():
    truth = band_limited((128, 128))
    random = np.random.default_rng(1)
    noise = random.standard_normal((2, 128, 128)) * 0.05 / np.sqrt(2)
    image = with_gauge(truth + noise[0] + 1j * noise[1], 2j, (0.4, 1.3), (0.7, -2.2))

    # The factor that fits noisy data best is smaller by 1 / (1 + 0.05^2).
    assert metrics.relative_error(image, truth) == pytest.approx(0.05, rel=0.02)


def test_solution_is_a_minimum_over_shift_and_ramp():
    truth = band_limited((64, 64))
    image = truth + 0.2 * band_limited((64, 64), seed=1)
    region = np.ones((64, 64), dtype=bool)
    best = metrics.relative_error(image, truth, region)

    aligned = metrics.align(image, truth, region).image
    for moved, cycles in (((0.05, 0), (0, 0)), ((0, -0.05), (0, 0)), ((0, 0), (0.05, -0.05))):
        other = with_gauge(aligned, 1, moved, cycles)
        assert metrics.relative_error(other, truth, region, align=False) > best


def test_alignment_applies_to_another_image_of_the_same_reconstruction():
    truth = band_limited((60, 70))
    image = with_gauge(truth, 2j, (1.2, 0.3), (0.3, 1.2))
    found = metrics.align(image, truth, np.ones((60, 70), dtype=bool))

    other = band_limited((60, 70), seed=5)
    moved = with_gauge(other, 2j, (1.2, 0.3), (0.3, 1.2))
    np.testing.assert_allclose(found.apply(moved), other, atol=1e-5)


def test_object_modes_share_one_gauge():
    truth = np.stack([band_limited((50, 60)), 0.5 * band_limited((50, 60), seed=1)])
    image = with_gauge(truth, 0.5j, (0.8, -1.4), (0.6, 0.2))

    found = metrics.align(image, truth, np.ones((50, 60), dtype=bool))

    assert found.error < 1e-6
    np.testing.assert_allclose(found.image, truth, atol=1e-5)


def test_large_images_are_aligned_in_seconds():
    truth = specimens.from_images((1200, 1300), phase_range_rad=(-6, 6))
    truth = without_high_frequencies(truth, 0.8)
    image = with_gauge(truth, 1j, (4.4, -7.3), (5.2, -3.4))

    began = time.process_time()
    error = metrics.relative_error(image, truth)

    assert error < 1e-3
    assert time.process_time() - began < 8


def test_inputs_of_align_are_not_changed():
    truth = band_limited((40, 40))
    image = with_gauge(truth, 2, (1.5, 0), (0.5, 0))
    before = image.copy(), truth.copy()

    metrics.align(image, truth)

    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(truth, before[1])


def test_region_of_none_is_the_middle_three_quarters():
    region = as_region(None, (80, 40))

    assert region.sum() == 60 * 30
    assert not region[9].any()
    assert region[10, 5]


def test_scan_region_lies_where_the_light_is():
    s = simulate((32, 48), 60, scan="raster")
    shape = s.object.shape

    region = metrics.scan_region(s.positions_px, (32, 48), shape, s.probe)
    light = metrics.illumination(s.positions_px, s.probe, shape)
    assert light[region].min() > 5 * np.median(light[~region])
    assert not region[[0, -1]].any()

    centres = metrics.scan_region(s.positions_px, (32, 48), shape)
    assert centres[16, 24]
    assert not centres[15].any()
    stricter = metrics.scan_region(s.positions_px, (32, 48), shape, s.probe, 0.9)
    assert (stricter <= region).all()
    assert stricter.sum() < region.sum()


def test_illumination_of_integer_positions_adds_up():
    probe = np.random.default_rng(0).random((2, 5, 7)) + 0j
    light = metrics.illumination([[0, 0], [2, 1], [2, 1]], probe, (9, 9))

    assert light.sum() == pytest.approx(3 * np.sum(np.abs(probe) ** 2))
    assert light[8].sum() == 0


def test_probe_error_does_not_see_gauge_or_choice_of_modes():
    modes = simulate((40, 48), 3, probe_modes=3).probe.astype(complex)
    random = np.random.default_rng(2)
    unitary = np.linalg.qr(random.standard_normal((3, 3)) + 1j * random.standard_normal((3, 3)))[0]
    mixed = with_gauge(np.tensordot(unitary, modes, axes=1), 3j, (0.3, -1.2), (0.4, 0.1))

    assert metrics.probe_error(mixed, modes) < 1e-4
    assert metrics.probe_error(modes[:1], modes) == pytest.approx(
        np.linalg.norm(modes[1:]) / np.linalg.norm(modes), rel=0.2
    )


def test_probe_error_of_one_mode_is_the_relative_error():
    probe = simulate((40, 48), 3).probe[0].astype(complex)
    other = probe + 0.1 * np.linalg.norm(probe) / 40 * band_limited((40, 48))

    everywhere = np.ones((40, 48), dtype=bool)
    assert metrics.probe_error(other, probe) == pytest.approx(
        metrics.relative_error(other, probe, everywhere), rel=1e-6
    )


def test_fourier_error_of_a_wrong_scale_is_known():
    s = simulate((24, 32), 5)

    error = metrics.fourier_error(s.data, s.object, 1.1 * s.probe, s.positions_px)

    assert error == pytest.approx(0.01, rel=1e-4)


def test_fourier_error_of_counting_is_a_quarter_per_pixel():
    s = simulate((32, 32), 20, counts_per_frame=1e7, probe="focused")
    bright = s.data.min(axis=0) > 20

    error = metrics.fourier_error(s.data, s.object, s.probe, s.positions_px, bright)

    expected = 0.25 * bright.sum() * 20 / s.data[:, bright].sum(dtype=float)
    assert error == pytest.approx(expected, rel=0.05)


def test_masked_pixels_and_background_enter_as_they_should():
    s = simulate((24, 32), 5, counts_per_frame=1e5)
    mask = np.ones((24, 32), dtype=bool)
    mask[4:9] = False
    spoiled = s.data.astype(np.int64)
    spoiled[:, ~mask] = 60000
    args = (s.object, s.probe, s.positions_px, mask)

    for metric in (metrics.fourier_error, metrics.poisson_log_likelihood):
        assert metric(s.data, *args) == metric(spoiled, *args)
    assert metrics.fourier_error(s.data + 3, *args, background=3.0) < metrics.fourier_error(
        s.data + 3, *args
    )


def test_truth_is_the_likeliest():
    s = simulate((24, 32), 6, counts_per_frame=1e5)
    args = (s.object, s.probe, s.positions_px)

    best = metrics.poisson_log_likelihood(s.data, *args)
    expected = sum(
        float(np.sum(-0.5 * np.log(2 * np.pi * np.e * m[m > 5])))
        for m in metrics.model_intensities(*args)
    )
    assert best == pytest.approx(expected, rel=0.5)
    for factor in (0.99, 1.01):
        assert metrics.poisson_log_likelihood(s.data, args[0], factor * args[1], args[2]) < best
    moved = s.positions_px.copy()
    moved[np.argmin(moved[:, 0])] += [0.3, 0]
    assert metrics.poisson_log_likelihood(s.data, *args[:2], moved) < best


def test_impossible_counts_have_no_likelihood():
    dark = np.zeros((4, 4))
    dark[0, 0] = 1
    assert (
        metrics.poisson_log_likelihood(np.ones((1, 4, 4)), np.zeros((4, 4)), dark, [[0, 0]])
        == -np.inf
    )


def test_position_error_removes_what_is_free():
    random = np.random.default_rng(0)
    reference = random.uniform(0, 100, (50, 2))
    noise = random.normal(0, 0.2, (50, 2))

    assert metrics.position_error(
        reference + np.array([3, 4]), reference, "nothing"
    ) == pytest.approx(5)
    assert metrics.position_error(reference + np.array([3, 4]), reference) < 1e-12
    stretched = reference @ np.array([[1.02, 0.01], [-0.03, 0.99]]) + [5, -2]
    assert metrics.position_error(stretched, reference) > 0.5
    assert metrics.position_error(stretched, reference, "affine") < 1e-10
    found = metrics.position_error(stretched + noise, reference, "affine")
    assert found == pytest.approx(np.sqrt(np.mean(np.sum(noise**2, axis=1))), rel=0.1)


def noise(shape, seed):
    random = np.random.default_rng(seed)
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


EVERYWHERE = (slice(None), slice(None))


def test_independent_noise_is_uncorrelated_within_its_known_spread():
    """The real part of complex noise's correlation has variance 1 / (2 n)."""
    values = []
    for seed in range(20):
        ring = metrics.frc(
            noise((64, 96), seed), noise((64, 96), seed + 100), EVERYWHERE, align_images=False
        )
        values.append(ring.correlation * np.sqrt(2 * ring.pixels))
    values = np.array(values)[:, 3:]

    assert values.mean() == pytest.approx(0, abs=0.15)
    assert values.var() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("curve", "ratio"), [("half_bit", 0.2071), ("one_bit", 0.5)])
def test_threshold_is_the_correlation_of_its_signal_to_noise_ratio(curve, ratio):
    signal = np.sqrt(ratio) * noise((128, 128), 0)
    one, other = signal + noise((128, 128), 1), signal + noise((128, 128), 2)

    ring = metrics.frc(one, other, EVERYWHERE, align_images=False)

    far = slice(20, None)
    assert ring.correlation[far].mean() == pytest.approx(ratio / (1 + ratio), abs=0.02)
    # For many pixels the curve tends to that correlation from above.
    assert 0 < getattr(ring, curve)[far].mean() - ratio / (1 + ratio) < 0.12


def test_images_equal_up_to_a_frequency_resolve_it():
    shape, limit = (120, 160), 0.3
    common = noise(shape, 0)
    qy, qx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    low = np.hypot(qy, qx) < limit
    one, other = (
        np.fft.ifft2(np.where(low, np.fft.fft2(common), np.fft.fft2(noise(shape, seed))))
        for seed in (1, 2)
    )

    ring = metrics.frc(one, other, EVERYWHERE, align_images=False)
    assert ring.resolution() == pytest.approx(1 / (2 * limit), rel=0.05)
    in_metres = metrics.frc(one, other, EVERYWHERE, pixel_size=4e-9, align_images=False)
    assert in_metres.resolution() == pytest.approx(4e-9 * ring.resolution())
    assert ring.resolution("one_bit") >= ring.resolution()


def test_identical_images_resolve_the_pixel_after_alignment():
    truth = band_limited((90, 110), limit=1.0)
    image = with_gauge(truth, 2j, (0.4, 2.3), (1.1, -0.7))

    ring = metrics.frc(image, truth)

    assert ring.resolution() is None
    assert ring.correlation[2:].min() > 0.9
    assert ring.frequency[-1] == pytest.approx(0.5, abs=0.01)


def small(value=1.0, shape=(16, 16)):
    return np.full(shape, value, dtype=complex)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.align(small(), small(shape=(16, 17))), "crop to the common part"),
        (lambda: metrics.align(small(np.nan), small()), "image has values that are not finite"),
        (lambda: metrics.align(small(), small(0)), "reference was zero"),
        (lambda: metrics.align(small(0), small()), "image was zero"),
        (lambda: metrics.align(small()[0], small()[0]), r"image had shape \(16,\)"),
        (lambda: metrics.align(small(), small(), np.ones((3, 3), dtype=bool)), "region had shape"),
        (lambda: metrics.align(small(), small(), np.zeros((16, 16), dtype=bool)), "no True pixel"),
        (
            lambda: metrics.relative_error(small(), small(shape=(4, 4)), align=False),
            "both must be the same",
        ),
        (lambda: metrics.relative_error(small(), small(0), align=False), "reference was zero"),
        (lambda: metrics.probe_error(small(), small(shape=(8, 8))), "probe had frames"),
        (lambda: metrics.frc(small(), small(shape=(8, 8))), "first had shape"),
        (lambda: metrics.frc(small(shape=(5, 5)), small(shape=(5, 5))), "at least 8 x 8"),
        (
            lambda: metrics.scan_region([[0, 0]], (8, 8), (7, 9)),
            r"put windows from \[0, 0\] to \[8, 8\]",
        ),
        (
            lambda: metrics.scan_region([[0, 0]], (8, 8), (9, 9), small()),
            "must have frame_shape",
        ),
        (
            lambda: metrics.fourier_error(np.ones((2, 16, 16)), small(), small(), [[0, 0]]),
            "data had shape",
        ),
        (
            lambda: metrics.fourier_error(np.zeros((1, 16, 16)), small(), small(), [[0, 0]]),
            "no counts",
        ),
        (
            lambda: metrics.fourier_error(-np.ones((1, 16, 16)), small(), small(), [[0, 0]]),
            "negative or undefined counts in frame 0",
        ),
        (
            lambda: metrics.fourier_error(
                np.ones((1, 16, 16)), small(), small(), [[0, 0]], propagation={"regime": "near"}
            ),
            "lacks wavelength_m, distance_m, pixel_size_m",
        ),
        (lambda: metrics.position_error([[0, 0]], [[0, 0], [1, 1]]), "positions_px had shape"),
        (lambda: metrics.position_error([[0, 0]], [[0, 0]], "affine"), "at least 4"),
        (lambda: metrics.position_error([[0, 0]], [[0, 0]], "men"), "perhaps 'mean'"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InvalidArgument, match=message):
        call()
