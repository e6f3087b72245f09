"""Distance, defocus and map of the scan: the core's sums are the oracle's, and find the truth."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import InvalidArgument, load_result, save_result
from exitwave.geometry_refiner import GeometryRefiner
from exitwave.propagate import propagate
from exitwave.simulation import Simulation
from reference.tangents import (
    defocus_tangent,
    distance_tangent,
    map_tangent,
    normal_equation,
)
from small_scan import ENGINES, SmallScan, devices, relative, small_scan

LENGTHS = {"wavelength_m": 5e-7, "pixel_size_m": (1e-6, 1.3e-6)}
TANGENTS = {"distance": distance_tangent, "defocus": defocus_tangent}


def test_tangents_are_those_of_free_space():
    """On waves that are smooth at the pixel: differences stand for derivatives."""
    shape, length, pixel = (40, 48), LENGTHS["wavelength_m"], LENGTHS["pixel_size_m"]
    rows, columns = np.indices(shape)
    bump = np.exp(-(((rows - 19) / 7) ** 2) - ((columns - 24) / 8) ** 2)
    probe = bump * np.exp(1j * 0.02 * (rows - 15) * (columns - 20))
    obj = 1 + 0.5 * bump * np.exp(0.3j * columns)

    def along(wave: np.ndarray) -> np.ndarray:
        ahead, behind = (propagate(wave, length, dz, pixel, "fresnel") for dz in (1e-8, -1e-8))
        return (ahead - behind) / 2e-8

    expected = along(probe * obj) - along(probe) * obj - probe * along(obj)
    assert relative(distance_tangent(probe, obj, length, pixel), expected) < 0.05
    assert relative(defocus_tangent(probe, obj, length, pixel), along(probe) * obj) < 0.02


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the core answers to each look at a length: (curvature, slope), object, probe."""
    answers: list[Any] = []
    refine = GeometryRefiner.refine

    class Core:
        def __init__(self, core: Any) -> None:
            self._core = core

        def __getattr__(self, name: str) -> Any:
            return getattr(self._core, name)

        def look_along(self, *given: Any) -> Any:
            found = self._core.look_along(*given)
            answers.append(((found.curvature, found.slope), self._core.object, self._core.probe))
            return found

    monkeypatch.setattr(
        GeometryRefiner,
        "refine",
        lambda self, engine, i, core, *given: refine(self, engine, i, Core(core), *given),
    )
    return answers


def start_of(length: str) -> dict[str, Any]:
    return {f"{length}_start": 0} | ({"probe_start": None} if length == "defocus" else {})


def propagation_of(regime: str) -> dict[str, Any]:
    known = {"distance_m": 2e-5} if regime == "near" else {}
    return {"regime": regime, **LENGTHS, **known}


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
@pytest.mark.parametrize(
    ("regime", "length"), [("near", "distance"), ("near", "defocus"), ("far", "defocus")]
)
def test_sums_are_those_of_the_oracle(regime, length, fractional, device, seen):
    scan = small_scan(regime, 2, 2, fractional=fractional, noise=True)

    scan.run(
        {"name": "AP", "iterations": 1, **start_of(length)},
        propagation=propagation_of(regime),
        device=device,
        parts=3,
    )

    ((found, obj, probe),) = seen
    expected = normal_equation(
        scan.reference(),
        obj.astype(complex),
        probe.astype(complex),
        TANGENTS[length],
        *LENGTHS.values(),
    )
    assert found == pytest.approx(expected, rel=1e-4)


def test_background_of_the_detector_is_part_of_the_amplitudes(seen):
    scan = small_scan("near", noise=True)

    scan.run({"name": "AP", "iterations": 1, **start_of("distance")}, background=3.0)

    ((found, obj, probe),) = seen
    given = scan.reference(), obj.astype(complex), probe.astype(complex), distance_tangent
    assert found == pytest.approx(
        normal_equation(*given, *LENGTHS.values(), background=3.0), rel=1e-4
    )


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("name", ENGINES)
def test_parts_come_to_the_same_distance(name, parts):
    scan = small_scan("near", 2, noise=True)
    engine = {"name": name, "iterations": 6, "distance_start": 1, "distance_every": 2}
    given = {"propagation": propagation_of("near") | {"distance_m": 2.02e-5}}

    one = scan.run(engine, **given, parts=1).refined["distance_m"]
    other = scan.run(engine, **given, parts=parts, device="emulated").refined["distance_m"]

    assert len(one.history) == 4
    assert one.history[0] == 2.02e-5
    np.testing.assert_allclose(other.history, one.history, rtol=1e-5)
    assert other.uncertainty == pytest.approx(one.uncertainty, rel=1e-3)


