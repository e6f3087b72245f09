"""What must hold for a right reconstruction, whatever the formulas say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
from exitwave import _core
from exitwave.fft_library import load_fft_library
from exitwave.partition import draw_groups, spatial_order
from exitwave.start import corners_and_fractions
from small_scan import (
    ENGINES,
    FRAME,
    PROPAGATIONS,
    SmallScan,
    assert_same_bits,
    devices,
    noise_of,
    propagator_of,
    relative,
    small_scan,
)

MODES = [(1, 1), (2, 2)]
DEVICES = devices("cpu:2", "emulated")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("regime", PROPAGATIONS)
@pytest.mark.parametrize("name", ENGINES)
def test_truth_is_a_fixed_point(name, regime, modes, device):
    """Noise-free counts, fractional positions, a mask: nothing moves beyond rounding."""
    scan = small_scan(regime, *modes).from_truth()

    result = scan.run(
        {"name": name, "iterations": 3, "probe_start": 0, "object_inertia": 0.01}, device=device
    )

    off_object, off_probe = relative(result.object, scan.obj), relative(result.probe, scan.probe)
    assert off_object < 1e-5
    assert off_probe < 1e-5
    assert result.error < 1e-12


@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", ENGINES)
def test_error_falls(name, regime, modes):
    result = small_scan(regime, *modes).run({"name": name, "iterations": 60})

    assert result.error < 0.1 * result.errors[0][0]


@pytest.mark.parametrize("regime", ["far", "near"])
def test_raar_without_relaxation_is_the_difference_map(regime):
    scan = small_scan(regime, 2)
    runs = [scan.run({"name": name, "beta": 1.0, "iterations": 5}) for name in ("RAAR", "DM")]

    assert_same_bits(*runs)


@pytest.mark.parametrize("alpha", [1.0, 0.2])
@pytest.mark.parametrize("device", DEVICES)
def test_groups_of_one_are_the_published_sequential_pie(alpha, device):
    """Maiden & Rodenburg 2009 and Maiden, Johnson & Li 2017, written out: no sums, no groups."""
    # At fractions the package weighs the probe's step with |O|^2 where it stands, which is the
    # published weight for alpha = 1 alone.
    scan = small_scan("far", fractional=alpha == 1)
    order = draw_groups(spatial_order(scan.positions), 1, np.random.default_rng(0))
    obj, probe = scan.obj[0].astype(complex), scan.probe[0].astype(complex)
    for (frame,) in order:
        corner = np.floor(scan.positions[frame] + 0.5).astype(int)
        here = np.s_[corner[0] : corner[0] + FRAME[0], corner[1] : corner[1] + FRAME[1]]
        fraction = scan.positions[frame] - corner
        p, o = ref.shift(probe, fraction), obj[here].copy()
        wave = np.fft.fft2(p * o, norm="ortho")
        amplitude = np.fft.ifftshift(np.sqrt(scan.data[frame].astype(float)))
        valid = np.fft.ifftshift(scan.mask)
        wave = np.where(valid, amplitude * np.exp(1j * np.angle(wave)), wave)
        change = np.fft.ifft2(wave, norm="ortho") - p * o
        p2, o2 = np.abs(p) ** 2, np.abs(o) ** 2
        obj[here] += p.conj() * change / ((1 - alpha) * p2 + alpha * p2.max())
        back = o.conj() * change / ((1 - alpha) * o2 + alpha * o2.max())
        probe = probe + ref.shift(back, -fraction)

    engine = {"name": "ePIE"}
    if alpha < 1:
        engine = {"name": "rPIE", "object_alpha": alpha, "probe_alpha": alpha}
    result = scan.run(
        engine | {"iterations": 1, "group_size": 1, "probe_power": "free"}, device=device
    )

    off_object, off_probe = relative(result.object[0], obj), relative(result.probe[0], probe)
    assert off_object < 1e-5
    assert off_probe < 1e-5


def core_engine(scan: SmallScan, obj: np.ndarray, probe: np.ndarray):
    """The core alone on the whole scan, one part."""
    load_fft_library()
    corner, fraction = corners_and_fractions(scan.positions)
    propagator = propagator_of(scan.regime)
    kernel = None if scan.regime == "far" else propagator.kernel.astype(np.complex64)
    core_scan = _core.Scan(
        scan.data, scan.mask, corner, fraction, obj.shape[-2:], kernel, [list(range(13))]
    )
    options = _core.EngineOptions()
    options.name = "ePIE"
    options.probe_modes, options.object_modes = len(probe), len(obj)
    options.hold_power = False
    settings = _core.CpuSettings()
    return _core.Engine(
        core_scan, options, obj.astype(np.complex64), probe.astype(np.complex64), settings
    )


@pytest.mark.parametrize("modes", [(1, 1), (2, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("regime", PROPAGATIONS)
@pytest.mark.parametrize("fractional", [True, False])
def test_sums_of_a_pass_are_the_gradient_of_the_error(regime, modes, fractional):
    """The core's backward pass is the adjoint of its forward pass.

    With all frames in one group, ePIE's steps times their denominators are minus the gradient of
    the squared amplitude deviation, which the core reports: slope = -2 Re <sums, direction>.
    """
    scan = small_scan(regime, *modes, fractional=fractional)
    engine = core_engine(scan, scan.obj, scan.probe)
    engine.iterate([list(range(13))], True)
    weights = ref.residual_pass(
        scan.reference(),
        scan.obj.astype(complex),
        scan.probe.astype(complex),
        range(13),
        lambda _, model: 0 * model,
    )
    object_sum = (engine.object - scan.obj) * weights.object_denominator.max()
    probe_sum = (engine.probe - scan.probe) * weights.probe_denominator.max()
    rng = np.random.default_rng(4)
    d_obj, d_probe = noise_of(rng, *scan.obj.shape), 10 * noise_of(rng, *scan.probe.shape)
    # Half along the gradient, so that the slope is no small difference.
    d_obj += object_sum * np.linalg.norm(d_obj) / np.linalg.norm(object_sum)
    d_probe += probe_sum * np.linalg.norm(d_probe) / np.linalg.norm(probe_sum)

    def slope(d_obj: np.ndarray, d_probe: np.ndarray, step: float = 0.003) -> float:
        there, back = (
            core_engine(scan, scan.obj + t * d_obj, scan.probe + t * d_probe).deviation()
            for t in (step, -step)
        )
        return (there - back) / (2 * step)

    along_object = -2 * np.vdot(object_sum, d_obj).real
    along_probe = -2 * np.vdot(probe_sum, d_probe).real
    assert slope(d_obj, 0 * d_probe) == pytest.approx(along_object, rel=2e-3)
    assert slope(0 * d_obj, d_probe) == pytest.approx(along_probe, rel=2e-3)


@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_ml_steps_to_the_minimum_of_the_second_order_expansion(regime, modes):
    """Finite differences of the core's own deviation, which is the loss for amplitude noise."""
    scan = small_scan(regime, *modes, off=0.1)
    done = scan.run({"name": "ML", "noise": "amplitude", "iterations": 1, "probe_power": "free"})

    def loss(t: float) -> float:
        obj = scan.obj + t * (done.object - scan.obj)
        return core_engine(scan, obj, scan.probe + t * (done.probe - scan.probe)).deviation()

    h = 0.05
    slope = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
    bend = (loss(h) + loss(-h) - 2 * loss(0)) / h**2
    assert -slope / bend == pytest.approx(1, rel=0.02)
    assert loss(1) < loss(0)


