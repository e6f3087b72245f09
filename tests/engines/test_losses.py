"""Loss and gradients as a building block: as the oracle's, and good enough to descend along."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import exitwave
import reference as ref
from exitwave import InvalidArgument, Losses, loss_and_gradients
from reference.refinement import position_gradient
from small_scan import NOISES, PROPAGATIONS, SmallScan, devices, relative, small_scan

# Single precision, two transforms and sums over some hundred terms; slopes of Poisson's loss are
# large where the model is dark.
TOLERANCE = 1e-5

DEVICES = devices("cpu:1", "cpu:2", "emulated", "emulated:1")


@cache
def scan_of(regime: str, modes: tuple[int, int] = (2, 2), fractional: bool = True) -> SmallScan:
    return small_scan(regime, *modes, fractional=fractional, noise=True)


def params_of(scan: SmallScan, **params: Any) -> dict[str, Any]:
    return {"propagation": PROPAGATIONS[scan.regime], "device": "cpu:1"} | params


def losses_of(scan: SmallScan, position_limit_px: float | None = None, **params: Any) -> Losses:
    return Losses(
        scan.data,
        scan.obj,
        scan.probe,
        scan.positions,
        scan.mask,
        params_of(scan, **params),
        position_limit_px=position_limit_px,
    )


def expected_loss(scan: ref.Scan, obj: np.ndarray, probe: np.ndarray, noise: str) -> float:
    """The oracle's, less what it is where model and counts agree."""
    valid = scan.counts[:, scan.mask]
    return ref.total_loss(scan, obj, probe, noise) - ref.loss(valid, valid, noise).sum()


def some_frames(scan: ref.Scan, frames: Any) -> ref.Scan:
    return ref.Scan(scan.counts[frames], scan.mask, scan.positions[frames], scan.propagator)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fractional", [True, False], ids=["fractional", "whole"])
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("noise", NOISES)
def test_loss_and_gradients_are_those_of_the_oracle(noise, regime, fractional, device):
    scan = scan_of(regime, fractional=fractional)
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    (of_object, of_probe), _, error = ref.gradients(exact, obj, probe, noise)

    found = loss_and_gradients(
        scan.data,
        scan.obj,
        scan.probe,
        scan.positions,
        scan.mask,
        params_of(scan, noise=noise, device=device, parts=3),
    )

    assert found.loss == pytest.approx(expected_loss(exact, obj, probe, noise), rel=TOLERANCE)
    assert found.error == pytest.approx(error, rel=TOLERANCE)
    assert relative(found.object, of_object) < TOLERANCE
    assert relative(found.probe, of_probe) < TOLERANCE
    assert found.positions is None


@pytest.mark.parametrize("noise", NOISES)
def test_gradients_are_finite_differences(noise):
    """dL = 2 Re sum(conj(g) dO), of the loss in double precision."""
    scan = scan_of("near")
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    rng = np.random.default_rng(3)
    d_obj, d_probe = (
        x * (rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)) for x in (obj, probe)
    )

    found = losses_of(scan, noise=noise)(scan.obj, scan.probe)

    step = 1e-5
    up, down = (
        expected_loss(exact, obj + s * d_obj, probe + s * d_probe, noise) for s in (step, -step)
    )
    slope = 2 * (np.vdot(found.object, d_obj) + np.vdot(found.probe, d_probe)).real
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", ["far", "near"])
def test_slopes_along_positions_are_those_of_the_oracle(regime, device):
    scan = scan_of(regime)
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    expected = []
    for counts, position in zip(exact.counts, exact.positions, strict=True):
        wave = ref.forward(obj, probe, position, exact.propagator)
        factor = ref.loss_factor((np.abs(wave) ** 2).sum((0, 1)), counts, "amplitude")
        residual = np.where(exact.mask, factor, 0.0) * wave
        expected.append(
            position_gradient(obj[:, None], probe, position, exact.propagator, residual)
        )

    losses = losses_of(scan, 2.0, noise="amplitude", device=device, parts=2)
    found = losses(scan.obj, scan.probe)

    assert relative(found.positions, np.array(expected)) < TOLERANCE


