"""Chains of engines, modes that grow along them, and centring of the probe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import exitwave
import reference as ref
from small_scan import (
    ENGINES,
    SmallScan,
    devices,
    relative,
    small_scan,
)


@pytest.fixture
def scan() -> SmallScan:
    return small_scan("far", 2)


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


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
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


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ["AP", "DM", "RAAR", "ePIE", "rPIE"])
def test_engines_go_on_after_centring_as_if_nothing_had_happened(name, device, off_centre):
    """Stored exit waves follow too. (mPIE and ML forget their momentum and direction.)"""
    engine = {"name": name, "iterations": 6, "probe_start": None, "object_inertia": 0.1}

    left = off_centre.run(engine, device=device)
    centred = off_centre.run(engine | {"probe_centring": 2}, device=device)

    np.testing.assert_allclose(centred.errors[0], left.errors[0], rtol=0.03)


# Slices

AT_ONE_PLACE = {
    "regime": "far",
    "wavelength_m": 5e-7,
    "pixel_size_m": 1e-6,
    "slice_distances_m": 0.0,
}


@pytest.mark.parametrize("counts", [(1, 2), (2, 3), (3, 2, 1)])
def test_slices_at_one_place_do_not_change_their_number(counts, scan):
    chain = [{"name": "ePIE", "iterations": 1, "slices": count} for count in counts]
    given = {"engines": chain, "propagation": AT_ONE_PLACE}

    with pytest.raises(exitwave.InvalidArgument) as refusal:
        exitwave.plan(scan.data, None, scan.probe, scan.positions, None, given)

    before, after = counts[:2]
    assert f"is 0, but {before} slices are to become {after}" in str(refusal.value)


def test_slices_at_one_place_merge_to_one(scan):
    chain = [{"name": "ePIE", "iterations": 1, "slices": count} for count in (2, 1)]
    given = {"engines": chain, "propagation": AT_ONE_PLACE}

    result = exitwave.ptychography(scan.data, None, scan.probe, scan.positions, None, given)

    assert result.object.shape[0] == 1
