"""Callbacks, interruption, and what a run says: progress, warnings, divergence."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import exitwave
from small_scan import (
    ENGINES,
    STEADY,
    SmallScan,
    assert_same_bits,
    devices,
    small_scan,
)


@pytest.fixture
def scan() -> SmallScan:
    return small_scan("far", 2)


# Callbacks and interruption


@pytest.mark.parametrize("name", ENGINES)
def test_callback_sees_the_arrays_themselves(name, scan):
    """Views of one memory from iteration to iteration, read-only, with the present values."""
    views, values = [], []

    def callback(state):
        views.append((state.object, state.probe))
        values.append(state.object.copy())
        for array in (state.object, state.probe, state.positions):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0

    result = scan.run({"name": name, "iterations": 3}, callback=callback, device="cpu:2")

    assert len(views) == 3
    for field in (0, 1):
        assert np.shares_memory(views[0][field], views[2][field])
    assert not np.array_equal(values[0], values[1])
    assert views[0][0].shape == result.object.shape
    # A view that is kept stays valid after the run.
    np.testing.assert_array_equal(views[0][0], result.object)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
def test_callback_is_told_where_the_run_stands(device, scan):
    seen = []
    result = scan.run(
        {"name": "AP", "iterations": 5},
        {"name": "ePIE", "iterations": 4},
        callback=lambda s: seen.append((s.engine, s.engine_index, s.iteration, s.error)),
        callback_every=2,
        device=device,
    )

    assert [entry[:3] for entry in seen] == [
        ("AP", 0, 1),
        ("AP", 0, 3),
        ("ePIE", 1, 1),
        ("ePIE", 1, 3),
    ]
    assert [entry[3] for entry in seen] == [*result.errors[0][1::2], *result.errors[1][1::2]]


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_callback_stops_the_run(name, device, scan):
    """Only True stops; what is returned is what as many iterations give."""
    answers = iter([None, 1, "go on", True])
    engine = {"name": name, **STEADY.get(name, {})}
    stopped = scan.run(
        engine | {"iterations": 50},
        {"name": "AP"},
        callback=lambda state: next(answers),
        device=device,
    )
    expected = scan.run(engine | {"iterations": 4}, device=device)

    assert stopped.stopped == "callback"
    assert stopped.engines == [name]
    assert_same_bits(stopped, expected)


def test_error_in_a_callback_is_raised(scan):
    def callback(state):
        raise KeyError("of the user")

    with pytest.raises(KeyError, match="of the user"):
        scan.run({"name": "AP"}, callback=callback)
    # Ctrl-C works as before.
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupt_returns_the_state_so_far(scan):
    def callback(state):
        if state.iteration == 2:
            signal.raise_signal(signal.SIGINT)

    result = scan.run({"name": "DM", "iterations": 1000}, {"name": "ML"}, callback=callback)

    assert result.stopped == "interrupted"
    assert_same_bits(result, scan.run({"name": "DM", "iterations": 3}))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_later_interrupt_raises(scan):
    def callback(state):
        signal.raise_signal(signal.SIGINT)
        time.sleep(1.1)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        scan.run({"name": "AP", "iterations": 1000}, callback=callback)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_of_a_terminal_ends_the_run_within_an_iteration():
    """A process of its own, interrupted from outside while the core works."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from small_scan import small_scan\n"
        "say = lambda state: print(state.iteration, flush=True) if not state.iteration else None\n"
        "r = small_scan('far', 2).run({'name': 'ePIE', 'iterations': 10**7}, callback=say)\n"
        "print(r.stopped, len(r.errors[0]) > 1, r.error < r.errors[0][0])"
    )
    tests = str(Path(__file__).resolve().parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", code, tests], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "0\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        rest, _ = process.communicate(timeout=60)

    assert rest == "interrupted True True\n"
    assert process.returncode == 0
    assert time.monotonic() - began < 20


def test_runs_in_other_threads_at_the_same_time(scan):
    """Signals are the main thread's; runs share nothing but the FFT plans."""
    expected = scan.run({"name": "RAAR", "iterations": 5})
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(scan.run({"name": "RAAR", "iterations": 5})))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 4
    for result in results:
        assert_same_bits(expected, result)


# What is said


def test_nothing_is_said_during_a_quiet_run(scan, capfd):
    exitwave.ptychography(
        scan.data,
        scan.obj,
        scan.probe,
        scan.positions,
        scan.mask,
        {"engines": [{"name": "AP", "iterations": 2}]},
    )

    assert capfd.readouterr() == ("", "")


def test_default_chain_is_printed_and_run(scan, capfd, tmp_path):
    data = [scan.data, scan.obj, scan.probe, scan.positions, scan.mask]
    np.savez(tmp_path / "scan.npz", data=scan.data, positions_px=scan.positions)
    stop = {"callback": lambda state: True}

    for given in (data, [tmp_path / "scan.npz"]):
        result = exitwave.ptychography(*given, params=stop)
        names = [f"{e['name']}:{e['iterations']}" for e in result.params["engines"]]
        assert " ".join(names) in capfd.readouterr().out
    exitwave.ptychography(*data, params=stop | {"progress": False})
    assert capfd.readouterr() == ("", "")


def test_progress_shows_engines_and_errors(scan, capfd):
    result = scan.run(
        {"name": "AP", "iterations": 2}, {"name": "ML", "iterations": 3}, progress=True
    )

    said = capfd.readouterr().err
    assert "AP" in said
    assert "3/3" in said
    assert f"{result.errors[1][-1]:.4g}" in said


@pytest.mark.parametrize("name", [n for n in ENGINES if n != "ML"])
def test_support_that_cuts_the_probe_warns(name, scan):
    engine = {"name": name, "iterations": 4, **STEADY.get(name, {})}

    with pytest.warns(UserWarning, match=r"engines\[0\] .*supports cut .* %") as warned:
        scan.run(engine | {"probe_support": 0.3})

    assert len(warned) == 1


def test_power_bound_that_holds_most_frames_warns(scan):
    with pytest.warns(UserWarning, match="13 of 13 frames are inside power_bound"):
        result = scan.run({"name": "DM", "iterations": 2, "power_bound": 1e6})

    np.testing.assert_allclose(result.object, scan.obj, rtol=1e-5)


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
def test_divergence_is_reported_with_what_to_change(device):
    """Steps of nearly twice the published ones, from the truth's neighbourhood."""
    scan = small_scan("far", off=0.05)
    engine = {"name": "rPIE", "iterations": 500, "object_step": 2.0, "probe_step": 2.0}
    engine |= {"object_alpha": 1e-3, "probe_alpha": 1e-3, "probe_power": "free"}

    with pytest.raises(exitwave.DivergenceError) as caught:
        scan.run({"name": "AP", "iterations": 2}, engine, device=device)

    message = str(caught.value)
    assert message.startswith("engines[1] rPIE")
    assert "iteration" in message
    assert "object_alpha" in message
    result = caught.value.result
    assert result.engines == ["AP", "rPIE"]
    assert len(result.errors[1]) < 500
    assert result.object.shape == scan.obj.shape
    assert str(len(result.errors[1]) - 1) in message


def test_numbers_that_overflow_are_reported(scan):
    """Counts of 1e38 are valid float32; their squares are not."""
    large = replace(scan, data=scan.data * np.float32(1e34), probe=scan.probe * 1e17)

    with pytest.raises(exitwave.DivergenceError, match=r"error is (nan|inf) at iteration"):
        large.run({"name": "ePIE", "iterations": 3})
