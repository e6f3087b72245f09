"""A detector that counts light in pixels around the one it falls on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import InvalidArgument, metrics
from exitwave.parameters import validate_params
from exitwave.point_spread import spread
from oracle_runs import assert_as_oracle, defaults
from reference.thick_engines import thick_ml_update
from small_scan import (
    NOISES,
    SmallScan,
    assert_same_bits,
    devices,
    everything,
    relative,
    small_scan,
)
from thick_scans import TILTS, kernels_of, thick, thick_scan
from thick_scans import engine as thick_engine

ENGINES = ["ML", "gradient", "LSQML"]
# Neither square nor symmetric, so that an exchange of axes or of the two directions shows.
IMAGE = np.random.default_rng(8).random((3, 5)) + np.eye(3, 5)
SPREADS = [0.8, (0.0, 1.2), IMAGE]


@cache
def scan_of(regime: str, off: float = 0.2, modes: tuple[int, int] = (2, 2)) -> SmallScan:
    return small_scan(regime, *modes, off=off)


def seen_by(scan: SmallScan, point_spread: Any) -> SmallScan:
    """The same scan behind a detector with this point spread, by the oracle."""
    exact = replace(scan.reference(), point_spread=ref.point_image(point_spread))
    counts = np.array([exact.spread(light) for light in exact.counts])
    return replace(scan, data=counts.astype(np.float32))


def text(value: Any) -> str:
    return "image" if isinstance(value, np.ndarray) else str(value)


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("point_spread", SPREADS, ids=text)
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_engines_do_as_the_oracle(regime, name, point_spread, device):
    options = defaults(name, iterations=2, point_spread_px=point_spread)
    assert_as_oracle(scan_of(regime), options, device)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", ENGINES)
def test_noise_models_do_as_the_oracle(name, noise):
    options = defaults(name, iterations=2, noise=noise, point_spread_px=IMAGE)
    assert_as_oracle(small_scan("far", 2, frame=(11, 15)), options)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_a_step_of_ml_ends_where_the_loss_along_it_is_lowest(regime, noise):
    """Of a thick object: the search expands the spread intensity, and stays exact."""
    scan = thick_scan(regime, 2, 1)
    exact = replace(scan.reference(), point_spread=ref.point_image(IMAGE))
    start = scan.obj.astype(complex), scan.probe.astype(complex)
    obj, probe, error = thick_ml_update(exact, *start, kernels_of(TILTS["straight"]), noise, 0.1)

    options = thick_engine("ML", noise=noise, point_spread_px=IMAGE)
    got = scan.run(options, propagation=thick(regime))

    assert got.errors[0][0] == pytest.approx(error, rel=5e-5)
    assert relative(got.object - scan.obj, obj - start[0]) < 2e-3
    assert relative(got.probe - scan.probe, probe - start[1]) < 2e-3


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", ENGINES)
def test_truth_behind_a_point_spread_stays_where_it_is(name, noise):
    """Without it, it does not."""
    scan = seen_by(scan_of("near"), 0.8).from_truth()
    engine = {"name": name, "iterations": 3, "noise": noise}

    result = scan.run(engine | {"point_spread_px": 0.8})

    assert relative(result.object, scan.true_obj) < 2e-4
    assert result.error < 1e-8
    ignorant = scan.run(engine)
    assert relative(ignorant.object, scan.true_obj) > 1e-2


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_parts_do_not_change_the_result(name, device):
    scan = seen_by(scan_of("far"), IMAGE)
    engine = everything(name, point_spread_px=IMAGE)
    expected = scan.run(engine, background=2.0)

    result = scan.run(engine, device=device, parts=3, background=2.0)

    assert relative(result.object, expected.object) < 1e-5
    assert result.error == pytest.approx(expected.error, rel=1e-4)


@pytest.mark.parametrize("name", ENGINES)
def test_frames_in_blocks_and_plans_keep_their_promise(name):
    """The bits of a resident run, in no more memory than was said."""
    scan = seen_by(small_scan("near", 2, frames=31), 0.7)
    engine = {"name": name, "iterations": 2, "point_spread_px": 0.7}
    given = {"device": "emulated:1", "parts": 2}
    resident = scan.run(engine, **given)
    params = given | {"engines": [engine], "propagation": resident.params["propagation"]}
    arguments = scan.data, scan.obj, scan.probe, scan.positions, scan.mask
    whole = exitwave.plan(*arguments, params).device_bytes

    limit = {"device": whole - 1}
    streamed = scan.run(engine, **given, memory_limit=limit)

    assert exitwave.plan(*arguments, params | {"memory_limit": limit}).device_bytes < whole
    assert_same_bits(resident, streamed)


@pytest.mark.parametrize("noise", NOISES)
def test_gradients_are_finite_differences(noise):
    """Of losses of the spread light and a background; masked and saturated pixels count after it.

    Slope of the loss in double precision along random changes of object and probe.
    """
    scan = small_scan("far", 2, noise=True)
    end = float(np.quantile(scan.data, 0.9))
    counts = np.minimum(scan.data, end).astype(np.float32)
    exact = replace(
        scan.reference(), counts=counts.astype(float), point_spread=ref.point_image(IMAGE)
    )
    rng = np.random.default_rng(3)
    obj, probe = scan.obj.astype(complex), scan.probe.astype(complex)
    changes = [
        x * (rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)) for x in (obj, probe)
    ]

    def loss_at(step: float) -> float:
        total = 0.0
        for measured, position in zip(exact.counts, exact.positions, strict=True):
            moved = obj + step * changes[0], probe + step * changes[1]
            wave = ref.forward(*moved, position, exact.propagator)
            model = exact.spread((np.abs(wave) ** 2).sum((0, 1))) + 3.0
            heard = exact.mask & ~((measured >= end) & (model >= measured))
            total += (ref.loss(model, measured, noise) - ref.loss(measured, measured, noise))[
                heard
            ].sum()
        return float(total)

    params = {"noise": noise, "background": 3.0, "saturation": end, "point_spread_px": IMAGE}
    found = exitwave.loss_and_gradients(
        counts, scan.obj, scan.probe, scan.positions, scan.mask, params | {"device": "cpu:1"}
    )

    assert found.loss == pytest.approx(loss_at(0.0), rel=1e-5)
    slope = 2 * (np.vdot(found.object, changes[0]) + np.vdot(found.probe, changes[1])).real
    step = 1e-7
    assert slope == pytest.approx((loss_at(step) - loss_at(-step)) / (2 * step), rel=1e-3)


@cache
def experiment(point_spread_px: float) -> exitwave.simulation.Simulation:
    return exitwave.simulate(
        32, 60, counts_per_frame=1e6, probe="aperture", overlap=0.8, seed=4,
        imperfections={"point_spread_px": point_spread_px},
    )  # fmt: skip


def error_of(width_px: float, noise: str, **options: Any) -> float:
    scan = experiment(width_px)
    engines = [
        {"name": "rPIE", "iterations": 15},
        {"name": "ML", "iterations": 40, "noise": noise} | options,
    ]
    result = exitwave.ptychography(
        scan.data, None, scan.probe, scan.positions_px, None,
        {"engines": engines, "device": "cpu:1", "progress": False},
    )  # fmt: skip
    region = metrics.scan_region(
        scan.positions_px, scan.data.shape[1:], scan.object.shape, scan.probe
    )
    return metrics.relative_error(result.object, scan.object, region)


@pytest.mark.parametrize("noise", NOISES)
def test_object_is_nearly_as_good_as_behind_a_sharp_detector(noise):
    sharp = error_of(0.0, noise)
    ignorant = error_of(0.7, noise)

    told = error_of(0.7, noise, point_spread_px=0.7)

    assert told < 2 * sharp
    assert ignorant > 10 * told


# What it is


def test_light_spreads_around_a_point_and_is_lost_beyond_the_edge():
    point = np.zeros((9, 11))
    point[3, 6] = 4.0
    corner = np.zeros((9, 11))
    corner[8, 0] = 1.0

    np.testing.assert_allclose(spread(point, IMAGE)[2:5, 4:9], 4 * IMAGE / IMAGE.sum())
    np.testing.assert_allclose(
        spread(corner, IMAGE)[7:, :3], IMAGE[:2, 2:] / IMAGE.sum(), atol=1e-12
    )
    light = np.random.default_rng(2).random((9, 11))
    for given in SPREADS:
        exact = ref.Scan(light, light > 0, light, ref.FarField(), ref.point_image(given))
        np.testing.assert_allclose(spread(light, given), exact.spread(light), atol=1e-12)


@pytest.mark.parametrize("point_spread", SPREADS, ids=text)
def test_oracle_of_the_way_back_is_the_adjoint(point_spread):
    rng = np.random.default_rng(1)
    light, factor = rng.random((2, 7, 10))
    exact = ref.Scan(light, light > 0, light, ref.FarField(), ref.point_image(point_spread))

    there, back = exact.spread(light), exact.spread_adjoint(factor)

    assert (there * factor).sum() == pytest.approx((light * back).sum(), rel=1e-12)


@pytest.mark.parametrize(
    "value", [0, -1.0, 3.5, True, (0.0, 0.0), (1, 2, 3), np.ones((2, 3)), np.ones((3, 33)),
              -np.ones((3, 3)), np.zeros((3, 3)), [[1.0, np.nan, 1.0]], "wide"]
)  # fmt: skip
def test_what_is_no_point_spread_is_refused(value):
    with pytest.raises(InvalidArgument, match=r"engines\[0\].point_spread_px is .*must be None, a"):
        validate_params({"engines": [{"name": "ML", "point_spread_px": value}]})


@pytest.mark.parametrize("name", ["AP", "DM", "RAAR", "ePIE", "rPIE", "mPIE"])
def test_engines_that_go_to_the_measured_modulus_refuse_it(name):
    with pytest.raises(InvalidArgument, match=f"not used by {name}, only by ML, LSQML, gradient"):
        validate_params({"engines": [{"name": name, "point_spread_px": 0.8}]})
