"""Data before a run: centre, bad pixels, misfits, crop, pad and bin."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import exitwave
from exitwave.errors import InvalidArgument
from exitwave.io.window import Window
from exitwave.metrics import model_intensities, result_intensities
from exitwave.prepare import (
    bin_frames,
    cut_frames,
    find_bad_pixels,
    find_centre,
    find_misfits,
    pixel_statistics,
)


@pytest.fixture(scope="module")
def sample():
    return exitwave.simulate((48, 60), 60, counts_per_frame=3e5, seed=4)


def off_centre(sample, move):
    """Frames whose zero frequency lies ``move`` = (row, column) pixels off the middle."""
    wide, _ = cut_frames(sample.data, (90, 100))
    rows, columns = (
        slice(n // 2 - m - k // 2, n // 2 - m - k // 2 + k)
        for n, k, m in zip((90, 100), (48, 60), move, strict=True)
    )
    return wide[:, rows, columns]


# Statistics


def test_statistics_are_those_of_numpy_in_chunks_and_from_a_file(sample, tmp_path, monkeypatch):
    monkeypatch.setattr("exitwave.io.frames.CHUNK_BYTES", 48 * 60 * 7)  # 3 or 7 frames
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        for data in (sample.data, file.create_dataset("data", data=sample.data)):
            known = pixel_statistics(data)

            np.testing.assert_allclose(known.mean, sample.data.mean(axis=0))
            np.testing.assert_allclose(
                known.variance, sample.data.astype(float).var(axis=0, ddof=1), rtol=1e-9, atol=1e-9
            )


# Centre


@pytest.mark.parametrize("move", [(0, 0), (3, -7), (-10, 12)])
@pytest.mark.parametrize("kind", ["defocused", "kb", "gaussian"])
def test_centre_is_found_to_a_fraction_of_a_pixel(kind, move):
    sample = exitwave.simulate((48, 60), 60, counts_per_frame=1e5, seed=4, probe=kind)

    found = find_centre(off_centre(sample, move))

    assert (found.row, found.column) == pytest.approx((24 + move[0], 30 + move[1]), abs=0.1)
    assert found.agreement > 0.95


def test_centre_lies_between_pixels_where_the_pattern_does():
    y, x = np.mgrid[:41, :52]
    pattern = 1e3 * np.exp(-((y - 17.3) ** 2 + (x - 26.75) ** 2) / 60)

    for method in ("symmetry", "mass"):
        found = find_centre(pattern, method=method)
        assert (found.row, found.column) == pytest.approx((17.3, 26.75), abs=0.05)


def test_gaps_and_a_beam_stop_do_not_pull_at_the_centre_of_symmetry(sample):
    mask = np.ones((48, 60), bool)
    mask[:, 34:38] = False
    mask[29:33] = False
    y, x = np.mgrid[:48, :60]
    mask[np.hypot(y - 27, x - 32) < 6] = False
    frames = np.where(mask, off_centre(sample, (3, 2)), 9999)

    by_symmetry = find_centre(frames, mask)
    by_mass = find_centre(frames, mask, "mass")

    assert (by_symmetry.row, by_symmetry.column) == pytest.approx((27, 32), abs=0.15)
    assert np.hypot(by_mass.row - 27, by_mass.column - 32) > 0.5


def test_centre_needs_a_pattern():
    with pytest.raises(InvalidArgument, match="no counts"):
        find_centre(np.zeros((12, 20)))
    with pytest.raises(InvalidArgument, match="perhaps 'mass'"):
        find_centre(np.ones((12, 20)), method="mas")
    with pytest.raises(InvalidArgument, match="must be bool"):
        find_centre(np.ones((12, 20)), np.ones((12, 21), bool))


# Bad pixels from the frames


def test_good_detectors_have_no_bad_pixels():
    for kind in ("defocused", "focused", "zone_plate", "aperture"):
        for counts in (1e7, 3e4, 1e3):
            s = exitwave.simulate((48, 60), 60, probe=kind, counts_per_frame=counts, seed=7)
            assert str(find_bad_pixels(s.data)) == "none"


def test_bad_pixels_are_found_by_kind(sample):
    random = np.random.default_rng(0)
    data = sample.data.astype(np.int32)
    mean = data.mean(axis=0)
    dead = [(24, 30), (20, 27), (20, 28), (28, 33)]
    hot = [(24, 40), (23, 25), (24, 25), (3, 5), (47, 59)]
    for place in dead:
        data[:, *place] = 0
    for place in hot:
        data[:, *place] = random.poisson(30 * mean.max(), len(data))
    data[:, 30, 30] = 65535  # stuck
    data[:, 10, 12] = 0
    data[::13, 10, 12] = 4000  # bursts
    data[5, 40, 7] = -1

    bad = find_bad_pixels(data)

    assert sorted(map(tuple, np.argwhere(bad.dead))) == sorted(dead)
    assert sorted(map(tuple, np.argwhere(bad.hot))) in (sorted(hot), sorted([*hot, (10, 12)]))
    assert bad.unsteady[30, 30]
    assert (bad.unsteady | bad.hot)[10, 12]
    assert np.argwhere(bad.unusable).tolist() == [[40, 7]]
    assert bad.any.sum() == len(dead) + len(hot) + 3


def test_pixels_that_are_masked_already_are_left_out(sample):
    data = sample.data.astype(np.int32)
    data[:, 20:23] = 10**6
    mask = np.ones((48, 60), bool)
    mask[20:23] = False

    assert str(find_bad_pixels(data, mask)) == "none"


def test_values_that_are_not_finite_are_unusable(sample):
    data = sample.data.astype(np.float32)
    data[3, 8, 9] = np.nan

    assert np.argwhere(find_bad_pixels(data).any).tolist() == [[8, 9]]


# Bad pixels from a model


def models(sample):
    return model_intensities(sample.object, sample.probe, sample.positions_px)


def test_deviance_of_the_true_model_is_one_everywhere():
    for counts in (1e6, 1e4, 300):
        s = exitwave.simulate((24, 30), 200, counts_per_frame=counts, seed=1)

        misfit = find_misfits(s.data, models(s))

        assert not misfit.bad.any()
        bright = s.data.sum(axis=0) > 100
        assert misfit.deviance[bright].mean() == pytest.approx(1, abs=0.01)


def test_pixels_that_contradict_the_model_are_found(sample):
    data = sample.data.astype(np.int64)
    slow = (24, 33)
    data[:, *slow] //= 2  # too many counts for a neighbour test
    bright = (30, 20)
    data[:, *bright] *= 3
    mask = np.ones((48, 60), bool)
    mask[5] = False
    data[:, 5] = -7

    misfit = find_misfits(data, models(sample), mask)

    assert sorted(map(tuple, np.argwhere(misfit.bad))) == [slow, bright]
    assert not misfit.deviance[5].any()
    assert not find_bad_pixels(np.where(mask, data, 0), mask).any[slow]


def test_misfits_of_a_result_are_those_of_a_pixel_and_not_of_the_model(sample):
    """A reconstruction that has not converged misfits everywhere, and no pixel is to blame."""
    data = sample.data.copy()
    data[:, 24, 33] = sample.data[:, 24, 33] // 4
    params = {"engines": [{"name": "rPIE", "iterations": 8}]}
    result = exitwave.ptychography(data, None, sample.probe, sample.positions_px, None, params)

    misfit = find_misfits(data, result)

    assert misfit.bad[24, 33]
    assert misfit.bad.sum() <= 3


def error_of(result, data):
    """Fourier error, as a run reports it, of what the result's model expects."""
    models = np.array(list(result_intensities(result)))
    return ((np.sqrt(models) - np.sqrt(data)) ** 2).sum() / data.sum()


