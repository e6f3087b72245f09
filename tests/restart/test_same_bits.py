"""A run that was stopped goes on as if it had not been, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import exitwave
from short_memory import SHORT, short_limit
from small_scan import (
    ENGINES,
    IN_GROUPS,
    NOISES,
    PROPAGATIONS,
    SmallScan,
    assert_same_bits,
    small_scan,
)


def engine(name: str, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": name, "iterations": 3, "probe_start": 1, "probe_every": 2}
    if name in IN_GROUPS:
        given["group_size"] = 5
    return given | options


def stopped_after(scan: SmallScan, iterations: int, place: Path, *engines: Any, **params: Any):
    """Run until so many iterations of the chain are done."""
    seen = []

    def stop(state: exitwave.State) -> bool:
        seen.append(state.iteration)
        return len(seen) == iterations

    result = scan.run(*engines, callback=stop, checkpoint=place, **params)
    assert result.stopped == "callback"
    assert sum(map(len, result.errors)) == iterations


def assert_resumes(
    scan: SmallScan, place: Path, *engines: Any, after: Any = None, **params: Any
) -> None:
    """Stop after each of the iterations, go on, and compare with a run that was never stopped."""
    whole = scan.run(*engines, **params)
    every = range(1, sum(each["iterations"] for each in engines) + 1)
    for iterations in every if after is None else after:
        stopped_after(scan, iterations, place, *engines, **params)

        resumed = exitwave.resume(place, scan.data)

        assert_same_bits(whole, resumed)
        assert resumed.stopped is None
        assert resumed.engines == whole.engines
        for name, array in whole.start.items():
            np.testing.assert_array_equal(resumed.start[name], array)
        assert not place.exists()


@pytest.mark.parametrize(("regime", "device"), [("far", "emulated"), ("near", "cpu:2")])
@pytest.mark.parametrize("name", ENGINES)
def test_at_every_iteration_of_every_chain(name, regime, device, tmp_path):
    """The second engine has new modes, which are drawn at random; positions are fractional."""
    scan = small_scan(regime, 2, noise=True)
    centring = {"probe_centring": 2} if regime == "far" else {}
    first = engine(name, **centring)
    second = engine("ePIE", group_size=4, probe_modes=3, object_modes=2)
    third = engine("DM", iterations=2)

    assert_resumes(scan, tmp_path / "run", first, second, third, device=device, parts=3)


@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.parametrize("name", ["DM", "RAAR", "mPIE", "ML", "gradient"])
def test_with_frames_that_come_and_go(name, kind, tmp_path):
    device, parts, whose, *_ = SHORT[kind]
    scan = small_scan("far", 2, 2, noise=True, frames=31)
    where = {"device": device, "parts": parts}
    options = engine(name, probe_centring=2)
    where["memory_limit"] = short_limit(scan, options, whose, **where)

    assert_resumes(scan, tmp_path / "run", options, after=[2], **where)


@pytest.mark.parametrize("device", ["cpu:1", "emulated"])
@pytest.mark.parametrize("name", ["DM", "RAAR"])
def test_with_exit_waves_in_half_precision(name, device, tmp_path):
    scan = small_scan("far", 2, noise=True)
    options = engine(name, exit_wave_storage="half")

    assert_resumes(scan, tmp_path / "run", options, device=device, parts=2)


@pytest.mark.filterwarnings("ignore:.*supports cut")
@pytest.mark.parametrize("noise", NOISES)
def test_with_every_noise_model_and_smoothness(noise, tmp_path):
    scan = small_scan("far", noise=True)
    support = np.ones(scan.frame, bool)
    support[0] = False
    options = engine("ML", noise=noise, smoothness=0.1, probe_support=support, probe_every=1)

    assert_resumes(scan, tmp_path / "run", options, device="emulated", parts=3)


def test_with_constraints_that_are_due_now_and_then(tmp_path):
    scan = small_scan("far", 2, noise=True)
    known = {"object_kappa": 0.3, "kappa_start": 1, "object_blur_px": 0.3, "constraint_every": 2}
    options = engine("rPIE", iterations=4, **known)

    assert_resumes(scan, tmp_path / "run", options, device="emulated", parts=3)


def test_streamed_and_resident_runs_go_on_with_each_other(tmp_path):
    """Where frames are kept is no part of a checkpoint."""
    scan = small_scan("far", 2, 2, noise=True, frames=31)
    where = {"device": "cpu:2", "parts": 3}
    options = engine("DM")
    limit = short_limit(scan, options, "host", **where)
    whole = scan.run(options, **where)

    for first, second in ((limit, "auto"), ("auto", limit)):
        stopped_after(scan, 2, tmp_path / "run", options, memory_limit=first, **where)
        resumed = exitwave.resume(tmp_path / "run", scan.data, {"memory_limit": second})
        assert_same_bits(whole, resumed)


def test_scaling_orthogonal_modes_and_a_made_object(tmp_path):
    """What the call does before and after the engines is done once."""
    scan = small_scan("far", 2, noise=True)
    params = {
        "engines": [engine("ePIE"), engine("ML")],
        "propagation": PROPAGATIONS["far"],
        "device": "cpu:1",
        "progress": False,
    }
    arrays = (scan.data, None, None, scan.positions, scan.mask)
    whole = exitwave.ptychography(*arrays, params)
    place = tmp_path / "run"

    exitwave.ptychography(*arrays, params | {"checkpoint": place, "callback": lambda state: True})
    resumed = exitwave.resume(place, scan.data)

    assert_same_bits(whole, resumed)
    assert resumed.object.ndim == whole.object.ndim
    told = {key: value for key, value in resumed.params.items() if key != "checkpoint"}
    assert told == {key: value for key, value in whole.params.items() if key != "checkpoint"}


def test_a_run_may_be_stopped_many_times(tmp_path):
    scan = small_scan("far", noise=True)
    engines = [engine("mPIE"), engine("ML")]
    whole = scan.run(*engines)
    place = tmp_path / "run"

    stopped_after(scan, 1, place, *engines)
    for _ in range(4):
        assert exitwave.resume(place, scan.data, {"callback": lambda state: True}).stopped
    resumed = exitwave.resume(place, scan.data)

    assert_same_bits(whole, resumed)


def test_counts_are_found_in_their_file_again(tmp_path):
    scan = small_scan("far", noise=True)
    whole = scan.run(engine("DM"))
    place = tmp_path / "run"
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        stored = file.create_dataset("entry/counts", data=scan.data)
        from_file = SmallScan(**(vars(scan) | {"data": stored}))
        stopped_after(from_file, 2, place, engine("DM"))

    resumed = exitwave.resume(place)

    assert_same_bits(whole, resumed)


def test_a_file_that_was_moved_can_be_named(tmp_path):
    exitwave.simulate((32, 28), 20, counts_per_frame=1e6, seed=1).save(tmp_path / "scan.h5")
    params = {"engines": [engine("ePIE")], "device": "cpu:1", "progress": False}
    whole = exitwave.ptychography(tmp_path / "scan.h5", params=params)
    place = tmp_path / "out.h5.checkpoint"
    stop = {"checkpoint": str(place), "callback": lambda state: True}
    exitwave.ptychography(tmp_path / "scan.h5", params=params | stop)
    (tmp_path / "scan.h5").rename(tmp_path / "moved.h5")

    with pytest.raises(exitwave.InvalidArgument, match=r"scan\.h5, which does not exist; give"):
        exitwave.resume(place)
    resumed = exitwave.resume(tmp_path / "out.h5", tmp_path / "moved.h5")

    assert_same_bits(whole, resumed)
    assert resumed.source == whole.source
    assert resumed.pixel_size_m == whole.pixel_size_m
