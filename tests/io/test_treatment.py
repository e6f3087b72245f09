"""Options of load that treat the frames: centre, crop, pad, bin, bad pixels."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import exitwave
from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.prepare import cut_frames, find_bad_pixels

SHORT = {"engines": [{"name": "rPIE", "iterations": 25}]}


@pytest.fixture(scope="module")
def sample():
    return exitwave.simulate((48, 40), 60, counts_per_frame=1e6, seed=4)


def write(path, sample, data, mask=None):
    """The sample's file with other frames, and lengths that fit them."""
    sample.save(path)
    with h5py.File(path, "r+") as file:
        del file["data"], file["mask"], file["probe"], file.attrs["pixel_size_m"]
        file["data"] = data
        if mask is not None:
            file["mask"] = mask
    return path


@pytest.fixture
def shifted(sample, tmp_path):
    """A detector of 60 x 50 pixels with the zero frequency at (34, 21), and two bad pixels."""
    data, mask = cut_frames(sample.data, (60, 50), (24 - 4, 20 + 4))
    data[:, 30, 22] = 60000
    data[:, 34, 26] = 0
    return write(tmp_path / "shifted.h5", sample, data, mask)


def test_centre_and_bad_pixels_are_found_in_the_frames(sample, shifted):
    with exitwave.load(shifted, centre="auto", find_bad_pixels=True, crop=(48, 40)) as scan:
        data, mask, notes = scan.data, scan.mask, scan.notes

    assert data.shape == sample.data.shape
    np.testing.assert_array_equal(data[:, mask], sample.data[:, mask])
    bad = {(30 - 10, 22 - 1), (34 - 10, 26 - 1)}
    assert set(map(tuple, np.argwhere(~mask))) == bad
    text = " ".join(notes)
    assert "bad pixels that were found, and masked: 1 dead, " in text
    assert "the centre of the frames was found at (34.0" in text


def test_centre_that_is_given_is_taken(sample, shifted):
    with exitwave.load(shifted, centre=(34.4, 20.6), crop=(48, 40)) as scan:
        rows = np.r_[:15, 30:48]  # without the bad pixels
        np.testing.assert_array_equal(scan.data[:, rows], sample.data[:, rows])


def test_frames_around_a_centre_are_filled_with_invalid_pixels(shifted):
    with exitwave.load(shifted, centre=(34, 21)) as scan:
        assert scan.frame_shape == (60, 50)
        assert not scan.mask[-4:].any()
        assert not scan.mask[:, :4].any()
        assert any("lie outside the detector and are invalid" in note for note in scan.notes)


def test_centred_data_reconstruct_and_others_do_not_as_well(shifted):
    errors = []
    for options in ({"centre": "auto", "find_bad_pixels": True}, {}):
        with exitwave.load(shifted, **options) as scan:
            result = exitwave.ptychography(
                scan.data, None, scan.probe, scan.positions_px, scan.mask, SHORT
            )
            errors.append(result.error)
    assert errors[0] < 0.3 * errors[1]


def test_pad_makes_the_pixel_finer_and_the_positions_with_it(sample, tmp_path):
    path = write(tmp_path / "scan.h5", sample, sample.data)

    with exitwave.load(path, pad=(72, 80)) as wide, exitwave.load(path) as plain:
        assert wide.frame_shape == (72, 80)
        assert wide.mask.sum() == 48 * 40
        np.testing.assert_allclose(
            wide.geometry.pixel_size_m,
            np.array(plain.geometry.pixel_size_m) * (48 / 72, 40 / 80),
        )
        np.testing.assert_allclose(wide.positions_px, plain.positions_px * (72 / 48, 80 / 40))
        assert plain.mask is None


def test_start_probe_is_padded_like_the_frames(sample, tmp_path):
    """More detector is a finer pixel: the same beam in the same window, its spectrum padded."""
    sample.save(tmp_path / "scan.h5")

    with exitwave.load(tmp_path / "scan.h5", pad=(96, 80)) as wide:
        fine = wide.probe[0]

    coarse = sample.probe[0]
    assert np.linalg.norm(fine) == pytest.approx(np.linalg.norm(coarse), rel=1e-5)
    np.testing.assert_allclose(2 * fine[::2, ::2], coarse, atol=1e-4 * np.abs(coarse).max())


def test_pad_and_bin_go_together(sample, tmp_path):
    path = write(tmp_path / "scan.h5", sample, sample.data)

    with exitwave.load(path, pad=(60, 60), bin=3) as scan:
        assert scan.frame_shape == (20, 20)
        assert scan.data.sum() == sample.data[:, :, 2:38].sum()  # of bins that are all valid
        assert scan.mask[2:18, 4:16].all()
        assert scan.mask.sum() == 16 * 12


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pad": 44}, InvalidArgument, "pad is .44, 44., but frames are"),
        ({"crop": 50}, InvalidArgument, "give a smaller crop, or pad"),
        ({"crop": 20, "pad": 60}, InvalidArgument, "leave one out"),
        ({"centre": "automatic"}, InvalidArgument, 'must be "auto", or row and column'),
        ({"centre": (1, 2, 3)}, InvalidArgument, 'must be "auto", or row and column'),
        ({"centre": (-1, 2)}, InvalidArgument, "centre was -1"),
        ({"centre": (48, 2)}, InvalidArgument, "must lie inside the frames"),
        ({"find_bad_pixels": 1}, InvalidArgument, "must be True or False"),
        ({"find_bad_pixel": True}, InvalidArgument, "perhaps 'find_bad_pixels'"),
    ],
)
def test_options_that_do_not_fit_are_refused(sample, tmp_path, options, error, message):
    path = write(tmp_path / "scan.h5", sample, sample.data)
    with pytest.raises(error, match=message):
        exitwave.load(path, **options)


def test_near_field_has_no_centre(tmp_path):
    exitwave.simulate((32, 28), 8, regime="near").save(tmp_path / "near.h5")
    with pytest.raises(InvalidArgument, match="near-field frames have no zero frequency"):
        exitwave.load(tmp_path / "near.h5", centre="auto")


def test_frames_without_counts_have_no_centre(sample, tmp_path):
    path = write(tmp_path / "dark.h5", sample, np.zeros_like(sample.data))
    with pytest.raises(FileFormatError, match="no counts to find the centre from"):
        exitwave.load(path, centre="auto")


def test_description_tells_where_the_centre_is(shifted):
    with exitwave.load(shifted, find_bad_pixels=True) as scan:
        info = exitwave.io.describe(scan)

    assert info.centre_px == pytest.approx((34, 21), abs=0.1)
    assert any("the option centre moves it there" in note for note in info.notes)
    assert "px by symmetry" in dict(info.rows())["centre of the frames"]


def test_bad_pixels_of_the_measured_star_are_found_without_its_mask(measured):
    """Gaps and 40 hot pixels hold 65535, 40 dead ones 0; only in the dark these cannot be told."""
    with h5py.File(measured / "aps_siemens_masked.h5") as file:
        data, mask = file["data"][()], file["mask"][()].astype(bool)
        bad = find_bad_pixels(file["data"])
    stuck = (data == 65535).all(axis=0)

    assert bad.any[stuck].all()
    assert (bad.any & mask).sum() <= 1
    missed = np.argwhere(~mask & ~bad.any)
    assert len(missed) <= 15
    assert not data[:, missed[:, 0], missed[:, 1]].any()