TOLD: dict[str, tuple[dict, dict, dict]] = {
    # of simulate; engine; parameters
    "background": ({}, {"name": "rPIE"}, {"background": 20.0}),
    "point spread": ({}, {"name": "gradient", "point_spread_px": (0.5, 0.9)}, {}),
    "intensities": ({}, {"name": "LSQML", "intensity_start": 1}, {}),
    "distance": (
        {"regime": "near", "counts_per_frame": 1e6},
        {"name": "rPIE", "distance_start": 2},
        {},
    ),
    "slices": ({"slices": 3}, {"name": "rPIE", "slices": 4}, {}),
}


@pytest.mark.parametrize("what", TOLD)
def test_model_of_a_result_has_all_that_the_run_was_told_or_found_out(what, tmp_path):
    """Its Fourier error is the one that the run reports, also from a file."""
    simulated, engine, params = TOLD[what]
    s = exitwave.simulate((32, 28), 16, **{"counts_per_frame": 1e5} | simulated, seed=1)
    drift = np.linspace(0.7, 1.3, 16)[:, None, None] if what == "intensities" else 1.0
    data = (s.data * drift + params.get("background", 0)).astype(np.float32)
    propagation = dict(s.propagation)
    if what == "distance":
        propagation["distance_m"] *= 1.02
    params = params | {"propagation": propagation, "device": "cpu:1", "progress": False}
    engines = [engine | {"iterations": 12}]

    result = exitwave.ptychography(
        data, None, s.probe, s.positions_px, None, params | {"engines": engines}
    )

    exitwave.save_result(tmp_path / "out.h5", result)
    for each in (result, exitwave.load_result(tmp_path / "out.h5")):
        assert error_of(each, data) == pytest.approx(result.error, rel=1e-3)