def reached_by(scan: SmallScan) -> np.ndarray:
    """Object pixels under some window, (A, B) bool."""
    reached = np.zeros(scan.obj.shape[-2:], bool)
    for row, column in np.floor(scan.positions + 0.5).astype(int):
        reached[row : row + FRAME[0], column : column + FRAME[1]] = True
    return reached


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ENGINES)
def test_pixels_that_no_frame_reaches_keep_their_value(name, device):
    """An object far larger than the scan, with the scan somewhere inside."""
    scan = small_scan("far", 2)
    rng = np.random.default_rng(3)
    obj = (1 + 0.1 * noise_of(rng, 50, 61)).astype(np.complex64)
    corner = np.array([17, 8])
    obj[17 : 17 + 22, 8 : 8 + 33] = scan.obj[0]
    engine = {"name": name, "iterations": 4, "probe_start": 0}
    if name == "ML":
        engine["smoothness"] = 0.1

    small = scan.run(engine, device=device)
    large = replace(scan, obj=obj, positions=scan.positions + corner).run(engine, device=device)

    moved = replace(scan, obj=obj[None], positions=scan.positions + corner)
    outside = ~reached_by(moved)
    np.testing.assert_array_equal(large.object[outside], obj[outside])
    np.testing.assert_array_equal(large.object[17 : 17 + 22, 8 : 8 + 33], small.object[0])
    np.testing.assert_array_equal(large.probe, small.probe)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ENGINES)
def test_held_power_stays_and_free_power_moves(name, device):
    scan = small_scan("far", 2)
    engine = {"name": name, "iterations": 6, "probe_start": 1}

    held = scan.run(engine, device=device)
    free = scan.run(engine | {"probe_power": "free"}, device=device)

    power = float((np.abs(scan.probe) ** 2).sum())
    assert (np.abs(held.probe) ** 2).sum() == pytest.approx(power, rel=1e-5)
    assert (np.abs(free.probe) ** 2).sum() != pytest.approx(power, rel=1e-3)


@pytest.mark.parametrize("name", ENGINES)
def test_supports_and_clip_hold_for_the_result(name):
    scan = small_scan("far", 2)
    support = np.roll(ref.disc(FRAME, 0.95), (1, -1), (0, 1))

    result = scan.run(
        {
            "name": name,
            "iterations": 4,
            "probe_start": 1,
            "probe_support": support,
            "object_clip": (0.5, 1.3),
        }
    )

    assert not result.probe[:, ~support].any()
    amplitude = np.abs(result.object)[:, reached_by(scan)]
    assert amplitude.min() >= 0.5 * (1 - 1e-6)
    assert amplitude.max() <= 1.3 * (1 + 1e-6)


@pytest.mark.parametrize("name", ENGINES)
def test_one_frame_is_a_scan(name):
    scan = small_scan("far", frames=1)

    result = scan.run({"name": name, "iterations": 5, "probe_start": None, "object_inertia": 0.01})

    assert result.error < 0.5 * result.errors[0][0]


@pytest.mark.parametrize("name", ["AP", "ePIE"])
def test_swapped_positions_are_seen(name):
    """Rows and columns mean what they say: exchanged, the error stays."""
    scan = small_scan("far", frames=25)
    square = replace(
        scan, positions=scan.positions[:, ::-1].copy(), obj=np.ones((40, 40), np.complex64)
    )

    right = scan.run({"name": name, "iterations": 40})
    wrong = square.run({"name": name, "iterations": 40})

    assert wrong.error > 5 * right.error
