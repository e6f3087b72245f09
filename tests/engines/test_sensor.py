"""Detectors that do more than count the photons of the waves: background and saturation."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import exitwave
from small_scan import ENGINES, FRAME, NOISES, SmallScan, devices, everything, relative, small_scan

DEVICES = devices("cpu:1", "emulated")
# Counts per pixel; a gradient, so that exchanged axes would be seen.
BACKGROUND = np.add.outer(np.linspace(20, 60, FRAME[0]), np.linspace(0, 90, FRAME[1]))
SATURATION = 100.0


@cache
def scan_of(regime: str = "far", off: float = 0.2) -> SmallScan:
    return small_scan(regime, 2, off=off)


def with_background(scan: SmallScan) -> SmallScan:
    return replace(scan, data=(scan.data + BACKGROUND).astype(np.float32))


def saturated(scan: SmallScan) -> SmallScan:
    return replace(scan, data=np.minimum(scan.data, np.float32(SATURATION)))


def engines() -> list[dict]:
    others = [{"name": name, "iterations": 3} for name in ENGINES if name != "ML"]
    return others + [{"name": "ML", "iterations": 3, "noise": noise} for noise in NOISES]


def text(engine: dict) -> str:
    return f"{engine['name']} {engine.get('noise', '')}".strip()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("engine", engines(), ids=text)
def test_truth_behind_a_background_stays_where_it_is(engine, regime, device):
    """Without the background it does not."""
    scan = with_background(scan_of(regime)).from_truth()

    result = scan.run(engine, background=BACKGROUND, device=device)

    assert relative(result.object, scan.true_obj) < 2e-4
    assert result.error < 1e-8
    ignorant = scan.run(engine, device=device)
    assert relative(ignorant.object, scan.true_obj) > 1e-2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("engine", engines(), ids=text)
def test_truth_stays_where_counts_end(engine, device):
    """Nearly every second pixel is saturated; taken as counts they would pull the model down."""
    scan = saturated(scan_of()).from_truth()
    assert 0.2 < (scan.data == SATURATION).mean() < 0.8

    result = scan.run(engine, saturation=SATURATION, device=device)

    assert relative(result.object, scan.true_obj) < 2e-4
    assert result.error < 1e-8
    ignorant = scan.run(engine, device=device)
    assert relative(ignorant.object, scan.true_obj) > 1e-2


@pytest.mark.parametrize("engine", engines(), ids=text)
def test_saturated_pixels_pull_where_the_model_is_darker(engine):
    """A model of half the intensity becomes brighter, one of twice the intensity stays."""
    scan = replace(scan_of(), mask=np.ones(FRAME, bool))
    scan = replace(scan, data=np.full_like(scan.data, SATURATION))
    flat = np.zeros(FRAME)
    flat[FRAME[0] // 2, FRAME[1] // 2] = np.sqrt(SATURATION * np.prod(FRAME))
    probe = flat[None].astype(np.complex64)
    given = {"saturation": SATURATION, "scale_start": False}
    engine = engine | {"iterations": 1, "probe_power": "free"}

    bright = replace(scan, obj=np.full_like(scan.obj, 2), probe=probe).run(engine, **given)
    dark = replace(scan, obj=np.full_like(scan.obj, 0.7), probe=probe).run(engine, **given)

    np.testing.assert_allclose(bright.object, 2, rtol=1e-6)
    assert np.abs(dark.object).max() > 0.75


@pytest.mark.parametrize("engine", engines(), ids=text)
def test_no_background_is_a_background_of_zero(engine):
    scan = scan_of()

    without, zero = scan.run(engine), scan.run(engine, background=0.0, saturation=1e9)

    assert relative(zero.object, without.object) < 1e-5
    np.testing.assert_allclose(zero.errors[0], without.errors[0], rtol=1e-4)


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_parts_do_not_change_the_result(name, device):
    scan = saturated(with_background(scan_of()))
    given = {"background": BACKGROUND, "saturation": SATURATION}
    expected = scan.run(everything(name), **given)

    result = scan.run(everything(name), device=device, parts=3, **given)

    assert relative(result.object, expected.object) < 1e-5
    assert result.error == pytest.approx(expected.error, rel=1e-4)


@pytest.mark.parametrize("noise", NOISES)
def test_likelihood_finds_the_object_behind_a_background(noise):
    """From a start near the truth, down to the rounding of large counts."""
    scan = with_background(scan_of(off=0.03))

    result = scan.run(
        {"name": "ML", "iterations": 60, "noise": noise}, background=BACKGROUND, scale_start=True
    )

    assert result.error < 1e-6
    assert result.error < 1e-3 * result.errors[0][0]


def test_start_power_and_probe_do_not_count_the_background():
    """As without it, from the wrong power, and from no probe at all."""
    scan = scan_of()
    behind = with_background(scan)
    engine = {"name": "AP", "iterations": 1, "probe_start": None}
    one = scan.run(engine, scale_start=True)
    two = behind.run(engine, scale_start=True, background=BACKGROUND)
    assert relative(two.probe, one.probe) < 1e-4

    def found(scan: SmallScan, **more: Any) -> np.ndarray:
        params = {"engines": [engine], "progress": False} | more
        return exitwave.ptychography(
            scan.data, pos=scan.positions, mask=scan.mask, params=params
        ).probe

    assert relative(found(behind, background=BACKGROUND), found(scan)) < 1e-4
