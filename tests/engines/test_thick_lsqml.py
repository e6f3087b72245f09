"""LSQML with slices: the oracle's steps, with all noise models, modes, momentum and intensities."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from exitwave.partition import draw_groups, spatial_order
from reference import lsqml
from reference.thick_lsqml import thick_lsqml_group
from small_scan import NOISES, assert_same_bits, devices, relative
from thick_scans import CASES, TILTS, engine, kernels_of, thick, thick_scan

# Steps are quotients of sums that nearly cancel, from waves that came through three slices.
FIELD, ERROR = 2e-5, 1e-4


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize(("regime", "m", "k", "tilt", "fractional"), CASES)
def test_an_update_is_the_oracles(regime, m, k, tilt, fractional, device, noise):
    scan = thick_scan(regime, m, k, tilt, fractional)
    exact = scan.reference()
    start = scan.obj.astype(complex), scan.probe.astype(complex)
    options = {"object_step": 0.8, "probe_step": 0.6, "object_inertia": 0.03}
    obj, probe, terms = thick_lsqml_group(
        exact, *start, range(len(scan.data)), kernels_of(TILTS[tilt]), noise, **options
    )

    got = scan.run(
        engine("LSQML", noise=noise, **options),
        propagation=thick(regime, TILTS[tilt]),
        device=device,
        parts=3,
    )

    error = np.sum(terms, axis=0)
    assert got.errors[0][0] == pytest.approx(error[0] / error[1], rel=ERROR)
    assert relative(got.object, obj) < FIELD
    assert relative(got.probe, probe) < FIELD
    assert relative(got.object, scan.obj) > 100 * FIELD


@pytest.mark.parametrize("noise", ["amplitude", "poisson"])
@pytest.mark.parametrize("regime", ["far", "near"])
def test_groups_momentum_and_intensities_are_the_oracles(regime, noise):
    scan, size, iterations = thick_scan(regime, 2, 2, "tilted apart"), 4, 4
    drift = 1 + 0.1 * np.random.default_rng(2).standard_normal((len(scan.data), 1, 1))
    scan = replace(scan, data=scan.data * drift.astype(np.float32) ** 2)
    kernels = np.array(kernels_of(TILTS["tilted apart"]))
    momentum, factors = lsqml.Momentum(0.5), np.ones(len(scan.data))
    rng, order = np.random.default_rng(0), spatial_order(scan.positions)
    obj, probe, errors = scan.obj.astype(complex), scan.probe.astype(complex), []
    for iteration in range(iterations):
        obj, probe, error = lsqml.lsqml_iteration(
            scan.reference(), obj, probe, draw_groups(order, size, rng), momentum,
            touched=None, group=partial(thick_lsqml_group, kernels=kernels), noise=noise,
            object_step=0.6, probe_step=0.5, factors=factors, refine=iteration > 0,
        )  # fmt: skip
        momentum.after(obj, probe, error)
        errors.append(error)

    got = scan.run(
        engine(
            "LSQML", iterations=iterations, group_size=size, noise=noise, momentum=0.5,
            object_step=0.6, probe_step=0.5, intensity_start=1,
        ),
        propagation=thick(regime, TILTS["tilted apart"]),
        parts=2,
    )  # fmt: skip

    assert relative(got.object, obj) < 10 * FIELD
    assert relative(got.probe, probe) < 10 * FIELD
    np.testing.assert_allclose(got.intensities, factors**2, rtol=1e-4)
    np.testing.assert_allclose(got.errors[0], errors, rtol=1e-3)


def test_a_held_probe_and_its_intensities_leave_the_frames_alone():
    """The mean of the factors becomes the first slice's, and only there."""
    scan = replace(thick_scan("far", 1, 2).from_truth())
    brighter = replace(scan, data=scan.data * np.float32(1.1))

    got = brighter.run(
        engine("LSQML", iterations=2, probe_start=None, intensity_start=0),
        propagation=thick("far"),
    )

    assert got.error < 1e-9
    ratio = np.abs(got.object).mean(axis=(0, 2, 3)) / np.abs(scan.obj).mean(axis=(0, 2, 3))
    reached = relative(got.object[:, 1:], scan.obj[:, 1:])
    assert reached < 1e-4
    assert ratio[0] > 1.02


def test_batches_do_not_change_a_bit():
    scan = thick_scan("far", 2, 1, "tilted apart")
    given = {"propagation": thick("far", TILTS["tilted apart"])}
    options = engine("LSQML", iterations=3, group_size=5)

    one, many = (scan.run(options, batch=batch, **given) for batch in (1, 4))

    assert_same_bits(one, many)


@pytest.mark.parametrize("step", [0.5, 0.7])
def test_steps_up_to_the_default_are_safe(step):
    """Overlaps of the probe with all slices but the first are not seen in the steps."""
    scan = thick_scan("far", 2, 1)

    got = scan.run(
        engine("LSQML", iterations=60, group_size=4, object_step=step, probe_step=step),
        propagation=thick("far"),
    )

    assert got.errors[0][-1] < 1e-2 * got.errors[0][0]