def test_misfits_of_a_result_are_free_of_the_background_that_it_was_told():
    """A bright spot beside the beam, which the run knew of."""
    s = exitwave.simulate((32, 28), 36, counts_per_frame=1e5, seed=1)
    background = np.zeros((32, 28))
    background[4:6, 4:6] = 300.0
    data = s.data + np.random.default_rng(0).poisson(background, s.data.shape).astype(np.uint16)
    params = {
        "engines": [{"name": "rPIE", "iterations": 30}],
        "background": background,
        "device": "cpu:1",
        "progress": False,
    }

    result = exitwave.ptychography(data, None, s.probe, s.positions_px, None, params)

    assert not find_misfits(data, result).bad[4:6, 4:6].any()


def test_misfits_need_a_model_of_these_data(sample):
    for model, message in (
        (list(models(sample))[:-1], "model has 59 frames, but data have 60"),
        ([*models(sample), np.ones((48, 60))], "61 or more frames"),
        (np.ones((60, 48, 59)), r"of \(48, 59\)"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            find_misfits(sample.data, model)
    with pytest.raises(InvalidArgument, match="factor was 1"):
        find_misfits(sample.data, models(sample), factor=1)


# Crop, pad, bin


def test_frames_are_moved_by_whole_pixels_and_nothing_is_invented(sample):
    moved = off_centre(sample, (3, -7))

    back, mask = cut_frames(moved, centre=(24 + 3.2, 30 - 6.9))

    assert back.dtype == sample.data.dtype
    assert back.shape == sample.data.shape
    np.testing.assert_array_equal(back[:, mask], sample.data[:, mask])
    assert not back[:, ~mask].any()
    assert mask.sum() == (48 - 3) * (60 - 7)


def test_pad_adds_invalid_pixels_and_crop_takes_them_away_again(sample):
    mask = np.random.default_rng(0).random((48, 60)) > 0.2

    wide, wide_mask = cut_frames(sample.data, (61, 90), mask=mask)
    again, again_mask = cut_frames(wide, (48, 60), mask=wide_mask)

    assert wide.sum() == sample.data.sum()
    assert wide_mask.sum() == mask.sum()
    np.testing.assert_array_equal(again, sample.data)
    np.testing.assert_array_equal(again_mask, mask)


def test_zero_frequency_stays_in_the_middle_for_every_parity():
    for before in ((8, 9), (9, 8)):
        frame = np.zeros((1, *before), np.uint8)
        frame[0, before[0] // 2, before[1] // 2] = 1
        for after in ((4, 5), (5, 4), (12, 13), (13, 12)):
            cut, _ = cut_frames(frame, after)
            assert cut[0, after[0] // 2, after[1] // 2] == 1


def test_window_that_misses_a_side_of_the_frames_is_empty_there():
    window = Window.around((6, 8), (4, 4), (0, 7))

    cut = window.cut(np.arange(48).reshape(6, 8))

    assert cut.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [5, 6, 7, 0], [13, 14, 15, 0]]
    assert window.pixels_outside == 10
    with pytest.raises(InvalidArgument, match="must lie inside the frames"):
        Window.around((6, 8), (4, 4), (6, 2))


def test_bin_adds_up_counts_and_keeps_pixels_whose_parts_are_all_valid(sample):
    mask = np.ones((48, 60), bool)
    mask[7, 11] = False

    binned, binned_mask = bin_frames(sample.data, 2, mask)

    expected = sample.data.reshape(60, 24, 2, 30, 2).sum(axis=(2, 4))
    assert binned.dtype == np.uint32
    assert np.argwhere(~binned_mask).tolist() == [[3, 5]]
    np.testing.assert_array_equal(binned[:, binned_mask], expected[:, binned_mask])
    assert not binned[:, 3, 5].any()


def test_files_are_read_piece_by_piece(sample, tmp_path, monkeypatch):
    monkeypatch.setattr("exitwave.io.frames.CHUNK_BYTES", 48 * 60 * 7)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        stored = file.create_dataset("data", data=sample.data)

        cut, mask = cut_frames(stored, (50, 40), (23, 31))
        binned, _ = bin_frames(stored, 4)
        same, none = cut_frames(stored)

        assert same is stored
        assert none is None
    in_memory, same_mask = cut_frames(sample.data, (50, 40), (23, 31))
    np.testing.assert_array_equal(cut, in_memory)
    np.testing.assert_array_equal(mask, same_mask)
    np.testing.assert_array_equal(binned, bin_frames(sample.data, 4)[0])


def test_sizes_that_do_not_fit_are_refused(sample):
    with pytest.raises(InvalidArgument, match="bin is 7, which does not divide"):
        bin_frames(sample.data, 7)
    with pytest.raises(InvalidArgument, match="shape was 0"):
        cut_frames(sample.data, (0, 4))