@cache
def near_scan() -> Simulation:
    return exitwave.simulate(48, 50, regime="near", counts_per_frame=1e8, seed=2)


@pytest.mark.parametrize("factor", [0.99, 1.01])
@pytest.mark.parametrize("focus_distance_m", [None, 0.1])
def test_distance_that_is_off_by_a_percent_is_found(factor, focus_distance_m):
    """A diverging beam is a parallel one with d f / (f + d): the user's d is what is refined."""
    scan = near_scan()
    truth = scan.propagation["distance_m"]
    given = dict(scan.propagation)
    if focus_distance_m is not None:
        truth = truth * focus_distance_m / (focus_distance_m - truth)
        given["focus_distance_m"] = focus_distance_m

    result = exitwave.ptychography(
        scan.data,
        probe=scan.probe,
        pos=scan.positions_px,
        params={
            "engines": [{"name": "RAAR", "iterations": 60, "distance_start": 10}],
            "propagation": given | {"distance_m": factor * truth},
            "device": "cpu:1",
        },
    )

    found = result.refined["distance_m"]
    off = abs(found.value / truth - 1)
    assert off < 0.05 * abs(factor - 1)
    assert off < 5 * found.uncertainty / truth
    assert found.history[0] == factor * truth


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_defocus_that_is_off_by_a_tenth_is_found(factor):
    scan = exitwave.simulate(48, 80, counts_per_frame=1e7, seed=2)
    lengths = {"wavelength_m": scan.wavelength_m, "pixel_size_m": scan.pixel_size_m}

    result = exitwave.ptychography(
        scan.data,
        probe=scan.start_probe(defocus_m=factor),
        pos=scan.positions_px,
        params={
            "engines": [
                {
                    "name": "DM",
                    "iterations": 40,
                    "probe_start": None,
                    "defocus_start": 3,
                }
            ],
            "propagation": scan.propagation | lengths,
            "device": "cpu:1",
        },
    )

    off = (factor - 1) * scan.settings["probe_settings"]["defocus_m"]
    assert result.refined["defocus_m"].value == pytest.approx(-off, rel=0.05)


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("regime", ["near", "far"])
def test_sums_of_the_map_are_those_of_the_oracle(regime, device, seen):
    scan = small_scan(regime, 2, 2, noise=True)

    scan.run({"name": "AP", "iterations": 1, "map_start": 0}, device=device, parts=3)

    assert len(seen) == 4
    for entry, (found, obj, probe) in zip(np.ndindex(2, 2), seen, strict=True):
        given = scan.reference(), obj.astype(complex), probe.astype(complex)
        assert found == pytest.approx(normal_equation(*given, map_tangent, entry), rel=1e-4)


def test_map_of_the_scan_is_found():
    """A scan that was given 1 % too wide along the rows, and turned by 0.6 degrees."""
    scan = exitwave.simulate(48, 80, counts_per_frame=1e8, seed=2)
    turn = np.deg2rad(0.6)
    wrong = np.array([[1.01, -turn], [turn, 1.0]])
    centre = scan.positions_px.mean(axis=0)
    given = centre + (scan.positions_px - centre) @ wrong.T

    result = exitwave.ptychography(
        scan.data,
        probe=scan.probe,
        pos=given,
        params={
            "engines": [
                {"name": "ePIE", "iterations": 60, "probe_start": None, "map_start": 5},
            ],
            "propagation": scan.propagation,
            "device": "cpu:1",
        },
    )

    found = result.refined["scan_map"]
    assert found.value == pytest.approx(np.linalg.inv(wrong), abs=1e-3)
    assert (found.uncertainty < 1e-4).all()
    assert len(found.history) == 12
    there, moved = (p - p.mean(axis=0) for p in (given, result.positions))
    np.testing.assert_allclose(there @ found.value.T, moved, atol=1e-6)


def test_farthest_frame_moves_by_the_longest_step():
    scan = small_scan("far")
    engine = {"name": "AP", "iterations": 1, "map_start": 0, "position_max_step_px": 0.01}

    moved = scan.run(engine).positions - scan.positions

    assert np.hypot(*moved.T).max() == pytest.approx(0.01)


def test_map_is_told_where_frames_move_on_their_own():
    scan = small_scan("far", noise=True)

    result = scan.run({"name": "ePIE", "iterations": 3, "position_start": 1})

    found = result.refined["scan_map"]
    assert found.value.shape == found.uncertainty.shape == (2, 2)
    given, moved = (p - p.mean(axis=0) for p in (scan.positions, result.positions))
    expected = np.linalg.lstsq(given, moved, rcond=None)[0].T
    np.testing.assert_allclose(found.value, expected, atol=1e-9)
    assert len(found.history) == 3


