"""The oracle of LSQML with slices: its step is a minimum, and one slice is the thin object."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
from reference import lsqml, multislice, thick_lsqml
from thick_truth import NOISES, make_kernels, make_problem, near, noise_of, relative

KERNELS = make_kernels(3)


@pytest.fixture(params=["far", "near"])
def propagator(request):
    return ref.FarField() if request.param == "far" else near()


@pytest.mark.parametrize("noise", NOISES)
def test_one_slice_is_a_thin_object(propagator, noise):
    p = make_problem(propagator, slices=1, modes=(2, 2))
    frames, none = range(len(p.scan.counts)), [make_kernels(1)] * len(p.scan.counts)

    obj, probe, terms = thick_lsqml.thick_lsqml_group(
        p.scan, p.obj, p.probe, frames, none, noise, object_inertia=0.2
    )

    thin = lsqml.lsqml_group(p.scan, p.thin, p.probe, frames, noise, object_inertia=0.2)
    assert relative(obj[:, 0], thin[0]) < 1e-12
    assert relative(probe, thin[1]) < 1e-12
    np.testing.assert_allclose(terms, thin[2])


def test_the_objects_step_is_that_of_least_squares():
    """Over all slices, where the probe is held."""
    rng = np.random.default_rng(9)
    p = make_problem(ref.FarField(), modes=(2, 2))
    position, still = p.scan.positions[2], np.zeros_like(p.probe)
    d_obj = noise_of(rng, *p.obj.shape)
    change = multislice.exit_change(p.obj, p.probe, d_obj, still, position, KERNELS)
    chi = 0.7 * change + 30 * noise_of(rng, *change.shape)
    residual = p.scan.propagator.forward(chi, ref.corner_and_fraction(position)[1])
    fields = p.obj, p.probe, position, p.scan.propagator, KERNELS
    behind, _ = multislice.back_through(*fields, residual)

    step, _ = thick_lsqml.thick_frame_steps(
        p.obj, p.probe, d_obj, still, position, KERNELS, behind, 0.0
    )

    def left(length):
        return np.linalg.norm(chi - length * change)

    assert step == pytest.approx(0.7, abs=0.1)
    assert left(step) < min(left(step + 1e-3), left(step - 1e-3))


@pytest.mark.parametrize("noise", NOISES)
def test_directions_lead_downhill(propagator, noise):
    p = make_problem(propagator, modes=(2, 2))
    frames, kernels = range(len(p.scan.counts)), [KERNELS] * len(p.scan.counts)
    behind = [
        thick_lsqml.residuals_behind(p.scan, j, p.obj, p.probe, KERNELS, noise)[0] for j in frames
    ]

    d_obj, d_probe = thick_lsqml.thick_directions(p.scan, p.obj, p.probe, frames, kernels, behind)

    gradient = multislice.thick_gradients(p.scan, p.obj, p.probe, KERNELS, noise)
    for s in range(3):
        assert np.vdot(gradient[0][:, s], d_obj[:, s]).real < 0
    assert np.vdot(gradient[1], d_probe).real < 0


@pytest.mark.parametrize("noise", NOISES)
def test_the_loss_falls_and_the_truth_is_left_alone(propagator, noise):
    p = make_problem(propagator, modes=(1, 1), frames=12)
    frames, kernels = range(len(p.scan.counts)), [KERNELS] * len(p.scan.counts)
    obj, probe = p.obj, p.probe

    def loss():
        return multislice.thick_loss(p.scan, obj, probe, KERNELS, noise)

    losses = [loss()]
    for _ in range(8):
        obj, probe, _ = thick_lsqml.thick_lsqml_group(p.scan, obj, probe, frames, kernels, noise)
        losses.append(loss())
    obj, probe = p.truth
    floor = loss()

    assert (np.diff(losses) < 0).all()
    assert losses[-1] - floor < 0.3 * (losses[0] - floor)
    obj, probe, terms = thick_lsqml.thick_lsqml_group(p.scan, obj, probe, frames, kernels, noise)
    assert relative(obj, p.truth[0]) < 1e-12
    assert relative(probe, p.truth[1]) < 1e-12
    assert sum(term[0] for term in terms) < 1e-18
