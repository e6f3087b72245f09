"""Refinement with several slices: of the gaps between them, and of what thin objects have too."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
from exitwave import InvalidArgument, load_result, save_result
from exitwave.geometry_refiner import GeometryRefiner
from exitwave.multislice import Slices
from exitwave.simulation import Simulation
from reference.multislice import distance_derivatives, slice_kernels, slope_derivatives
from reference.tangents import (
    defocus_tangent,
    distance_tangent,
    map_tangent,
    no_tangent,
    normal_equation,
)
from short_memory import SHORT, plan_of, short_limit
from small_scan import FRAME, PROPAGATIONS, SmallScan, devices, noise_of, relative, small_scan

LENGTHS = {"wavelength_m": 5e-7, "pixel_size_m": (1e-6, 1.3e-6)}
DISTANCES, TILT = (4e-6, 6e-6), (0.1, -0.2)
HELD = {"name": "gradient", "iterations": 1, "object_start": 1, "probe_start": None}


def thick(regime: str = "far", tilt: Any = TILT, distances: Any = DISTANCES) -> dict[str, Any]:
    known = PROPAGATIONS[regime] | LENGTHS
    return known | {"slice_distances_m": distances, "beam_tilt_rad": tilt}


@cache
def thick_scan(regime: str = "far", modes: int = 2) -> SmallScan:
    """Noisy counts of some thin object, and three slices that may explain them."""
    scan = small_scan(regime, modes, modes, noise=True)
    rng = np.random.default_rng(3)
    slices = 1 + 0.2 * noise_of(rng, modes, 3, *scan.obj.shape[-2:])
    return replace(scan, obj=slices.astype(np.complex64))


def of_oracle(
    scan: SmallScan, distances: Any, tilt: Any, tangent: Any, *given: Any, **options: Any
):
    """Curvature and slope at the start values."""
    lengths = FRAME, LENGTHS["wavelength_m"], distances, LENGTHS["pixel_size_m"]
    kernels = slice_kernels(*lengths, np.tan(tilt))
    changed = options.pop("change", None)
    if changed is not None:
        options["d_kernels"] = changed(kernels)
    fields = scan.obj.astype(complex), scan.probe.astype(complex)
    return normal_equation(scan.reference(), *fields, tangent, *given, kernels=kernels, **options)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """What the core answers to each look: (curvature, slope)."""
    answers: list[tuple[float, float]] = []
    refine = GeometryRefiner.refine

    class Core:
        def __init__(self, core: Any) -> None:
            self._core = core

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._core, name)
            return self._keep(found) if name.startswith("look_") else found

        def _keep(self, look: Any) -> Any:
            def kept(*given: Any) -> Any:
                found = look(*given)
                answers.append((found.curvature, found.slope))
                return found

            return kept

    monkeypatch.setattr(
        GeometryRefiner,
        "refine",
        lambda self, engine, i, core, *given: refine(self, engine, i, Core(core), *given),
    )
    return answers


@pytest.mark.parametrize("device", devices("cpu:2", "emulated", "emulated:1"))
@pytest.mark.parametrize("regime", ["far", "near"])
def test_sums_of_distances_and_tilt_are_those_of_the_oracle(regime, device, seen):
    """Of each gap with those before it where they have come to, then of both tilts."""
    scan = thick_scan(regime)
    engine = HELD | {"slice_distance_start": 0, "tilt_start": 0}

    got = scan.run(engine, propagation=thick(regime), device=device, parts=3)

    (first, second), slope = got.refined["slice_distances_m"].value, np.tan(TILT)
    pixel = LENGTHS["pixel_size_m"]
    cases = [
        (gap, (DISTANCES, (first, DISTANCES[1]))[gap], distance_derivatives, (slope,))
        for gap in range(2)
    ]
    for gap, distances, derivatives, given in cases:

        def change(kernels, gap=gap, derivatives=derivatives, given=given):
            d_kernels = derivatives(kernels, LENGTHS["wavelength_m"], pixel, *given)
            d_kernels[1 - gap] = 0
            return d_kernels

        expected = of_oracle(scan, distances, TILT, no_tangent, change=change)
        assert seen[gap] == pytest.approx(expected, rel=2e-4)
    for axis in range(2):

        def change(kernels, axis=axis):
            per_slope = slope_derivatives(kernels, (first, second), pixel)[axis]
            return per_slope / np.cos(TILT[axis]) ** 2

        expected = of_oracle(scan, (first, second), TILT, no_tangent, change=change)
        assert seen[2 + axis] == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("unknown", ["distance", "defocus", "map"])
def test_sums_of_a_thin_object_are_carried_through_all_slices(unknown, device, seen):
    scan = thick_scan("near")
    engine = HELD | {f"{unknown}_start": 0}

    scan.run(engine, propagation=thick("near"), device=device, parts=3)

    tangent, given = {
        "distance": (distance_tangent, [tuple(LENGTHS.values())]),
        "defocus": (defocus_tangent, [tuple(LENGTHS.values())]),
        "map": (map_tangent, [((a, b),) for a in range(2) for b in range(2)]),
    }[unknown]
    assert len(seen) == len(given)
    for found, each in zip(seen, given, strict=True):
        expected = of_oracle(scan, DISTANCES, TILT, tangent, *each, first_only=unknown == "defocus")
        assert found == pytest.approx(expected, rel=2e-4)


REFINING = {
    "iterations": 4,
    "slice_distance_start": 1,
    "slice_distance_every": 1,
    "slice_distance_stop": 3,
    "map_start": 0,
    "map_every": 2,
}
CHAIN = (
    {"name": "ePIE", "group_size": 5, **REFINING},
    {"name": "gradient", **REFINING, "object_start": 4, "tilt_start": 0, "tilt_every": 2},
    {"name": "ML", "iterations": 2},
)


@pytest.mark.parametrize("device", devices("cpu:2", "emulated", "emulated:1"))
def test_parts_come_to_the_same_gaps(device):
    scan = thick_scan()
    one = scan.run(*CHAIN, propagation=thick(), parts=1)

    many = scan.run(*CHAIN, propagation=thick(), parts=3, device=device)

    assert {name: len(found.history) for name, found in one.refined.items()} == {
        "scan_map": 5,
        "slice_distances_m": 5,
        "beam_tilt_rad": 3,
    }
    for name, found in one.refined.items():
        np.testing.assert_allclose(many.refined[name].history, found.history, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(many.refined[name].uncertainty, found.uncertainty, rtol=1e-3)
    assert relative(many.object, one.object) < 1e-4


@pytest.mark.parametrize("kind", SHORT)
def test_blocks_do_not_change_a_bit_and_keep_to_the_plan(kind):
    device, parts, whose, *_ = SHORT[kind]
    scan = small_scan("far", 1, noise=True, frames=31)
    slices = 1 + 0.1 * noise_of(np.random.default_rng(0), 1, 3, 22, 33)
    scan = replace(scan, obj=slices.astype(np.complex64))
    engine = HELD | {"group_size": 5, "slice_distance_start": 0, "tilt_start": 0}
    where = {"device": device, "parts": parts, "propagation": thick()}
    resident = scan.run(engine, **where)
    limit = short_limit(scan, engine, whose, **where)

    streamed = scan.run(engine, memory_limit=limit, **where)

    assert plan_of(scan, engine, memory_limit=limit, **where).engines
    for name, found in resident.refined.items():
        np.testing.assert_array_equal(streamed.refined[name].history, found.history)


def test_next_engine_goes_on_with_the_gaps_that_were_found():
    """Also with other slices, which share the depth that was found."""
    scan = thick_scan(modes=1)
    split = {"name": "ePIE", "iterations": 2, "slices": 4, "slice_distance_start": 1}

    got = scan.run(CHAIN[1], propagation=thick())
    more = scan.run(CHAIN[1], split, propagation=thick())

    distances, tilt = (got.refined[name].value for name in ("slice_distances_m", "beam_tilt_rad"))
    known = thick(tilt=tilt, distances=distances.tolist())
    given = scan.data, got.object, got.probe, got.positions, scan.mask, known
    assert got.error == pytest.approx(exitwave.metrics.fourier_error(*given), rel=1e-4)
    depth = distances.sum() + distances[[0, -1]].sum() / 2
    history = more.refined["slice_distances_m"].history
    assert history.shape == (2, 3)
    np.testing.assert_allclose(history[0], depth / 4)


@pytest.mark.parametrize("after", range(1, 10))
def test_stopped_run_goes_on_with_what_it_had_refined(after, tmp_path: Path):
    scan = thick_scan(modes=1)
    whole = scan.run(*CHAIN, propagation=thick())
    steps = iter(range(1, 99))
    place = tmp_path / "run.checkpoint"
    stop = {"checkpoint": place, "callback": lambda state: next(steps) == after}
    scan.run(*CHAIN, propagation=thick(), **stop)

    resumed = exitwave.resume(place, scan.data)

    np.testing.assert_array_equal(resumed.object, whole.object)
    assert set(resumed.refined) == {"scan_map", "slice_distances_m", "beam_tilt_rad"}
    for name, found in whole.refined.items():
        np.testing.assert_array_equal(resumed.refined[name].history, found.history)


def test_result_file_and_metrics_know_what_was_refined(tmp_path: Path):
    scan = thick_scan(modes=1)
    got = scan.run(*CHAIN, propagation=thick())

    save_result(tmp_path / "result.h5", got)

    back = load_result(tmp_path / "result.h5")
    for name, found in got.refined.items():
        np.testing.assert_array_equal(back.refined[name].value, found.value)
    frames = list(exitwave.metrics.result_intensities(back))
    measured, known = np.sqrt(scan.data.astype(float)), scan.mask
    misfit = sum(
        ((one - np.sqrt(two))[known] ** 2).sum() for one, two in zip(measured, frames, strict=True)
    )
    assert misfit / scan.data[:, known].sum() == pytest.approx(got.error, rel=1e-3)


@cache
def tilted_scan() -> Simulation:
    """Electrons: half an angstrom a pixel, three slices 25 nm apart, 3 mrad."""
    size, wavelength_m = 48, 1.9687e-12
    distance_m = 5e-11 * size * 75e-6 / wavelength_m
    return exitwave.simulate(
        size,
        40,
        probe="electron",
        distance_m=distance_m,
        counts_per_frame=1e7,
        slices=3,
        tilt_rad=(3e-3, -2e-3),
        seed=1,
    )


def run(scan: Simulation, obj: Any, engine: dict[str, Any], **changed: Any) -> exitwave.Result:
    params = {"engines": [engine], "propagation": scan.propagation | changed, "device": "cpu:1"}
    return exitwave.ptychography(scan.data, obj, scan.probe, scan.positions_px, None, params)


def test_tilt_of_a_known_object_is_found():
    scan = tilted_scan()
    engine = HELD | {"iterations": 12, "object_start": 12, "tilt_start": 0, "tilt_every": 1}

    got = run(scan, scan.object, engine, beam_tilt_rad=(0.0, 0.0)).refined["beam_tilt_rad"]

    assert got.value == pytest.approx([3e-3, -2e-3], rel=0.01)
    assert got.value == pytest.approx([3e-3, -2e-3], abs=5 * got.uncertainty.max())


def test_a_free_object_takes_up_a_tilt():
    """A tilt by whole pixels per gap is a shear of the slices, to the last digit."""
    rng = np.random.default_rng(0)
    gaps = Slices.make(FRAME, 5e-7, DISTANCES, 1e-6)
    probe, slices = noise_of(rng, *FRAME), 1 + 0.3 * noise_of(rng, 3, *FRAME)
    slope = np.array([0.5, -1.0])
    moves = np.cumsum([(0, 0), *(gaps.shift_px * slope)], axis=0)
    assert moves == pytest.approx(np.round(moves))

    tilted = gaps.exit_wave(probe, slices, np.arctan(slope))

    sheared = [
        np.roll(o, -np.round(d).astype(int), (0, 1)) for o, d in zip(slices, moves, strict=True)
    ]
    straight = gaps.exit_wave(probe, np.array(sheared))
    assert relative(np.abs(np.fft.fft2(straight)), np.abs(np.fft.fft2(tilted))) < 1e-12


def test_distance_between_known_slices_is_found():
    scan = tilted_scan()
    wrong = (1.1 * scan.slice_distances_m[0], scan.slice_distances_m[1])
    engine = HELD | {"iterations": 12, "object_start": 12, "slice_distance_start": 0}
    engine |= {"slice_distance_every": 1}

    given = {"slice_distances_m": wrong, "beam_tilt_rad": (3e-3, -2e-3)}
    got = run(scan, scan.object, engine, **given).refined["slice_distances_m"]

    offset = wrong[0] - scan.slice_distances_m[0]
    assert got.value == pytest.approx(scan.slice_distances_m, abs=0.05 * offset)
    assert got.value == pytest.approx(scan.slice_distances_m, abs=5 * got.uncertainty.max())


@pytest.mark.parametrize(
    ("engine", "known", "message"),
    [
        (
            {"name": "gradient", "object_start": 3, "tilt_start": 3},
            {},
            "tilt_start is 3, but the object is updated from iteration 3 on and takes up any tilt",
        ),
        (
            HELD | {"tilt_start": 0},
            {"beam_tilt_rad": np.zeros((13, 2))},
            "tilt_start is 0, but beam_tilt_rad has a tilt for each frame; set tilt_start to None",
        ),
        (
            {"name": "ML", "slice_distance_start": 2},
            {"beam_tilt_rad": np.zeros((13, 2))},
            "slice_distance_start is 2, but beam_tilt_rad has a tilt for each frame",
        ),
        (
            {"name": "ML", "slice_distance_start": 2},
            {"slice_distances_m": [1e-6, 0.0]},
            r"slice_distance_start is 2, but one of .* is 0 and would stay so",
        ),
        (
            {"name": "ML", "slices": 1, "slice_distance_start": 2},
            {},
            "slice_distance_start is 2, but the object has one slice there",
        ),
    ],
)
def test_what_cannot_be_refined_is_refused(engine, known, message):
    with pytest.raises(InvalidArgument, match=message):
        thick_scan().run(engine, propagation=thick() | known)