def refining(scan: SmallScan, *engines: dict[str, Any], **params: Any) -> exitwave.Result:
    given = {"propagation": propagation_of("near") | {"distance_m": 2.02e-5}}
    return scan.run(*engines, **given, **params)


CHAIN = (
    {
        "name": "ePIE",
        "iterations": 3,
        "distance_start": 1,
        "distance_every": 1,
        "position_start": 0,
    },
    {"name": "ML", "iterations": 3, "distance_start": 0, "distance_every": 2},
)


def test_next_engine_goes_on_from_the_distance_that_was_found():
    scan = small_scan("near", noise=True)

    whole = refining(scan, *CHAIN)

    first = refining(scan, CHAIN[0])
    history = whole.refined["distance_m"].history
    np.testing.assert_array_equal(history[:3], first.refined["distance_m"].history)
    assert len(history) == 5
    exact = scan.reference()
    near = ref.NearField.angular_spectrum(scan.frame, 5e-7, float(history[-1]), (1e-6, 1.3e-6))
    there = ref.Scan(exact.counts, exact.mask, whole.positions, near)
    error = ref.fourier_error(
        there, whole.object.astype(complex)[None], whole.probe.astype(complex)
    )
    assert whole.error == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("after", range(1, 6))
def test_stopped_run_goes_on_with_what_it_had_refined(after, tmp_path: Path):
    scan = small_scan("near", noise=True)
    whole = refining(scan, *CHAIN)
    steps = iter(range(1, 99))
    place = tmp_path / "run.checkpoint"
    refining(scan, *CHAIN, checkpoint=place, callback=lambda state: next(steps) == after)

    resumed = exitwave.resume(place, scan.data)

    np.testing.assert_array_equal(resumed.object, whole.object)
    assert set(resumed.refined) == {"distance_m", "scan_map"}
    for name, found in whole.refined.items():
        np.testing.assert_array_equal(resumed.refined[name].history, found.history)
        np.testing.assert_array_equal(resumed.refined[name].uncertainty, found.uncertainty)


def test_result_file_keeps_what_was_refined(tmp_path: Path):
    result = refining(small_scan("near", noise=True), *CHAIN)

    save_result(tmp_path / "result.h5", result)

    back = load_result(tmp_path / "result.h5").refined
    assert set(back) == {"distance_m", "scan_map"}
    for name, found in result.refined.items():
        np.testing.assert_array_equal(back[name].value, found.value)
        np.testing.assert_array_equal(back[name].uncertainty, found.uncertainty)
        np.testing.assert_array_equal(back[name].history, found.history)


def test_nothing_refined_is_nothing_told():
    assert small_scan("near").run({"name": "AP", "iterations": 1}).refined == {}


@pytest.mark.parametrize(
    ("regime", "engine", "message"),
    [
        ("far", {"distance_start": 3}, r"distance_start is 3; it must be None in the far field"),
        (
            "far",
            {"defocus_start": 3, "probe_start": None},
            "defocus_start is 3, but propagation has no wavelength_m and pixel_size_m; give both",
        ),
        (
            "near",
            {"defocus_start": 3, "probe_start": 3},
            "the probe is updated from iteration 3 on and takes up any defocus; set probe_start",
        ),
    ],
)
def test_what_cannot_be_told_apart_is_refused(regime, engine, message):
    scan = small_scan(regime)
    with pytest.raises(InvalidArgument, match=message):
        scan.run({"name": "ePIE", **engine})


def test_uncertainty_is_the_scatter_of_noisy_runs():
    """Within a factor of two, over several draws of the noise."""
    scan = near_scan()
    truth = scan.propagation["distance_m"]
    found = []
    for seed in range(3, 9):
        noisy = exitwave.simulate(48, 50, regime="near", counts_per_frame=1e6, seed=seed)
        result = exitwave.ptychography(
            noisy.data,
            noisy.object,
            probe=noisy.probe,
            pos=noisy.positions_px,
            params={
                "engines": [{"name": "ML", "iterations": 16, "distance_start": 0}],
                "propagation": noisy.propagation,
                "device": "cpu:1",
            },
        )
        found.append(result.refined["distance_m"])
    scatter = math.sqrt(np.mean([(each.value - truth) ** 2 for each in found]))
    assert 0.5 < scatter / np.mean([each.uncertainty for each in found]) < 2
