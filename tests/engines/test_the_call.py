"""Promises of ``exitwave.ptychography``: inputs, callbacks, interruption, chains, results."""

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
import reference as ref
from exitwave import metrics
from small_scan import (
    ENGINES,
    FRAME,
    PIES,
    SmallScan,
    assert_same_bits,
    propagator_of,
    relative,
    small_scan,
)


@pytest.fixture
def scan() -> SmallScan:
    return small_scan("far", 2)


# Inputs


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("name", ENGINES)
def test_inputs_are_never_changed(name, device, scan):
    """Read-only arrays are accepted, and stay what they are."""
    arrays = [scan.data, scan.obj, scan.probe, scan.positions, scan.mask]
    copies = [array.copy() for array in arrays]
    support = np.ones(FRAME, bool)
    params = {
        "engines": [{"name": name, "iterations": 3, "probe_support": support}],
        "device": device,
        "progress": False,
    }
    for array in [*arrays, support]:
        array.flags.writeable = False

    result = exitwave.ptychography(scan.data, *arrays[1:], params)

    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert params["engines"] == [{"name": name, "iterations": 3, "probe_support": support}]
    assert result.object.flags.writeable
    assert result.probe.flags.writeable
    for array in arrays:
        assert not np.shares_memory(result.object, array)
        assert not np.shares_memory(result.probe, array)
        assert not np.shares_memory(result.positions, array)


@pytest.mark.parametrize("convert", [np.complex128, np.complex64], ids=str)
def test_start_values_of_other_types_and_layouts(convert, scan):
    expected = scan.run({"name": "ePIE", "iterations": 2})
    other = replace(
        scan,
        obj=np.asfortranarray(scan.obj.astype(convert)),
        probe=scan.probe.astype(convert)[:, ::-1][:, ::-1],
        positions=scan.positions.tolist(),
    )

    assert_same_bits(expected, other.run({"name": "ePIE", "iterations": 2}))


def test_real_start_values_are_complex_ones_without_phase(scan):
    real = replace(scan, obj=np.ones((22, 33), np.uint8), probe=np.abs(scan.probe))
    complex_ones = replace(scan, obj=np.ones((22, 33), complex), probe=np.abs(scan.probe) + 0j)

    assert_same_bits(*(s.run({"name": "AP", "iterations": 2}) for s in (real, complex_ones)))


def test_result_has_the_shape_of_the_object_that_was_given():
    scan = small_scan("far")
    engine = {"name": "AP", "iterations": 1}

    assert replace(scan, obj=scan.obj[0]).run(engine).object.shape == (22, 33)
    assert scan.run(engine).object.shape == (1, 22, 33)
    assert replace(scan, obj=None).run(engine).object.ndim == 2
    assert replace(scan, probe=scan.probe[0]).run(engine).probe.shape == (1, 12, 20)
    grown = replace(scan, obj=None).run(engine | {"object_modes": 2})
    assert grown.object.ndim == 3
    assert len(grown.object) == 2


def test_object_is_made_as_large_as_the_scan():
    """Negative positions too; the result's positions are those in the result's object."""
    scan = small_scan("far")
    moved = replace(scan, obj=None, positions=scan.positions - (40, 7))

    result = moved.run({"name": "ePIE", "iterations": 3})

    corner = np.floor(result.positions + 0.5).astype(int)
    assert corner.min(axis=0).tolist() == [0, 0]
    assert tuple(corner.max(axis=0) + FRAME) == result.object.shape
    np.testing.assert_allclose(
        result.positions - result.positions[0], scan.positions - scan.positions[0], atol=1e-9
    )
    ones = np.ones(result.object.shape, np.complex64)
    same = replace(scan, obj=ones, positions=result.positions)
    assert_same_bits(result, same.run({"name": "ePIE", "iterations": 3}))


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("regime", ["far", "near"])
def test_scale_start_gives_the_model_as_many_counts_as_the_data(regime, device):
    """At valid pixels, whatever the power of the given probe is."""
    scan = small_scan(regime, 2, 2)
    engine = {"name": "ePIE", "iterations": 1, "probe_start": None}

    results = [
        replace(scan, probe=np.float32(factor) * scan.probe).run(
            engine, scale_start=True, device=device
        )
        for factor in (1e-3, 1, 1e3)
    ]

    np.testing.assert_allclose(results[0].probe, results[1].probe, rtol=1e-5)
    np.testing.assert_allclose(results[2].probe, results[1].probe, rtol=1e-5)
    np.testing.assert_array_equal(results[0].start["probe"], results[0].probe)
    model = ref.simulate_counts(
        scan.obj.astype(complex),
        results[0].probe.astype(complex),
        scan.positions,
        propagator_of(regime),
    )
    counts = scan.data[:, scan.mask].sum(dtype=float)
    assert model[:, scan.mask].sum() == pytest.approx(counts, rel=1e-5)


