"""The simulator: physics of its data, what it returns, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from exitwave import metrics, probes, scans, specimens
from exitwave.errors import InvalidArgument
from exitwave.propagate import far_field, magnification, near_field_kernel, propagate, shift
from exitwave.simulator import simulate

SMALL = {"frame_shape": (24, 32), "frames": 7}


def test_data_follow_from_the_truth_far_and_near():
    for regime in ("far", "near"):
        s = simulate(**SMALL, regime=regime, probe_modes=2, object_modes=2)
        error = metrics.fourier_error(
            s.data, s.object, s.probe, s.positions_px, propagation=s.propagation
        )
        assert error < 1e-13


def test_whole_pixel_frame_is_the_transform_of_probe_times_object():
    s = simulate(**SMALL, integer_positions=True, probe_modes=2)

    row, column = s.positions_px[3].astype(int)
    waves = far_field(s.probe * s.object[row : row + 24, column : column + 32])
    expected = np.sum(np.abs(waves) ** 2, axis=0)
    np.testing.assert_allclose(s.data[3], expected, rtol=1e-4, atol=1e-6 * expected.max())
    assert (s.positions_px == np.round(s.positions_px)).all()


def test_far_field_keeps_the_power_of_the_exit_wave():
    s = simulate(**SMALL, integer_positions=True)

    row, column = s.positions_px[0].astype(int)
    wave = s.probe[0] * s.object[row : row + 24, column : column + 32]
    assert s.data[0].sum() == pytest.approx(np.sum(np.abs(wave) ** 2), rel=1e-5)


def test_fraction_of_a_position_moves_the_object_under_the_beam():
    """A band-limited object sampled half a pixel on gives the same frame as a fraction of 0.5."""
    y, x = np.mgrid[0:64, 0:64] * 2 * np.pi / 64
    obj = 1 + 0.2 * np.exp(1j * (2 * y - x)) + 0.1 * np.exp(1j * (x + y))
    moved = shift(obj, (-0.4, 0.3))  # moved(r) = obj(r + (0.4, -0.3))
    scan = np.array([[0.0, 0.0], [20.0, 20.0]])
    between = np.array([[0.0, 0.0], [20.4, 19.7]])
    for regime in ("far", "near"):
        options = {"frame_shape": (32, 32), "regime": regime, "probe": "gaussian"}
        fraction = simulate(obj=obj, scan=between, **options).data[1]
        whole = simulate(obj=moved, scan=scan, **options).data[1]
        scale = whole.sum() / fraction.sum()
        np.testing.assert_allclose(fraction * scale, whole, atol=1e-5 * whole.max())


def test_positions_begin_at_zero_and_the_object_holds_every_window():
    s = simulate((20, 30), 13, scan="rings")

    assert s.positions_px.min(axis=0).tolist() == [0, 0]
    last = np.floor(s.positions_px.max(axis=0) + 0.5)
    assert s.object.shape == (last[0] + 20, last[1] + 30)


def test_mean_counts_are_those_asked_for_and_follow_poisson_statistics():
    clean = simulate((32, 32), 40, scan="raster", seed=5)
    noisy = simulate((32, 32), 40, scan="raster", seed=5, counts_per_frame=2e4)

    expected = clean.data.astype(np.float64) * 2e4 / clean.data.sum(axis=(1, 2)).mean()
    assert noisy.data.sum() / 40 == pytest.approx(2e4, rel=5e-3)
    bright = expected > 3
    deviation = (noisy.data - expected)[bright] / np.sqrt(expected[bright])
    assert deviation.mean() == pytest.approx(0, abs=4 / np.sqrt(bright.sum()))
    assert deviation.var() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("counts", "dtype"), [(300, "u1"), (3e5, "u2"), (3e8, "u4"), (None, "f4")])
def test_data_have_the_narrowest_type(counts, dtype):
    assert simulate(**SMALL, counts_per_frame=counts).data.dtype == np.dtype(dtype)


def test_seed_decides_noise_and_jitter_but_noise_moves_no_position():
    options = {**SMALL, "scan": "raster", "counts_per_frame": 1e4}
    first, again = simulate(**options, seed=1), simulate(**options, seed=1)
    other = simulate(**options, seed=2)
    clean = simulate(**{**options, "counts_per_frame": None}, seed=1)

    np.testing.assert_array_equal(first.data, again.data)
    np.testing.assert_array_equal(first.positions_px, clean.positions_px)
    assert (first.data != other.data).any()
    assert (first.positions_px != other.positions_px).any()


def test_modes_share_the_power_as_asked():
    s = simulate(**SMALL, probe_modes=3, probe_mode_powers=[6, 3, 1])

    power = np.sum(np.abs(s.probe) ** 2, axis=(1, 2))
    np.testing.assert_allclose(power / power.sum(), [0.6, 0.3, 0.1], rtol=1e-5)


def test_object_modes_differ_and_each_contributes():
    s = simulate(**SMALL, object_modes=2, object_mode_powers=[3, 1])

    assert s.object.shape[0] == 2
    without = metrics.fourier_error(s.data, s.object[:1], s.probe, s.positions_px)
    assert without > 1e-3


def test_default_is_a_sensible_problem():
    s = simulate()

    assert 0.65 <= s.overlap <= 0.70
    assert 0.25 < probes.diameter_m(s.probe) / 64 < 0.45
    spectrum = np.abs(np.fft.fftshift(np.fft.fft2(s.object)))
    detail = np.median(spectrum[: len(spectrum) // 8]) / np.median(spectrum)
    assert detail > 0.1


def test_step_and_overlap_mean_the_same():
    by_overlap = simulate(**SMALL, overlap=0.6)
    step = 0.4 * probes.diameter_m(by_overlap.probe, by_overlap.pixel_size_m)
    pixel = np.array(by_overlap.pixel_size_m)
    by_step = simulate(**SMALL, step_px=tuple(step / pixel))

    assert by_step.overlap == pytest.approx(0.6, abs=1e-5)
    np.testing.assert_allclose(by_step.positions_px, by_overlap.positions_px, atol=1e-3)


def test_masked_pixels_hold_nothing():
    mask = np.ones((24, 32), dtype=bool)
    mask[3:5] = False

    s = simulate(**SMALL, mask=mask, counts_per_frame=1e5)

    assert not s.data[:, ~mask].any()
    assert s.data[:, mask].any()
    np.testing.assert_array_equal(s.mask, mask)


def test_unpacks_as_arguments_of_the_one_call():
    s = simulate(**SMALL)

    data, obj, probe, positions, mask = s
    assert data is s.data
    assert obj is None
    assert probe is s.probe
    assert positions is s.positions_px
    assert mask is None


def test_start_probe_is_wrong_as_asked_with_the_power_of_the_truth():
    s = simulate((64, 64), 5, probe_modes=2)

    right = s.start_probe()
    wrong = s.start_probe(numerical_aperture=1.1, defocus_m=1.2)
    coherent = s.probe[0] / np.linalg.norm(s.probe[0]) * np.linalg.norm(s.probe)
    np.testing.assert_allclose(right[0], coherent, atol=1e-4 * np.abs(coherent).max())
    assert np.linalg.norm(wrong) == pytest.approx(np.linalg.norm(s.probe), rel=1e-5)
    assert metrics.probe_error(wrong, right) > 0.2


def test_geometry_in_numbers():
    far = simulate((24, 48), 3, energy_ev=10e3, distance_m=1.5, detector_pixel_m=(50e-6, 100e-6))
    wavelength = 1.239841984e-10
    expected = (wavelength * 1.5 / (24 * 50e-6), wavelength * 1.5 / (48 * 100e-6))
    np.testing.assert_allclose(far.pixel_size_m, expected, rtol=1e-6)
    assert far.geometry.pixel_size_m == far.pixel_size_m

    near = simulate(
        **SMALL, regime="near", distance_m=0.9, focus_distance_m=0.1, detector_pixel_m=1e-6
    )
    np.testing.assert_allclose(near.pixel_size_m, 1e-7)
    assert near.geometry.focus_distance_m == 0.1


def test_diverging_beam_equals_the_scaled_parallel_beam():
    cone = simulate(
        **SMALL, regime="near", distance_m=0.9, focus_distance_m=0.1, detector_pixel_m=2e-6
    )
    parallel = simulate(
        **SMALL, regime="near", distance_m=0.9 / magnification(0.9, 0.1), detector_pixel_m=2e-7
    )

    np.testing.assert_allclose(cone.data, parallel.data, rtol=1e-4, atol=1e-3)


def test_saved_file_holds_data_truth_and_geometry(tmp_path):
    h5py = pytest.importorskip("h5py")
    s = simulate(**SMALL, counts_per_frame=1e5, probe_modes=2)
    path = tmp_path / "scan.h5"

    s.save(path)

    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["data"], s.data)
        np.testing.assert_allclose(
            file["positions"][...], s.positions_px * np.array(s.pixel_size_m)
        )
        np.testing.assert_array_equal(file["truth/object"], s.object)
        np.testing.assert_array_equal(file["truth/probe"], s.probe)
        assert file["mask"][...].all()
        assert file.attrs["regime"] == "far"
        assert file.attrs["wavelength_m"] == s.wavelength_m
    assert [p.name for p in tmp_path.iterdir()] == ["scan.h5"]


def test_inputs_are_not_changed():
    probe = probes.make_probe("gaussian", (24, 32), 1e-7, 1e-10)
    obj, scan = np.ones((40, 50), dtype=complex), np.array([[3.2, 4.0], [5.0, 9.7]])
    copies = [a.copy() for a in (probe, obj, scan)]

    simulate((24, 32), probe=probe, obj=obj, scan=scan, counts_per_frame=1e4)

    for before, after in zip(copies, (probe, obj, scan), strict=True):
        np.testing.assert_array_equal(before, after)


def test_pictures_take_the_ranges_given_and_are_never_scaled_up():
    obj = specimens.from_images((30, 40), "moon", "coins", (0.2, 0.7), (-0.5, 0.3))
    assert np.abs(obj).min() == pytest.approx(0.2)
    assert np.abs(obj).max() == pytest.approx(0.7)
    assert np.angle(obj).min() == pytest.approx(-0.5)
    assert np.angle(obj).max() == pytest.approx(0.3)

    picture = np.random.default_rng(0).random((20, 20))
    large = np.abs(specimens.from_images((50, 30), picture, picture, (0.0, 1.0)))
    part = (picture - picture.min()) / np.ptp(picture)
    np.testing.assert_allclose(large[15:35, 5:25], part, atol=1e-12)


@pytest.mark.parametrize("name", specimens.IMAGES)
def test_every_named_picture_is_there(name):
    assert np.isfinite(specimens.from_images((16, 24), name, name)).all()


def test_near_field_kernels_agree_for_small_angles_and_keep_power():
    args = ((32, 40), 1.5e-10, 0.02, 1e-6)
    exact, paraxial = near_field_kernel(*args), near_field_kernel(*args, method="fresnel")

    np.testing.assert_allclose(exact, paraxial, atol=1e-4)
    np.testing.assert_allclose(np.abs(exact), 1, atol=1e-12)
    wave = np.random.default_rng(1).standard_normal((32, 40)) + 0j
    back = propagate(propagate(wave, *args[1:]), args[1], -args[2], args[3])
    np.testing.assert_allclose(back, wave, atol=1e-12)


def test_evanescent_waves_decay_both_ways():
    for distance in (1e-6, -1e-6):
        kernel = near_field_kernel((16, 16), 1e-6, distance, 2e-7)
        assert np.abs(kernel).max() <= 1
        assert np.abs(kernel[8, 8]) < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_shape": (2, 32)}, "frame_shape was 2"),
        ({"frame_shape": (8, 8, 8)}, r"frame_shape was \(8, 8, 8\)"),
        ({"frames": 0}, "frames was 0"),
        ({"regime": "fare"}, "perhaps 'far'"),
        ({"counts_per_frame": -1.0}, "counts_per_frame was -1.0"),
        ({"counts_per_frame": 1e14}, "uint32 ends at"),
        ({"seed": -1}, "seed was -1"),
        ({"overlap": 0.5, "step_px": 3.0}, "only one may be"),
        ({"overlap": 1.0}, "overlap was 1.0"),
        ({"scan": "zigzag"}, "scan was 'zigzag'"),
        ({"frames": None, "scan": np.zeros((3, 3))}, r"scan had shape \(3, 3\)"),
        ({"jitter": -0.1}, "jitter was -0.1"),
        ({"probe": "lens"}, "probe was 'lens'"),
        ({"probe": np.ones((5, 5))}, r"probe had frames of \(5, 5\)"),
        ({"probe": np.zeros((24, 32))}, "probe was zero everywhere"),
        ({"probe": np.ones((24, 32)), "probe_settings": {"a": 1}}, "leave them out"),
        ({"probe": np.ones((2, 24, 32)), "probe_modes": 3}, "give one mode"),
        ({"probe_mode_powers": [1, 2]}, "must be 1 positive numbers"),
        ({"probe_modes": 0}, "modes was 0"),
        ({"frames": 5, "scan": np.zeros((3, 2))}, "leave frames out"),
        ({"frames": None, "scan": np.zeros((3, 2)), "overlap": 0.5}, "overlap was given with"),
        ({"frames": None, "scan": np.zeros((3, 2)), "jitter": 0.5}, "jitter was given with"),
        ({"obj": np.ones((90, 90)), "phase_image": "moon"}, "phase_image of the object was given"),
        ({"method": "fresnel"}, "method was given, but belongs to the near field"),
        ({"obj": np.ones((10, 10))}, "enlarge obj"),
        ({"obj": np.ones((90, 90)), "object_modes": 2}, "modes of the object was given with obj"),
        ({"amplitude_image": "cat"}, "amplitude_image was 'cat'"),
        ({"amplitude_range": (-1, 1)}, "amplitude_range began at -1"),
        ({"phase_range_rad": (2, 1)}, "the lowest must come first"),
        ({"mask": np.zeros((24, 32), dtype=bool)}, "no True pixel"),
        ({"mask": np.ones((24, 32))}, "must be bool"),
        ({"energy_ev": 0.0}, "energy_ev was 0.0"),
        ({"distance_m": -1.0}, "distance_m was -1.0"),
        ({"focus_distance_m": 0.1}, "belongs to the near field"),
        ({"regime": "near", "focus_distance_m": 0.1}, "distance_m was None"),
        ({"method": "exact"}, "method was 'exact'"),
        ({"obj": np.full((90, 90), np.nan)}, "not finite"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(options, message):
    with pytest.raises(InvalidArgument, match=message) as caught:
        simulate(**{**SMALL, **options})
    assert "\n" not in str(caught.value)


def test_start_probe_refuses_what_it_cannot_change():
    with pytest.raises(InvalidArgument, match="perhaps 'defocus_m'"):
        simulate(**SMALL).start_probe(defocus=1.2)
    with pytest.raises(InvalidArgument, match="given as an array"):
        simulate(**SMALL, probe=np.ones((24, 32))).start_probe()


def test_scan_of_each_kind_reaches_the_overlap_asked_for():
    for kind in scans.SCANS:
        s = simulate((48, 48), 30, scan=kind, overlap=0.75, jitter=0.0)
        assert s.overlap == pytest.approx(0.75)