def test_positions_given_in_a_call_are_used():
    scan = scan_of("far")
    moved = scan.positions + np.random.default_rng(5).uniform(-0.7, 0.7, scan.positions.shape)
    moved = np.clip(moved, 0, np.array(scan.obj.shape[1:]) - scan.frame)

    found = losses_of(scan, 1.0)(scan.obj, scan.probe, moved)

    there = losses_of(SmallScan(**(vars(scan) | {"positions": moved})))(scan.obj, scan.probe)
    assert found.loss == pytest.approx(there.loss, rel=TOLERANCE)
    assert relative(found.object, there.object) < TOLERANCE


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
def test_groups_of_frames_add_up(device):
    scan = scan_of("far")
    exact = some_frames(scan.reference(), [1, 4, 12])
    losses = losses_of(scan, device=device, parts=3)

    found = losses(scan.obj, scan.probe, frames=[4, 1, 12])

    (of_object, of_probe), *_ = ref.gradients(
        exact, scan.obj.astype(complex), scan.probe.astype(complex), "poisson"
    )
    assert relative(found.object, of_object) < TOLERANCE
    assert relative(found.probe, of_probe) < TOLERANCE
    rest = losses(scan.obj, scan.probe, frames=[j for j in range(13) if j not in (1, 4, 12)])
    whole = losses(scan.obj, scan.probe)
    assert found.loss + rest.loss == pytest.approx(whole.loss, rel=TOLERANCE)
    assert relative(found.object + rest.object, whole.object) < TOLERANCE


def test_a_call_is_forgotten_by_the_next():
    scan = scan_of("far")
    losses = losses_of(scan, device="emulated", parts=2)
    first = losses(scan.obj, scan.probe)

    losses(scan.true_obj, 2 * scan.true_probe, frames=[0])
    again = losses(scan.obj, scan.probe)

    assert again.loss == first.loss
    np.testing.assert_array_equal(again.object, first.object)
    np.testing.assert_array_equal(again.probe, first.probe)


def test_frames_in_blocks_give_the_same_bits():
    scan = small_scan("near", 2, 1, noise=True, frames=31)
    resident = losses_of(scan, 1.0, device="emulated:1", parts=2)
    limit = {"device": resident.plan.device_bytes - 1}

    streamed = losses_of(scan, 1.0, device="emulated:1", parts=2, memory_limit=limit)

    there, found = (each(scan.obj, scan.probe) for each in (resident, streamed))
    assert streamed.plan.counts == "host"
    assert streamed.plan.device_bytes <= limit["device"]
    assert found.loss == there.loss
    np.testing.assert_array_equal(found.object, there.object)
    np.testing.assert_array_equal(found.positions, there.positions)


@pytest.mark.parametrize("noise", NOISES)
def test_background_and_saturation_of_the_detector_are_part_of_it(noise):
    """Losses of I + b; saturated pixels that the model outshines say nothing."""
    scan = scan_of("far", (1, 1))
    end = float(np.quantile(scan.data, 0.9))
    exact, obj, probe = scan.reference(), scan.obj.astype(complex), scan.probe.astype(complex)
    counts = np.minimum(exact.counts, end)
    cut = SmallScan(**(vars(scan) | {"data": counts.astype(np.float32)}))

    def loss_of(obj: np.ndarray) -> float:
        waves = np.array([ref.forward(obj, probe, p, exact.propagator) for p in exact.positions])
        model = (np.abs(waves) ** 2).sum((1, 2)) + 3.0
        heard = exact.mask & ~((counts >= end) & (model >= counts))
        losses = ref.loss(model, counts, noise) - ref.loss(counts, counts, noise)
        return float(losses[heard].sum())

    found = losses_of(cut, noise=noise, background=3.0, saturation=end)(scan.obj, scan.probe)

    assert found.loss == pytest.approx(loss_of(obj), rel=TOLERANCE)
    step = 1e-7 * np.random.default_rng(4).standard_normal(obj.shape)
    slope = 2 * np.vdot(found.object, step).real
    assert slope == pytest.approx((loss_of(obj + step) - loss_of(obj - step)) / 2, rel=1e-3)