def test_restart_stays_where_it_was(scan):
    """Scaling finds nothing to do on object and probe that explain the data."""
    first = scan.run({"name": "ePIE", "iterations": 200})
    again = replace(scan, obj=first.object, probe=first.probe).run(
        {"name": "ePIE", "iterations": 1}, scale_start=True
    )

    assert relative(again.start["probe"], first.probe) < 1e-3


@pytest.mark.parametrize("regime", ["far", "near"])
def test_probe_made_from_the_data_is_a_start(regime):
    scan = small_scan(regime)
    start = replace(scan, obj=None, probe=None)

    result = start.run({"name": "rPIE", "iterations": 30})

    assert result.start["probe"].shape == (1, *FRAME)
    assert result.error < 0.7 * result.errors[0][0]


# What comes back


def test_result_unpacks_and_tells_what_was_done(scan):
    result = scan.run({"name": "DM", "iterations": 3}, {"name": "ML", "iterations": 2})

    obj, probe = result
    assert obj is result.object
    assert probe is result.probe
    assert obj.dtype == probe.dtype == np.complex64
    assert [len(errors) for errors in result.errors] == [3, 2]
    assert result.engines == ["DM", "ML"]
    assert result.stopped is None
    assert result.source is None
    assert 0 < result.seconds < 60
    assert result.positions.dtype == np.float64
    assert set(result.start) == {"object", "probe", "positions"}
    np.testing.assert_array_equal(result.start["object"], scan.obj)
    np.testing.assert_array_equal(result.start["probe"], scan.probe)


@pytest.mark.parametrize("name", ENGINES)
def test_errors_are_those_of_the_model(name, scan):
    """errors[0] of the start values, error of what is returned - also where modes were mixed."""
    engine = {"name": name, "iterations": 4}
    if name in PIES:
        engine["group_size"] = 13

    one = scan.run(engine, orthogonalise=True)

    exact = scan.reference()
    start = ref.fourier_error(exact, scan.obj.astype(complex), scan.probe.astype(complex))
    end = ref.fourier_error(exact, one.object.astype(complex), one.probe.astype(complex))
    assert one.errors[0][0] == pytest.approx(start, rel=1e-5)
    assert one.error == pytest.approx(end, rel=1e-4)


def test_metrics_see_the_same_error(scan):
    result = scan.run({"name": "ePIE", "iterations": 3})

    error = metrics.fourier_error(
        scan.data, result.object, result.probe, result.positions, scan.mask
    )

    assert error == pytest.approx(result.error, rel=1e-4)


# Chains and modes


@pytest.mark.parametrize("first", ["AP", "ePIE", "ML"])
def test_engine_starts_where_the_last_ended(first, scan):
    """A chain is the same as one run after the other."""
    one = {"name": first, "iterations": 3}
    two = {"name": "RAAR", "iterations": 2}

    chain = scan.run(one, two)
    middle = scan.run(one)
    end = replace(scan, obj=middle.object, probe=middle.probe).run(two)

    np.testing.assert_array_equal(chain.object, end.object)
    np.testing.assert_array_equal(chain.probe, end.probe)
    np.testing.assert_array_equal(chain.errors[0], middle.errors[0])
    np.testing.assert_array_equal(chain.errors[1], end.errors[0])
    assert middle.error == pytest.approx(chain.errors[1][0], rel=1e-5)


def test_modes_grow_along_a_chain_and_lower_the_error():
    """Three incoherent modes in the data; power is kept where modes are split off."""
    scan = small_scan("far", 3, off=0.1)
    start = replace(scan, probe=scan.probe[:1], obj=scan.true_obj)
    seen = []

    def callback(state):
        seen.append((state.probe.shape[0], float((np.abs(state.probe) ** 2).sum())))

    one = {"name": "rPIE", "iterations": 20, "probe_start": 0}
    result = start.run(one, one | {"probe_modes": 2}, one | {"probe_modes": 3}, callback=callback)

    assert [modes for modes, _ in seen[::20]] == [1, 2, 3]
    np.testing.assert_allclose([power for _, power in seen], seen[0][1], rtol=1e-4)
    last = [errors[-1] for errors in result.errors]
    assert last[1] < 0.7 * last[0]
    assert last[2] < 0.7 * last[1]


