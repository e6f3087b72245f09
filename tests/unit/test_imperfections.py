"""What is not ideal in simulated experiments: each does what it says, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

import exitwave
from exitwave import metrics, scans
from exitwave.errors import InvalidArgument
from exitwave.imperfections import Imperfections
from exitwave.simulator import simulate

SMALL = {"frame_shape": (24, 32), "frames": 9, "seed": 2}


def flawed(options=None, **imperfections):
    return simulate(**SMALL, **(options or {}), imperfections=imperfections)


def spread(frames):
    """Sum of squares: what any blur makes smaller at the same total."""
    return float((np.asarray(frames, float) ** 2).sum())


def test_no_imperfection_is_the_ideal_experiment():
    ideal = simulate(**SMALL, counts_per_frame=1e4)
    none = flawed(
        {"counts_per_frame": 1e4},
        blur_px=0.0, probe_jitter=0.0, intensity_drift=0, position_scale=1, position_jitter_px=0,
        distance_error=0, background_counts=0, point_spread_px=0, saturation_counts=1e9,
    )  # fmt: skip

    np.testing.assert_array_equal(none.data, ideal.data)
    np.testing.assert_array_equal(none.positions_px, ideal.positions_px)
    np.testing.assert_array_equal(none.truth.positions_px, ideal.truth.positions_px)
    assert none.propagation == ideal.propagation
    assert ideal.truth.probe_changes.shape == (0, 1, 24, 32)


# Blur


@pytest.mark.parametrize("regime", ["far", "near"])
def test_blurred_frame_is_the_mean_of_frames_along_its_way(regime):
    obj = np.exp(1j * np.random.default_rng(0).random((60, 80)))
    points = np.array([[4.0, 5.0], [10.3, 12.6]])
    options = {"frame_shape": (24, 32), "regime": regime, "probe": "gaussian", "obj": obj}
    way = np.array([1.5, -2.0])

    blurred = simulate(**options, scan=points, imperfections={"blur_px": tuple(way)})

    path = Imperfections(blur_px=tuple(way)).path_px()
    assert len(path) == 10
    np.testing.assert_allclose(path.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.ptp(path, axis=0), 0.9 * np.abs(way))
    # All positions of both frames in one scan, from the corner where the blurred scan begins.
    steps = blurred.truth.positions_px[:, None] + path
    dense = simulate(**options, scan=np.concatenate([np.zeros((1, 2)), steps.reshape(-1, 2)]))
    scale = np.linalg.norm(blurred.probe) ** 2 / np.linalg.norm(dense.probe) ** 2
    expected = dense.data[1:].reshape(2, 10, 24, 32).mean(axis=1) * scale
    np.testing.assert_allclose(blurred.data, expected, rtol=2e-3, atol=1e-5 * expected.max())


def test_blur_takes_contrast_and_no_counts():
    obj = {"obj": np.exp(2j * np.random.default_rng(1).random((90, 90)))}
    sharp, blurred = simulate(**SMALL, **obj), flawed(obj, blur_px=4)

    assert blurred.data.sum() == pytest.approx(sharp.data.sum(), rel=1e-5)
    assert spread(blurred.data) < 0.97 * spread(sharp.data)
    assert (blurred.truth.positions_px.min(axis=0) == [0, 2]).all()


def test_blur_along_a_uniform_object_is_not_seen():
    options = {"obj": np.ones((90, 90))}
    np.testing.assert_allclose(
        flawed(options, blur_px=3).data, simulate(**SMALL, **options).data, rtol=1e-4, atol=1e-2
    )


# Frames that differ


def test_probe_changes_by_the_part_asked_for():
    s = simulate(**{**SMALL, "frames": 400}, probe_modes=2, imperfections={"probe_jitter": 0.05})

    probe = s.probe.astype(complex)
    changes = np.array([s.truth.frame_probe(probe, j) - probe for j in range(400)])
    for mode in (0, 1):
        relative = (np.abs(changes[:, mode]) ** 2).sum(axis=(1, 2)).mean()
        assert np.sqrt(relative) / np.linalg.norm(probe[mode]) == pytest.approx(0.05, rel=0.05)
    overlap = np.einsum("jmyx,myx->jm", changes, probe.conj())
    assert np.abs(overlap).max() < 1e-6 * np.linalg.norm(probe) ** 2


def test_frames_follow_from_their_own_probes():
    s = flawed({"counts_per_frame": None}, probe_jitter=0.1, intensity_drift=0.1)

    for j in (0, 5, 8):
        (model,) = metrics.model_intensities(
            s.object, s.truth.frame_probe(s.probe, j), s.truth.positions_px[j : j + 1]
        )
        np.testing.assert_allclose(s.data[j], model, rtol=1e-3, atol=1e-5 * model.max())
    steady = metrics.fourier_error(s.data, s.object, s.probe, s.positions_px)
    assert steady > 1e-3


def test_intensity_drifts_slowly_by_the_part_asked_for():
    factors = Imperfections(intensity_drift=0.05).intensities(400, np.random.default_rng(1))

    assert factors.mean() == pytest.approx(1)
    assert factors.std() == pytest.approx(0.05)
    assert np.abs(np.diff(factors)).max() < 0.005
    s = flawed({"obj": np.ones((90, 90))}, intensity_drift=0.2)
    np.testing.assert_allclose(
        s.data.sum(axis=(1, 2)) / s.counts_per_frame, s.truth.intensities, rtol=1e-5
    )


# Positions and lengths


def test_distorted_positions_are_the_affine_map_in_words():
    square = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])

    scaled = scans.distort(square, scale=(1.5, 0.5))
    assert scaled.tolist() == [[-0.5, 0.5], [-0.5, 1.5], [2.5, 0.5], [2.5, 1.5]]
    sheared = scans.distort(square, shear_rad=np.arctan(0.5))
    np.testing.assert_allclose(sheared, [[0, -0.5], [0, 1.5], [2, 0.5], [2, 2.5]])
    turned = scans.distort(square, rotation_rad=np.pi / 2)  # rows become columns
    np.testing.assert_allclose(turned, [[2, 0], [0, 0], [2, 2], [0, 2]], atol=1e-12)


def test_jitter_has_its_root_mean_square_and_the_map_is_what_is_left():
    points = scans.spiral(2000, 5.0)

    moved = scans.distort(points, scale=(1, 1.01), rotation_rad=0.0105, jitter_px=1.2, seed=3)

    assert metrics.position_error(moved, points, remove="affine") == pytest.approx(1.2, rel=0.05)
    assert metrics.position_error(moved, points) > 1.5
    still = scans.distort(points, scale=(1, 1.01), rotation_rad=0.0105)
    assert metrics.position_error(still, points, remove="affine") < 1e-10


def test_reported_positions_are_wrong_and_the_data_are_not():
    ideal = simulate(**SMALL)
    wrong = flawed(position_scale=(1, 1.05), position_rotation_rad=0.02, position_jitter_px=0.4)

    np.testing.assert_array_equal(wrong.data, ideal.data)
    np.testing.assert_array_equal(wrong.truth.positions_px, ideal.positions_px)
    assert metrics.position_error(wrong.positions_px, ideal.positions_px) > 0.3


def test_wrong_distance_scales_the_far_fields_pixel_and_positions():
    ideal, wrong = simulate(**SMALL), flawed(distance_error=0.01)

    np.testing.assert_array_equal(wrong.data, ideal.data)
    assert wrong.distance_m == pytest.approx(1.01 * ideal.distance_m)
    assert wrong.truth.distance_m == ideal.distance_m
    np.testing.assert_allclose(wrong.pixel_size_m, np.multiply(ideal.pixel_size_m, 1.01))
    np.testing.assert_allclose(wrong.positions_px, ideal.positions_px / 1.01)


def test_wrong_distance_of_the_near_field_is_in_its_propagation():
    near = {"regime": "near"}
    ideal, wrong = simulate(**SMALL, **near), flawed(near, distance_error=-0.02)
    cone = flawed({**near, "distance_m": 0.5, "focus_distance_m": 0.1}, distance_error=0.02)

    np.testing.assert_array_equal(wrong.data, ideal.data)
    assert wrong.propagation["distance_m"] == pytest.approx(0.98 * ideal.distance_m)
    np.testing.assert_array_equal(wrong.positions_px, ideal.positions_px)
    error = [
        metrics.fourier_error(
            wrong.data, wrong.object, wrong.probe, wrong.positions_px, propagation=propagation
        )
        for propagation in (wrong.truth.propagation, wrong.propagation)
    ]
    assert error[0] < 1e-12
    assert error[1] > 1e-4
    magnified = np.divide(cone.truth.pixel_size_m, cone.pixel_size_m)
    np.testing.assert_allclose(cone.positions_px, cone.truth.positions_px * magnified)
    assert magnified[0] == pytest.approx((0.1 + 0.51) / (0.1 + 0.5))


# Detector


def test_background_adds_its_counts_everywhere():
    image = np.linspace(0, 3, 24 * 32).reshape(24, 32)
    ideal = simulate(**SMALL)

    flat, ramp = flawed(background_counts=2.5), flawed(background_counts=image)

    np.testing.assert_allclose(flat.data - ideal.data, 2.5, atol=0.01)
    np.testing.assert_allclose(ramp.truth.background, image)
    np.testing.assert_allclose(ramp.data, ideal.data + image, rtol=1e-6, atol=0.01)
    assert ideal.truth.background is None


def test_point_spread_spreads_a_point_by_its_width_and_loses_counts_at_the_edge_only():
    one = np.zeros((41, 41))
    one[20, 20] = 1.0

    seen = Imperfections(point_spread_px=(1.0, 2.0)).detected(one, None)

    assert seen.sum() == pytest.approx(1)
    y, x = np.mgrid[:41, :41] - 20
    assert (seen * y**2).sum() == pytest.approx(1.0, rel=0.01)
    assert (seen * x**2).sum() == pytest.approx(4.0, rel=0.01)
    ideal, soft = simulate(**SMALL), flawed(point_spread_px=0.8)
    kept = soft.data.sum(axis=(1, 2)) / ideal.data.sum(axis=(1, 2))
    assert (kept < 1).all()
    assert (kept > 0.995).all()
    assert spread(soft.data) < 0.9 * spread(ideal.data)


def test_saturation_cuts_and_changes_nothing_below():
    ideal = simulate(**SMALL, counts_per_frame=1e6)
    limit = int(ideal.data.max()) // 3

    cut = flawed({"counts_per_frame": 1e6}, saturation_counts=limit)

    np.testing.assert_array_equal(cut.data, np.minimum(ideal.data, limit))
    assert (cut.data == limit).sum() > 1


def test_low_dose_with_background_has_the_mean_it_should():
    s = simulate(
        (24, 32), 400, seed=3, counts_per_frame=100, imperfections={"background_counts": 0.05}
    )

    assert s.data.sum() / 400 == pytest.approx(100 + 0.05 * 24 * 32, rel=0.02)


# Together


def test_seed_decides_all_chance_and_each_has_its_own_stream():
    options = {"position_jitter_px": 0.5, "probe_jitter": 0.1, "intensity_drift": 0.1}
    first, again = flawed(**options), flawed(**options)
    alone = flawed(position_jitter_px=0.5)
    other = simulate(**{**SMALL, "seed": 5}, imperfections=options)

    np.testing.assert_array_equal(first.data, again.data)
    np.testing.assert_array_equal(first.positions_px, alone.positions_px)
    assert (first.truth.probe_weights != other.truth.probe_weights).all()


def test_truth_is_in_the_file(tmp_path):
    s = flawed(
        {"slices": 3, "tilt_rad": (1e-3, 0)},
        position_jitter_px=0.5, probe_jitter=0.1, background_counts=1.0, distance_error=0.01,
    )  # fmt: skip
    s.save(tmp_path / "scan.h5")

    with h5py.File(tmp_path / "scan.h5") as file:
        truth = file["truth"]
        np.testing.assert_array_equal(truth["positions_px"], s.truth.positions_px)
        np.testing.assert_array_equal(truth["probe_changes"], s.truth.probe_changes)
        np.testing.assert_array_equal(truth["tilt_rad"], s.truth.tilt_rad)
        np.testing.assert_array_equal(truth["background"], s.truth.background)
        assert truth["distance_m"][()] == s.truth.distance_m
        assert tuple(file.attrs["slice_distances_m"]) == s.slice_distances_m
        assert truth["object"].shape[0] == 3
    with exitwave.load(tmp_path / "scan.h5") as scan:
        expected = s.positions_px - s.positions_px.min(axis=0)
        np.testing.assert_allclose(scan.positions_px, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("flaws", "message"),
    [
        ({"blur": 3}, "perhaps 'blur_px'"),
        ({"blur_px": (1, 2, 3)}, "blur_px was"),
        ({"blur_px": np.nan}, "blur_px was"),
        ({"probe_jitter": -0.1}, "probe_jitter was -0.1"),
        ({"intensity_drift": 0.6}, "must be below 0.5"),
        ({"position_scale": 0.0}, "position_scale was 0.0"),
        ({"position_jitter_px": np.inf}, "position_jitter_px was inf"),
        ({"distance_error": -1.0}, "must be above -1"),
        ({"background_counts": -1.0}, "nowhere negative"),
        ({"background_counts": np.ones((3, 4))}, "nowhere negative"),
        ({"point_spread_px": -1.0}, "point_spread_px was -1.0"),
        ({"point_spread_px": (1, 2, 3)}, "point_spread_px was"),
        ({"saturation_counts": 0}, "saturation_counts was 0"),
    ],
)
def test_impossible_imperfections_are_refused(flaws, message):
    with pytest.raises(InvalidArgument, match=message) as caught:
        flawed(**flaws)
    assert "\n" not in str(caught.value)


def test_documentation_lists_every_imperfection_with_its_default():
    text = (Path(__file__).parents[2] / "docs" / "simulating.md").read_text()

    for field in fields(Imperfections):
        default = field.default if field.default is None else f"{field.default:g}"
        assert f"`{field.name}` ({default})" in text
