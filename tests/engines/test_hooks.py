"""Callbacks that change object and probe: constraints of the user's own."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import Change, InvalidArgument, hooks
from small_scan import ENGINES, SmallScan, assert_same_bits, devices, relative, small_scan

DEVICES = devices("cpu:1", "cpu:2", "emulated")


@cache
def scan_of(probe_modes: int = 2, object_modes: int = 1) -> SmallScan:
    return small_scan("far", probe_modes, object_modes)


def clipped(state: exitwave.State) -> Change:
    """What object_clip does."""
    amplitude = np.abs(state.object)
    factor = np.clip(amplitude, 0.7, 1.2) / amplitude
    return Change(object=state.object * factor)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ENGINES)
def test_callback_is_a_constraint_like_those_of_the_core(name, device):
    """Clipping in Python gives what clipping in the core gives, in any number of parts."""
    scan = scan_of(2, 2)
    engine = {"name": name, "iterations": 4, "probe_power": "free", "object_inertia": 0.01}
    if name == "LSQML":
        # What its momentum remembers is taken after the constraints, before the callback.
        engine["momentum"] = 0.0
    parts = {"device": device, "parts": 1 if device == "cpu:1" else 3}

    expected = scan.run(engine | {"object_clip": (0.7, 1.2)})
    result = scan.run(engine, callback=clipped, **parts)

    assert relative(result.object, expected.object) < 2e-5
    assert relative(result.probe, expected.probe) < 2e-5
    np.testing.assert_allclose(result.errors[0], expected.errors[0], rtol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ENGINES)
def test_values_that_are_handed_back_change_nothing(name, device):
    """Exit waves, directions and momentum go on as if nobody had called."""
    scan = scan_of()
    engine = {"name": name, "iterations": 4}
    given = {"device": device, "parts": 2}

    result = scan.run(
        engine, callback=lambda s: Change(object=s.object.copy(), probe=s.probe.copy()), **given
    )

    assert_same_bits(result, scan.run(engine, **given))


@pytest.mark.parametrize("device", DEVICES)
def test_probe_that_is_returned_is_used(device):
    """In far field by its intensity, or by its spectrum where positions are fractional."""
    for fractional in (True, False):
        scan = small_scan("far", 2, fractional=fractional)
        result = scan.run(
            {"name": "ePIE", "iterations": 1, "probe_start": None},
            callback=lambda s: Change(probe=2 * s.probe, stop=True),
            device=device,
        )

        np.testing.assert_allclose(result.probe, 2 * scan.probe, rtol=1e-6)
        assert result.stopped == "callback"
        assert result.error > 0.1


def test_frames_that_stream_and_runs_that_resume_go_on_from_the_change(tmp_path):
    """A callback is code, which no checkpoint holds: it is given again."""
    scan = small_scan("far", frames=40, fractional=False)
    engine = {"name": "RAAR", "iterations": 6}
    where: dict[str, Any] = {"device": "emulated", "scratch_folder": str(tmp_path)}
    expected = scan.run(engine, callback=clipped, device="emulated")
    place = str(tmp_path / "run")

    def stop(state: exitwave.State) -> Change:
        return Change(clipped(state).object, stop=state.iteration == 2)

    assert_same_bits(scan.run(engine, callback=clipped, memory_limit="200 kB", **where), expected)
    assert scan.run(engine, callback=stop, checkpoint=place, device="emulated").stopped
    again = exitwave.resume(place, scan.data, {"callback": clipped})
    assert_same_bits(again, expected)


WRONG: dict[str, tuple[Any, str]] = {
    "shape": (lambda s: Change(object=s.object[:, 1:]), r"object as an array of shape \(1, 21, 33"),
    "type": (lambda s: Change(probe=np.abs(s.probe)), r"probe as an array .* float32; it must be"),
    "nothing": (lambda s: Change(object=3), r"object as .*; it must be complex"),
    "NaN": (lambda s: Change(object=s.object * np.nan), r"object with .*nan.* at \(0, 0, 0\); all"),
    "overflow": (lambda s: Change(probe=s.probe.astype(complex) * 1e300), r"probe with .*inf"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_gone_on_with_is_refused_in_one_sentence(case):
    callback, words = WRONG[case]

    with pytest.raises(InvalidArgument, match=rf"callback returned {words}") as caught:
        scan_of().run({"name": "AP", "iterations": 3}, callback=callback)

    assert str(caught.value).endswith(".")
    assert not re.search(r"\. [A-Z]", str(caught.value))


# --- those that are ready-made ------------------------------------------------------------------


def test_low_pass_takes_fine_structure():
    scan = scan_of()
    engine = {"name": "ePIE", "iterations": 3}

    result = scan.run(engine, callback=hooks.low_pass(0.2))

    def fine(obj: np.ndarray) -> float:
        return float((np.abs(np.diff(obj[0, 4:-4, 4:-4])) ** 2).sum())

    assert fine(result.object) < 0.05 * fine(scan.run(engine).object)
    with pytest.raises(InvalidArgument, match="fraction is 2; it must be above 0"):
        hooks.low_pass(2)


@pytest.mark.parametrize("regime", ["far", "near"])
def test_ramp_of_object_and_probe_is_taken_without_a_trace_in_the_error(regime):
    """Whole positions: the probe's window has an edge where a shifted ramp would not be one."""
    scan = small_scan(regime, 2, fractional=False).from_truth()
    rows, columns = np.indices(scan.true_obj.shape[-2:])
    ramp = np.exp(1j * (0.2 * rows - 0.1 * columns)).astype(np.complex64)
    tilted = SmallScan(
        **vars(scan)
        | {
            "obj": scan.true_obj * ramp,
            "probe": scan.true_probe * ramp[: scan.frame[0], : scan.frame[1]].conj(),
        }
    )
    engine = {"name": "ePIE", "iterations": 2}

    ramped = tilted.run(engine)
    result = tilted.run(engine, callback=hooks.every(2, hooks.remove_ramp()))

    assert relative(ramped.object, tilted.obj) < 1e-4
    assert result.error < 1e-6
    reached = ref.under_windows(scan.reference(), scan.obj)
    truth, found = scan.true_obj * reached, result.object * reached
    turn = np.vdot(truth, found)
    # The random object has a small mean slope of its own.
    off = relative(found * np.conj(turn) / abs(turn), truth)
    assert off < 0.35 * relative(ramped.object * reached, truth)


