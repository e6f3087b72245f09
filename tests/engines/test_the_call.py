"""Promises of ``exitwave.ptychography``: what goes in and what comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import metrics
from small_scan import (
    ENGINES,
    FRAME,
    IN_GROUPS,
    SmallScan,
    assert_same_bits,
    devices,
    propagator_of,
    relative,
    small_scan,
)


@pytest.fixture
def scan() -> SmallScan:
    return small_scan("far", 2)


# Inputs


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
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


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
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
    if name in IN_GROUPS:
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
