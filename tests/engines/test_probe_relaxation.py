"""A probe for each frame: eigen-probes and weights, refined by ML with object and probe."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import metrics
from exitwave.errors import InvalidArgument
from exitwave.parameters import validate_params
from exitwave.probe_relaxation import RelaxedProbe
from reference import relaxation
from short_memory import plan_of, short_limit
from small_scan import PROPAGATIONS, SmallScan, assert_same_bits, devices, relative, small_scan

CHANGE = 0.1


def trembling(scan: SmallScan, count: int = 2) -> tuple[SmallScan, np.ndarray]:
    """The scan with frames of their own probes (N, M, Y, X)."""
    rng = np.random.default_rng(3)
    probe = scan.true_probe
    rows, columns = (np.linspace(-1, 1, n) for n in probe.shape[-2:])
    eigen = np.stack([probe * rows[:, None], probe * columns, probe * 1j * rows[:, None] ** 2])
    weights = CHANGE * (rng.standard_normal((2, len(scan.data), count)))
    probes = probe + np.tensordot(weights[0] + 1j * weights[1], eigen[:count], axes=1)
    exact = scan.reference()
    counts = [
        ref.simulate_counts(scan.true_obj.astype(complex), own, position[None], exact.propagator)[0]
        for own, position in zip(probes, exact.positions, strict=True)
    ]
    return replace(scan, data=np.array(counts, np.float32)), probes


@cache
def scan_of(regime: str, modes: tuple[int, int], fractional: bool = True) -> SmallScan:
    return trembling(small_scan(regime, *modes, fractional=fractional))[0]


def relaxing(**options: Any) -> dict[str, Any]:
    given = {"name": "ML", "iterations": 6, "noise": "amplitude", "object_inertia": 0.01}
    return given | {"probe_relaxation_start": 2, "probe_relaxation_modes": 3} | options


def probes_of(result: exitwave.Result) -> np.ndarray:
    """(N, M, Y, X)"""
    return np.array([result.frame_probe(frame) for frame in range(len(result.positions))])


def expected_run(scan: SmallScan, options: dict[str, Any]) -> tuple[Any, ...]:
    """Object, probes of all frames, and errors of the oracle."""
    exact, count = scan.reference(), options["probe_relaxation_modes"]
    begun = RelaxedProbe.start(scan.probe, count, len(scan.data), np.random.default_rng(0))
    support = options.get("probe_support")
    support = None if support is None else ref.disc(scan.frame, support)
    probe, eigen = (
        ref.constraints.apply_supports(each.astype(complex), support)
        for each in (scan.probe, begun.eigen_probes)
    )
    here = scan.obj.astype(complex), probe, eigen, begun.weights.astype(complex)
    power, touched = ref.probe_power(probe), ref.under_windows(exact, scan.obj)
    memory, errors = None, []
    for iteration in range(options["iterations"]):
        here, memory, error = relaxation.ml_iteration(
            exact,
            here,
            memory,
            relax=iteration >= options["probe_relaxation_start"],
            update_probe=iteration % options.get("probe_every", 1) == 0,
            noise=options["noise"],
            object_inertia=options["object_inertia"],
            support=support,
        )
        errors.append(error)
    scale = np.sqrt(power / ref.probe_power(here[1]))
    obj = np.where(touched, here[0] / scale, here[0])
    return obj, np.array([scale * relaxation.frame_probe(here, j) for j in range(13)]), errors


_seen: dict[str, Any] = {}

CASES = {
    "amplitudes": {},
    "counts": {"noise": "poisson", "probe_relaxation_start": 0, "iterations": 4},
    "every second iteration": {"probe_every": 2, "probe_relaxation_start": 0},
    "in a support": {"probe_support": 0.9},
}


@pytest.mark.filterwarnings("ignore:.*supports cut")
@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
@pytest.mark.parametrize("modes", [(1, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("case", CASES)
def test_probes_of_frames_are_the_oracle_s(case, regime, modes, fractional, device):
    scan, options = scan_of(regime, modes, fractional), relaxing(**CASES[case])
    key = f"{case} {regime} {modes} {fractional}"
    if key not in _seen:
        _seen[key] = expected_run(scan, options)
    obj, probes, errors = _seen[key]

    result = scan.run(options, device=device, parts=3)

    off_object, off_probes = relative(result.object, obj), relative(probes_of(result), probes)
    assert off_object < 2e-5
    assert off_probes < 2e-5
    np.testing.assert_allclose(result.errors[0], errors, rtol=1e-3)
    changed = np.linalg.norm(probes - probes.mean(axis=0)) / np.linalg.norm(probes)
    assert changed > 100 * 2e-5


def test_eigen_probes_are_orthogonal_and_their_weights_have_the_mean_zero():
    result = scan_of("far", (2, 1)).run(relaxing(iterations=20))

    found = result.relaxed_probe
    rows = found.eigen_probes.reshape(3, -1).astype(complex)
    products = rows @ rows.conj().T / np.linalg.norm(result.probe) ** 2
    strengths = np.linalg.norm(found.weights, axis=0)
    assert found.eigen_probes.shape == (3, *result.probe.shape)
    assert found.weights.shape == (len(result.positions), 3)
    np.testing.assert_allclose(products, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(found.weights.mean(axis=0), 0, atol=1e-6)
    assert (np.diff(strengths) <= 0).all()


def test_model_of_the_result_is_the_engine_s():
    scan = scan_of("far", (2, 1))
    result = scan.run(relaxing(), orthogonalise=True)

    model = np.array(list(metrics.result_intensities(result)))

    deviation = ((np.sqrt(model) - np.sqrt(scan.data)) ** 2)[:, scan.mask].sum()
    assert deviation / scan.data[:, scan.mask].sum() == pytest.approx(result.error, rel=1e-3)


@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
def test_probes_that_change_are_found(fractional):
    """Frames are compared by their exit waves: the object alone has freedoms that the data leave
    it, of a slow change of the probe over the scan."""
    small = small_scan(frames=60, fractional=fractional, off=0.05)
    scan, true = trembling(small)
    engine = {"iterations": 60, "probe_relaxation_start": 10, "probe_relaxation_modes": 2}

    relaxed = scan.run(relaxing(**engine))
    plain = scan.run({"name": "ML", "iterations": 60, "noise": "amplitude"})

    assert plain.relaxed_probe is None
    assert relaxed.error < 1e-3 * plain.error
    change = relaxed.relaxed_probe.weights.astype(complex)
    assert np.linalg.norm(change, axis=1).mean() > 0.3 * CHANGE
    assert true.shape == probes_of(relaxed).shape


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("regime", ["far", "near"])
def test_parts_and_batches_do_not_change_probes_of_frames(regime, device):
    scan = scan_of(regime, (2, 2))
    one = scan.run(relaxing(), device="cpu:1", parts=1)

    several = scan.run(relaxing(), device=device, parts=4)
    batched = scan.run(relaxing(), device=device, parts=4, batch=3)

    assert relative(several.object, one.object) < 2e-5
    assert relative(probes_of(several), probes_of(one)) < 2e-5
    assert_same_bits(several, batched)
    np.testing.assert_array_equal(
        several.relaxed_probe.eigen_probes, batched.relaxed_probe.eigen_probes
    )


@pytest.mark.parametrize("regime", ["far", "near"])
def test_streamed_frames_give_the_bits_of_resident_ones(regime):
    scan, where = scan_of(regime, (2, 1)), {"device": "emulated", "parts": 2}
    resident = scan.run(relaxing(), **where)
    limit = short_limit(scan, relaxing(), "device", **where)

    streamed = scan.run(relaxing(), memory_limit=limit, **where)

    assert_same_bits(resident, streamed)
    np.testing.assert_array_equal(resident.relaxed_probe.weights, streamed.relaxed_probe.weights)


def test_plan_counts_what_eigen_probes_take():
    scan = scan_of("far", (1, 1))
    plain, relaxed = (
        plan_of(scan, engine, device="cpu:1", parts=1).engines[0].memory[0]
        for engine in ({"name": "ML"}, relaxing())
    )

    pixels, numbers = 3 * scan.data[0].size, 3 * len(scan.data)
    # Images, their spectra; weights, what the last pass found.
    assert relaxed.uses["eigen-probes"] >= 8 * 2 * (pixels + numbers)
    assert "eigen-probes" not in plain.uses
    # Direction, spectra of it, old gradient, and z, of both.
    more = relaxed.uses["directions"] - plain.uses["directions"]
    assert more >= 8 * (4 * pixels + 3 * numbers)


def test_stopped_run_goes_on_to_the_bit(tmp_path: Path):
    scan = scan_of("far", (2, 1))
    path = str(tmp_path / "run.checkpoint")
    whole = scan.run(relaxing())
    for last in (1, 2, 4):

        def stop(state: Any, last: int = last) -> bool:
            return bool(state.iteration == last)

        stopped = scan.run(relaxing(), callback=stop, checkpoint=path)
        assert stopped.stopped == "callback"
        resumed = exitwave.resume(path, scan.data)

        assert_same_bits(whole, resumed)
        np.testing.assert_array_equal(whole.relaxed_probe.weights, resumed.relaxed_probe.weights)


def test_next_engine_goes_on_from_the_probes_that_were_found():
    scan = scan_of("far", (1, 1))
    first = relaxing(probe_power="free")
    held = relaxing(iterations=5, probe_relaxation_start=4, probe_relaxation_modes=4)

    one = scan.run(first)
    two = scan.run(first, held)

    # The next one begins where the first one ended.
    assert two.errors[1][0] == pytest.approx(one.error, rel=1e-3)
    assert two.relaxed_probe.weights.shape[1] == 4


def test_result_file_keeps_probes_of_frames(tmp_path: Path):
    result = scan_of("far", (1, 1)).run(relaxing())

    exitwave.save_result(tmp_path / "result.cxi", result)

    kept = exitwave.load_result(tmp_path / "result.cxi")
    np.testing.assert_array_equal(kept.frame_probe(3), result.frame_probe(3))


def test_through_slices():
    """The first slice meets the frame's own probe."""
    scan = scan_of("near", (1, 1))
    propagation = PROPAGATIONS["near"] | {"slice_distances_m": [4e-6]}
    engine = {"iterations": 20, "slices": 2}

    plain = scan.run({"name": "ML", "noise": "amplitude"} | engine, propagation=propagation)
    relaxed = scan.run(relaxing(**engine), propagation=propagation)

    assert relaxed.error < 0.8 * plain.error


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"name": "rPIE", "probe_relaxation_start": 2}, "probe_relaxation_start"),
        ({"name": "ML", "probe_start": None, "probe_relaxation_start": 2}, "probe_start is None"),
        ({"name": "ML", "probe_start": 5, "probe_relaxation_start": 2}, "no later iteration"),
        ({"name": "ML", "probe_relaxation_modes": 2}, "probe_relaxation_start is None"),
        ({"name": "ML", "probe_relaxation_start": 2, "direction": "lbfgs"}, "'lbfgs'"),
        ({"name": "ML", "probe_relaxation_stop": 2}, "probe_relaxation_start is None"),
        ({"name": "ML", "iterations": 5, "probe_relaxation_start": 5}, "has 5 iterations"),
        ({"name": "ML", "probe_relaxation_start": 0, "probe_relaxation_modes": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_is_refused(engine, words):
    with pytest.raises(InvalidArgument, match=words):
        validate_params({"engines": [engine]})