def test_ramp_is_refused_where_exit_waves_would_not_follow():
    with pytest.raises(InvalidArgument, match="remove_ramp is called in DM"):
        scan_of().run({"name": "DM", "iterations": 3}, callback=hooks.remove_ramp())


def test_ramp_of_a_thick_object_is_refused():
    """Over all slices it turns the beam between them, and the frames are others."""
    scan = scan_of()
    lengths = {"wavelength_m": 5e-7, "pixel_size_m": 1e-6, "slice_distances_m": (4e-6,)}

    with pytest.raises(InvalidArgument, match=r"remove_ramp was given .* \(1, 2, "):
        scan.run(
            {"name": "rPIE", "iterations": 2},
            propagation={"regime": "far"} | lengths,
            callback=hooks.remove_ramp(),
        )
    with pytest.raises(InvalidArgument, match=r"without_ramp was given .* \(1, 2, "):
        hooks.without_ramp(np.ones((1, 2, 9, 9)), np.ones((4, 4)), np.ones((9, 9), bool))


def test_callbacks_follow_each_other():
    """Each sees what the one before it has changed; one of them stops the run."""
    seen = []

    def double(state: exitwave.State) -> Change:
        return Change(object=1.05 * state.object)

    def look(state: exitwave.State) -> bool:
        seen.append(float(np.abs(state.object).mean()))
        return state.iteration == 1

    scan = scan_of()
    result = scan.run(
        {"name": "AP", "iterations": 9, "probe_start": None},
        callback=hooks.all_of(look, double, look),
    )

    assert len(result.errors[0]) == 2
    assert seen[1] == pytest.approx(1.05 * seen[0])
