"""Lengths and pixels of an experiment."""

from __future__ import annotations

from typing import Any

import pytest

import exitwave
from exitwave.errors import InvalidArgument
from exitwave.geometry import Geometry, energy_from_wavelength, wavelength_from_energy


def test_energy_and_wavelength_are_each_others_inverse() -> None:
    assert wavelength_from_energy(12398.4198) == pytest.approx(1e-10, rel=1e-7)
    assert energy_from_wavelength(wavelength_from_energy(730.0)) == pytest.approx(730.0)


def test_far_field_pixels_differ_where_the_frame_is_not_square() -> None:
    geometry = Geometry.from_far_field(1e-10, 2.0, (50e-6, 75e-6), (12, 20))

    assert geometry.pixel_size_m == pytest.approx((2e-10 / (12 * 50e-6), 2e-10 / (20 * 75e-6)))
    assert geometry.energy_ev == pytest.approx(12398.42, rel=1e-6)
    assert geometry.propagation() == {
        "regime": "far",
        "wavelength_m": 1e-10,
        "pixel_size_m": geometry.pixel_size_m,
    }


def test_an_energy_is_unknown_without_a_wavelength() -> None:
    assert Geometry("far", (1e-8, 1e-8)).energy_ev is None


def test_cone_beam_equals_a_parallel_beam_of_scaled_distance_and_pixel() -> None:
    geometry = Geometry.from_near_field(1e-10, 0.9, 1e-6, focus_distance_m=0.1)

    assert geometry.magnification == pytest.approx(10)
    propagation = geometry.propagation()
    assert propagation["distance_m"] == pytest.approx(0.09)
    assert propagation["pixel_size_m"] == pytest.approx((1e-7, 1e-7))


def test_parallel_beam_keeps_the_detector_pixel() -> None:
    geometry = Geometry.from_near_field(1e-10, 0.9, (1e-6, 2e-6))

    assert geometry.pixel_size_m == (1e-6, 2e-6)
    assert geometry.propagation() == {
        "regime": "near",
        "wavelength_m": 1e-10,
        "distance_m": 0.9,
        "pixel_size_m": (1e-6, 2e-6),
    }


@pytest.mark.parametrize("crop", [(6, 10), (12, 20), (5, 3)])
@pytest.mark.parametrize("bin", [1, 2])
def test_far_field_geometry_of_treated_frames_is_that_of_the_smaller_detector(
    crop: tuple[int, int], bin: int
) -> None:
    whole = Geometry.from_far_field(1e-10, 2.0, 50e-6, (12, 20))
    smaller = Geometry.from_far_field(1e-10, 2.0, 50e-6 * bin, (crop[0] / bin, crop[1] / bin))

    treated = whole.cropped((12, 20), crop).binned(bin)

    assert treated.pixel_size_m == pytest.approx(smaller.pixel_size_m)
    assert treated.detector_pixel_m == pytest.approx(smaller.detector_pixel_m)


def test_near_field_pixels_grow_with_binning_and_not_with_cropping() -> None:
    whole = Geometry.from_near_field(1e-10, 0.9, 1e-6, 0.3)

    treated = whole.cropped((12, 20), (6, 10)).binned(2)

    assert treated.pixel_size_m == pytest.approx((0.5e-6, 0.5e-6))
    assert treated.detector_pixel_m == (2e-6, 2e-6)


def test_oversampling_is_the_window_over_the_probe() -> None:
    geometry = Geometry("far", (1e-8, 2e-8))

    assert geometry.oversampling((12, 20), 1e-7) == pytest.approx((1.2, 4.0))
    assert geometry.field_of_view_m((12, 20)) == pytest.approx((1.2e-7, 4e-7))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"regime": "middle", "pixel_size_m": 1e-8}, "regime was 'middle'"),
        ({"regime": "far", "pixel_size_m": 0.0}, "pixel_size_m was 0.0"),
        ({"regime": "far", "pixel_size_m": (1e-8, 1e-8, 1e-8)}, "pixel_size_m had 3 values"),
        ({"regime": "far", "pixel_size_m": "small"}, "pixel_size_m was 'small'"),
        ({"regime": "far", "pixel_size_m": 1e-8, "distance_m": -1.0}, "distance_m was -1"),
        ({"regime": "far", "pixel_size_m": 1e-8, "wavelength_m": float("nan")}, "wavelength_m was"),
        ({"regime": "far", "pixel_size_m": 1e-8, "focus_distance_m": 1.0}, "focus_distance_m"),
    ],
)
def test_impossible_geometry_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        Geometry(**arguments)


def test_near_field_propagation_needs_its_lengths() -> None:
    with pytest.raises(InvalidArgument, match="wavelength_m of the geometry is None"):
        Geometry("near", (1e-8, 1e-8), distance_m=1.0).propagation()
    with pytest.raises(InvalidArgument, match="oversampling is defined for the far field"):
        Geometry("near", (1e-8, 1e-8)).oversampling((12, 20), 1e-7)


def test_energy_of_electrons_gives_their_wavelength(tmp_path):
    path = tmp_path / "electrons.h5"
    exitwave.simulate(24, 5, probe="electron").save(path)

    with exitwave.load(path) as scan:
        assert scan.geometry.radiation == "electron"
        assert scan.geometry.energy_ev == pytest.approx(300e3)
    with exitwave.load(path, energy_ev=80e3) as scan:  # the file says of what
        assert scan.geometry.wavelength_m == pytest.approx(4.176e-12, rel=1e-3)
    with exitwave.load(path, energy_ev=80e3, radiation="photon") as scan:
        assert scan.geometry.wavelength_m == pytest.approx(1.5498e-11, rel=1e-3)
    with pytest.raises(exitwave.InvalidArgument, match="radiation was 'ions'"):
        exitwave.load(path, radiation="ions")


def test_radiation_survives_a_result_file(tmp_path):
    sample = exitwave.simulate(24, 5, probe="electron")
    sample.save(tmp_path / "scan.h5")
    params = {"engines": [{"name": "ePIE", "iterations": 1}]}
    result = exitwave.ptychography(*sample, params)

    with exitwave.load(tmp_path / "scan.h5") as scan:
        exitwave.save_result(tmp_path / "result.h5", result, scan)

    with exitwave.load(tmp_path / "result.h5") as start:
        assert start.geometry.radiation == "electron"
        assert start.geometry.energy_ev == pytest.approx(300e3)