def test_object_modes_grow_and_lower_the_error():
    scan = small_scan("far", 1, 2, off=0.1)
    start = replace(scan, obj=scan.obj[0])
    one = {"name": "ePIE", "iterations": 30}

    result = start.run(one, one | {"object_modes": 2})

    assert result.object.shape == (2, 22, 33)
    assert result.errors[1][-1] < 0.5 * result.errors[0][-1]


def test_orthogonal_modes_of_the_result_keep_all_intensities(scan):
    engine = {"name": "ePIE", "iterations": 5, "probe_modes": 3}

    raw = scan.run(engine, orthogonalise=False)
    result = scan.run(engine, orthogonalise=True)

    modes = result.probe.reshape(3, -1).astype(complex)
    products = modes.conj() @ modes.T
    power = np.diag(products).real
    off_diagonal = np.abs(products - np.diag(power)).max()
    assert off_diagonal < 1e-5 * power[0]
    assert (np.diff(power) < 0).all()
    before, after = (
        ref.simulate_counts(
            r.object.astype(complex), r.probe.astype(complex), scan.positions, ref.FarField()
        )
        for r in (raw, result)
    )
    assert relative(after, before) < 1e-5
    np.testing.assert_array_equal(raw.object, result.object)
    assert raw.error == result.error


# Centring


@pytest.fixture(params=["fractional", "whole"])
def off_centre(request) -> SmallScan:
    """A smooth probe, dark at the edges of its window even when it is moved, and off centre."""
    scan = small_scan("far", 2, frame=(24, 30), fractional=request.param == "fractional")
    rows, columns = np.indices((24, 30))
    beam = np.exp(-((rows - 9) ** 2 + (columns - 19) ** 2) / 8)
    probe = np.array([100 * beam, 30j * (rows - 9) * beam]).astype(np.complex64)
    data = ref.simulate_counts(scan.true_obj, probe, scan.positions, ref.FarField())
    return replace(scan, data=data.astype(np.float32), probe=probe)


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("name", ENGINES)
def test_centring_moves_the_probe_and_changes_no_intensity(name, device, off_centre):
    engine = {"name": name, "iterations": 3, "probe_start": None, "object_inertia": 0.1}

    left = off_centre.run(engine, device=device)
    centred = off_centre.run(engine | {"probe_centring": 3}, device=device)

    assert relative(centred.probe[:, 3:, :-4], left.probe[:, :-3, 4:]) < 1e-4
    power = (np.abs(centred.probe) ** 2).sum(axis=0)
    assert np.unravel_index(power.argmax(), power.shape) == (12, 15)
    off = relative(centred.object[:, 9:-15, 12:-12], left.object[:, 6:-18, 16:-8])
    assert off < 1e-4
    assert centred.error == pytest.approx(left.error, rel=0.01)


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("name", ["AP", "DM", "RAAR", "ePIE", "rPIE"])
def test_engines_go_on_after_centring_as_if_nothing_had_happened(name, device, off_centre):
    """Stored exit waves follow too. (mPIE and ML forget their momentum and direction.)"""
    engine = {"name": name, "iterations": 6, "probe_start": None, "object_inertia": 0.1}

    left = off_centre.run(engine, device=device)
    centred = off_centre.run(engine | {"probe_centring": 2}, device=device)

    np.testing.assert_allclose(centred.errors[0], left.errors[0], rtol=0.03)


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


@pytest.mark.parametrize("device", ["cpu:1", "emulated"])
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


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
@pytest.mark.parametrize("name", ENGINES)
def test_callback_stops_the_run(name, device, scan):
    """Only True stops; what is returned is what as many iterations give."""
    answers = iter([None, 1, "go on", True])
    stopped = scan.run(
        {"name": name, "iterations": 50},
        {"name": "AP"},
        callback=lambda state: next(answers),
        device=device,
    )
    expected = scan.run({"name": name, "iterations": 4}, device=device)

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


def test_second_interrupt_raises(scan):
    def callback(state):
        signal.raise_signal(signal.SIGINT)
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
    with pytest.warns(UserWarning, match=r"engines\[0\] .*supports cut .* %") as warned:
        scan.run({"name": name, "iterations": 4, "probe_support": 0.3})

    assert len(warned) == 1


def test_power_bound_that_holds_most_frames_warns(scan):
    with pytest.warns(UserWarning, match="13 of 13 frames are inside power_bound"):
        result = scan.run({"name": "DM", "iterations": 2, "power_bound": 1e6})

    np.testing.assert_allclose(result.object, scan.obj, rtol=1e-5)


@pytest.mark.parametrize("device", ["cpu:2", "emulated"])
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
