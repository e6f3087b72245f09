"""Start probes that are described: from optics, a file, or the data, in the call and as text."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import exitwave
from exitwave import probes
from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.start_probe import KINDS, OPTICS, parse_probe, placeholder

SHORT = {"engines": [{"name": "rPIE", "iterations": 3}], "orthogonalise": False}
GRID = ("pixel_size_m", "wavelength_m")


@pytest.fixture(scope="module")
def sample():
    return exitwave.simulate((32, 40), 30, counts_per_frame=1e6, seed=2)


@pytest.fixture(scope="module")
def saved(sample, tmp_path_factory):
    path = tmp_path_factory.mktemp("probe") / "scan.h5"
    sample.save(path)
    return path


def described(sample, **settings):
    """Optics of the sample as a description."""
    known = {"pixel_size_m": sample.pixel_size_m, "wavelength_m": sample.wavelength_m}
    return {"kind": "lens"} | sample.settings["probe_settings"] | known | settings


def started(sample, probe, **params):
    result = exitwave.ptychography(
        sample.data, probe=probe, pos=sample.positions_px, params=SHORT | params
    )
    return result.start["probe"]


def likeness(first, second):
    return abs(np.vdot(first, second)) / np.linalg.norm(first) / np.linalg.norm(second)


def test_described_optics_are_what_the_functions_make(sample):
    start = started(sample, described(sample))

    assert start.shape == (1, 32, 40)
    assert likeness(start, sample.probe) > 1 - 1e-6


def test_geometry_of_the_file_needs_no_repetition(sample, saved):
    short = {k: v for k, v in described(sample).items() if k not in GRID}

    result = exitwave.ptychography(str(saved), probe=short, params=SHORT)

    assert likeness(result.start["probe"], sample.probe) > 1 - 1e-6


def test_near_field_takes_pixel_and_wavelength_from_the_propagation():
    near = exitwave.simulate(32, 20, regime="near", counts_per_frame=1e6, probe="gaussian")

    start = started(
        near,
        {"kind": "gaussian", "fwhm_m": near.settings["probe_settings"]["fwhm_m"]},
        propagation=near.propagation,
    )

    assert likeness(start, near.probe) > 1 - 1e-6


def test_energy_stands_for_the_wavelength_and_is_that_of_electrons_in_their_lens():
    sample = exitwave.simulate((32, 40), 30, counts_per_frame=1e6, probe="electron")
    probe = {
        "kind": "electron",
        **sample.settings["probe_settings"],
        "pixel_size_m": sample.pixel_size_m,
        "energy_ev": 300e3,
    }

    assert likeness(started(sample, probe), sample.probe) > 1 - 1e-6
    assert sample.geometry.energy_ev == pytest.approx(300e3)
    assert sample.wavelength_m == pytest.approx(1.969e-12, rel=1e-3)


def test_modes_have_the_powers_asked_for(sample):
    start = started(sample, described(sample, modes=3, mode_powers=[0.7, 0.2, 0.1]))

    gram = np.einsum("ayx,byx->ab", start.conj(), start.astype(complex))
    np.testing.assert_allclose(gram / np.trace(gram), np.diag([0.7, 0.2, 0.1]), atol=1e-6)


def test_powers_alone_say_how_many_modes(sample):
    assert started(sample, described(sample, mode_powers=[3, 1])).shape == (2, 32, 40)


def test_probe_from_the_data_can_have_modes(sample):
    plain = started(sample, {"kind": "data"})
    modes = started(sample, {"kind": "data", "modes": 2, "mode_powers": [9, 1]})

    np.testing.assert_array_equal(plain, started(sample, None))
    assert likeness(modes[0], plain[0]) > 1 - 1e-6
    power = (np.abs(modes) ** 2).sum(axis=(1, 2))
    assert power[0] / power[1] == pytest.approx(9, rel=1e-4)


def test_probe_from_a_file(sample, saved, tmp_path):
    own = tmp_path / "own.npz"
    np.savez(own, beam=sample.probe[0])

    for probe in (
        {"kind": "file", "path": saved},
        {"kind": "file", "path": saved, "dataset": "truth/probe"},
        {"kind": "file", "path": own, "dataset": "beam"},
    ):
        assert likeness(started(sample, probe), sample.probe) > 1 - 1e-6


def test_description_is_not_changed(sample):
    probe = described(sample, modes=2)
    before = dict(probe)

    started(sample, probe)

    assert probe == before


def test_text_says_the_same(saved):
    assert parse_probe("zone_plate:diameter_m=1e-4,outer-zone-m=5e-8,modes=3") == {
        "kind": "zone_plate",
        "diameter_m": 1e-4,
        "outer_zone_m": 5e-8,
        "modes": 3,
    }
    assert parse_probe("kb:aperture_m=2e-4,1e-4,focal_length_m=0.2,mode_powers=3,1") == {
        "kind": "kb",
        "aperture_m": (2e-4, 1e-4),
        "focal_length_m": 0.2,
        "mode_powers": (3, 1),
    }
    assert parse_probe("data") == {"kind": "data"}
    assert parse_probe(str(saved)) == {"kind": "file", "path": str(saved)}
    assert parse_probe(f"{saved}::truth/probe")["dataset"] == "truth/probe"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zoneplate:diameter_m=1", "must be a file, or one of lens"),
        ("zone_plate", "lacks diameter_m, outer_zone_m"),
        ("lens:defocus=1,numerical_aperture=1e-3", "perhaps 'defocus_m'"),
        ("lens:5", "where key=value must stand"),
        ("none.h5", "must be a file"),
    ],
)
def test_text_that_is_no_probe_is_refused(text, message):
    with pytest.raises(InvalidArgument, match=message):
        parse_probe(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "lense"}, "perhaps 'lens'"),
        ({"numerical_apertur": 1e-3}, "perhaps 'numerical_aperture'"),
        ({"numerical_aperture": "wide"}, "numerical_aperture was 'wide'"),
        ({"energy_ev": 8e3}, "say the same thing"),
        ({"pixel_size_m": -1.0}, "pixel_size_m was -1.0"),
        ({"wavelength_m": 0}, "wavelength_m was 0"),
        ({"modes": 0}, "modes was 0"),
        ({"modes": 3, "mode_powers": [1, 2]}, "must be 3 positive numbers"),
        ({"defocus_m": 1.0}, "makes a disc of"),
    ],
)
def test_bad_descriptions_are_refused_in_one_sentence(sample, change, message):
    with pytest.raises(InvalidArgument, match=message) as caught:
        started(sample, described(sample, **change))
    assert "\n" not in str(caught.value)


def test_missing_facts_are_asked_for(sample):
    whole = described(sample)
    for missing, message in (
        ("kind", "no key 'kind'"),
        ("numerical_aperture", "lacks numerical_aperture"),
        ("pixel_size_m", "add pixel_size_m"),
        ("wavelength_m", "wavelength_m or energy_ev"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            started(sample, {k: v for k, v in whole.items() if k != missing})


def test_files_without_a_fitting_probe_are_refused(sample, saved, tmp_path):
    other = tmp_path / "other.h5"
    exitwave.simulate(24, 5).save(other)
    two = tmp_path / "two.npz"
    np.savez(two, beam=np.concatenate([sample.probe, sample.probe]), word=np.array("a"))

    for probe, error, message in (
        ({"path": other}, InvalidArgument, "must be the shape"),
        ({"path": tmp_path / "none.h5"}, FileFormatError, "does not exist"),
        ({"path": saved, "dataset": "none"}, FileFormatError, "no dataset none"),
        ({"path": two, "dataset": "word"}, InvalidArgument, "must be a probe"),
        ({"path": two, "dataset": "beam", "modes": 3}, InvalidArgument, "the file has 2 of them"),
        ({}, InvalidArgument, "lacks path"),
    ):
        with pytest.raises(error, match=message):
            started(sample, {"kind": "file"} | probe)


def test_documentation_lists_every_kind_with_its_keys_and_defaults():
    text = (Path(__file__).parents[2] / "docs" / "probes.md").read_text()
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}

    assert list(rows) == list(KINDS)
    for kind in OPTICS:
        make = getattr(probes, kind)
        for name, default in probes.setting_names(make).items():
            given = default is not inspect.Parameter.empty
            assert f"`{name}`" + (f" ({default:g})" if given else "") in rows[kind]


def test_plans_know_the_shape_of_a_probe_that_is_not_made_yet(sample, saved):
    def modes(probe):
        return placeholder(probe, (32, 40)).shape

    assert modes(None) == (1, 32, 40)
    assert modes({"kind": "data", "modes": 3}) == (3, 32, 40)
    assert modes({"kind": "gaussian", "fwhm_m": 1e-6, "mode_powers": [2, 1]}) == (2, 32, 40)
    assert modes({"kind": "file", "path": saved}) == (1, 32, 40)
    assert modes(np.ones((4, 32, 40))) == (4, 32, 40)
    with pytest.raises(InvalidArgument, match="perhaps 'fwhm_m'"):
        modes({"kind": "gaussian", "fwhm": 1e-6})
    planned = [
        exitwave.plan(
            sample.data, pos=sample.positions_px, probe=probe,
            params={"engines": [{"name": "DM"}], "device": "cpu:1"},
        ).engines[0].host_bytes
        for probe in (None, {"kind": "data", "modes": 4})
    ]  # fmt: skip
    assert planned[1] > 2 * planned[0]
