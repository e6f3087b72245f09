"""Illuminations: optics they claim to be, power, place, modes."""

from __future__ import annotations

import numpy as np
import pytest

from exitwave import probes
from exitwave.errors import InvalidArgument
from exitwave.propagate import far_field, propagate

SHAPE, PIXEL, WAVELENGTH = (72, 96), (40e-9, 30e-9), 1.5e-10


def centre_of_mass(wave):
    density = np.abs(wave) ** 2
    return [float((c * density).sum() / density.sum()) for c in probes.coordinates(wave.shape, 1.0)]


@pytest.mark.parametrize("kind", probes.PROBES)
def test_every_probe_has_unit_power_and_stays_inside_the_window(kind):
    probe = probes.make_probe(kind, SHAPE, PIXEL, WAVELENGTH)

    density = np.abs(probe) ** 2
    border = np.r_[density[[0, -1]].ravel(), density[:, [0, -1]].ravel()]
    assert probe.shape == SHAPE
    assert density.sum() == pytest.approx(1)
    assert border.max() < 5e-3 * density.max()


@pytest.mark.parametrize("kind", [k for k in probes.PROBES if k != "diffuser"])
def test_probes_are_centred_and_round_in_metres(kind):
    probe = probes.make_probe(kind, SHAPE, PIXEL, WAVELENGTH)

    assert np.abs(centre_of_mass(probe)).max() < 0.05
    density = np.abs(probe) ** 2
    y, x = probes.coordinates(SHAPE, PIXEL)
    near = y**2 + x**2 < (0.9e-6) ** 2
    assert (density * near * y**2).sum() == pytest.approx((density * near * x**2).sum(), rel=0.03)


def test_pupil_of_a_lens_ends_at_its_numerical_aperture():
    probe = probes.lens(SHAPE, PIXEL, WAVELENGTH, numerical_aperture=8e-4, defocus_m=3e-4)

    y, x = probes.coordinates(SHAPE, 1.0)
    angle = WAVELENGTH * np.hypot(y / (SHAPE[0] * PIXEL[0]), x / (SHAPE[1] * PIXEL[1]))
    power = np.abs(far_field(probe)) ** 2
    assert power[angle > 9.5e-4].sum() < 1e-12
    inside = power[angle < 6.5e-4]
    assert inside.std() < 1e-6 * inside.mean()


def test_stop_darkens_the_middle_of_the_pupil():
    probe = probes.zone_plate(
        SHAPE, PIXEL, WAVELENGTH, diameter_m=2e-4, outer_zone_m=8e-8, stop_m=1e-4
    )

    assert abs(far_field(probe)[SHAPE[0] // 2, SHAPE[1] // 2]) < 1e-12


def test_airy_spot_is_dark_at_its_first_ring():
    aperture = 8e-4
    probe = probes.lens((128, 128), 2e-8, WAVELENGTH, numerical_aperture=aperture)

    radius = np.hypot(*probes.coordinates((128, 128), 2e-8))
    ring = np.abs(radius - 0.61 * WAVELENGTH / aperture) < 1e-8
    density = np.abs(probe) ** 2
    assert density[ring].max() < 5e-3 * density.max()


def test_defocused_disc_has_its_geometric_diameter():
    probe = probes.lens((256, 256), 2e-8, WAVELENGTH, numerical_aperture=1e-3, defocus_m=1e-3)

    assert probes.diameter_m(probe, 2e-8) == pytest.approx(2e-6, rel=0.08)


def test_defocus_is_free_space_propagation():
    lens = {"numerical_aperture": 8e-4}
    focus = probes.lens(SHAPE, PIXEL, WAVELENGTH, **lens)
    moved = probes.lens(SHAPE, PIXEL, WAVELENGTH, **lens, defocus_m=5e-4)

    np.testing.assert_allclose(
        propagate(moved, WAVELENGTH, -5e-4, PIXEL), focus, atol=1e-12 * np.abs(focus).max()
    )


def test_gaussian_waist_has_its_width_at_half_maximum():
    probe = probes.gaussian((101, 101), 1e-8, WAVELENGTH, fwhm_m=4e-7)

    row = np.abs(probe[50]) ** 2
    assert row[30] == pytest.approx(row[50] / 2)


def test_diffuser_depends_on_its_seed_only():
    settings = {"diameter_m": 1.5e-6, "grain_m": 2e-7, "distance_m": 1e-4}
    first = probes.diffuser(SHAPE, PIXEL, WAVELENGTH, **settings, seed=1)

    np.testing.assert_array_equal(
        first, probes.diffuser(SHAPE, PIXEL, WAVELENGTH, **settings, seed=1)
    )
    other = probes.diffuser(SHAPE, PIXEL, WAVELENGTH, **settings, seed=2)
    assert np.abs(np.vdot(first, other)) < 0.7


@pytest.mark.parametrize("plane", ["pupil", "sample"])
def test_modes_are_orthogonal_with_the_powers_asked_for(plane):
    probe = 3 * probes.make_probe("defocused", SHAPE, PIXEL, WAVELENGTH)

    modes = probes.add_modes(probe, 4, [4, 3, 2, 1], plane=plane)

    flat = modes.reshape(4, -1)
    np.testing.assert_allclose(flat.conj() @ flat.T, np.diag([3.6, 2.7, 1.8, 0.9]), atol=1e-10)
    np.testing.assert_allclose(modes[0], probe * np.sqrt(0.4), atol=1e-10)


@pytest.mark.parametrize("offset", [(0, 0), (5, -7)])
def test_diameter_of_a_uniform_disc_is_its_own(offset):
    y, x = probes.coordinates((100, 120), 1.0)
    disc = (np.hypot(y - offset[0], x - offset[1]) < 30).astype(complex)

    assert probes.diameter_m(disc) == pytest.approx(60, rel=0.02)
    assert probes.diameter_m(np.stack([disc, disc]), 2.0) == pytest.approx(120, rel=0.02)


def make(kind, **settings):
    return lambda: probes.make_probe(kind, SHAPE, PIXEL, WAVELENGTH, settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (make("pinhole"), "probe was 'pinhole', but must be one of"),
        (make("defocused", defocus=1e-4), "perhaps 'defocus_m'"),
        (make("defocused", numerical_aperture=1.0), "detector ends at"),
        (make("defocused", defocus_m=1.0), "makes a disc of"),
        (make("defocused", stop=1.0), "stop was 1.0"),
        (make("aperture", diameter_m=1.0), "diameter_m was 1, but the window is"),
        (make("zone_plate", stop_m=1.0), "stop_m was 1.0"),
        (make("gaussian", fwhm_m=-1.0), "fwhm_m was -1.0"),
        (make("diffuser", seed=0.5), "seed was 0.5"),
        (lambda: probes.add_modes(np.ones(SHAPE), 2, [1.0]), "must be 2 positive numbers"),
        (lambda: probes.diameter_m(np.zeros(SHAPE)), "zero everywhere"),
    ],
)
def test_bad_probes_are_refused(call, message):
    with pytest.raises(InvalidArgument, match=message):
        call()