def test_shapes_come_back_as_they_were_given():
    scan = scan_of("far", (1, 1))
    found = loss_and_gradients(
        scan.data, scan.obj[0], scan.probe[0], scan.positions, scan.mask, params_of(scan)
    )

    assert found.object.shape == scan.obj[0].shape
    assert found.probe.shape == scan.probe[0].shape
    assert found.object.dtype == found.probe.dtype == np.complex64


def test_an_optimiser_from_elsewhere_gets_to_the_truth():
    """SciPy's L-BFGS on object and probe, without noise: only counts are compared."""
    scan = small_scan("far", off=0.05)
    losses = losses_of(scan, noise="amplitude")
    of_object = scan.obj.size

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        obj, probe = np.split(x.view(np.complex128), [of_object])
        found = losses(obj.reshape(scan.obj.shape), 30 * probe.reshape(scan.probe.shape))
        gradient = np.concatenate([found.object.ravel(), 30 * found.probe.ravel()])
        return found.loss, (2 * gradient.astype(np.complex128)).view(np.float64)

    x = np.concatenate([scan.obj.ravel(), scan.probe.ravel() / 30]).astype(np.complex128)
    before = loss(x.view(np.float64))[0]
    after = minimize(loss, x.view(np.float64), jac=True, method="L-BFGS-B", options={"maxiter": 60})

    assert after.fun < 1e-2 * before


def test_torch_differentiates_it():
    torch = pytest.importorskip("torch")
    from exitwave.torch import loss

    scan = scan_of("far")
    losses = losses_of(scan)
    obj = torch.tensor(scan.obj, requires_grad=True)
    probe = torch.tensor(scan.probe, requires_grad=True)

    (3 * loss(losses, obj, probe)).backward()

    found = losses(scan.obj, scan.probe)
    np.testing.assert_allclose(obj.grad.numpy(), 6 * found.object, rtol=1e-6)
    np.testing.assert_allclose(probe.grad.numpy(), 6 * found.probe, rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"noise": "cauchy"}, "noise is 'cauchy'; it must be one of poisson, amplitude"),
        ({"engines": []}, "engines is no key of params here; they are noise, propagation"),
        ({"device": 3}, "device is 3; it must be"),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    scan = scan_of("far")
    with pytest.raises(InvalidArgument, match=message):
        Losses(scan.data, scan.obj, scan.probe, scan.positions, params=params)


def test_wrong_calls_are_refused():
    scan = scan_of("far")
    losses = losses_of(scan)
    with pytest.raises(InvalidArgument, match=r"must have .* as at the start; make new Losses"):
        losses(scan.obj[:1], scan.probe)
    with pytest.raises(InvalidArgument, match="make them with position_limit_px"):
        losses(scan.obj, scan.probe, scan.positions)
    with pytest.raises(InvalidArgument, match="frames has numbers from 0 to 13"):
        losses(scan.obj, scan.probe, frames=[0, 13])
    with pytest.raises(InvalidArgument, match="move it less"):
        losses_of(scan, 0.1)(scan.obj, scan.probe, scan.positions + 0.2)
    with pytest.raises(InvalidArgument, match="finite"):
        losses(scan.obj * np.nan, scan.probe)
    assert isinstance(losses(scan.obj, scan.probe), exitwave.LossGradients)


def test_without_torch_the_import_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "exitwave.torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="PyTorch, which is not installed here; install"):
        importlib.import_module("exitwave.torch")


def test_loss_needs_the_slices_that_distances_describe():
    scan = scan_of("far")
    lengths = {"wavelength_m": 5e-7, "pixel_size_m": 1e-6, "slice_distances_m": (4e-6, 6e-6)}
    given = {"propagation": {"regime": "far", **lengths}, "device": "cpu:1"}

    with pytest.raises(InvalidArgument, match=r"1 slices, but .* of 3; give \(3, rows"):
        Losses(scan.data, scan.obj[0], scan.probe, scan.positions, None, given)
