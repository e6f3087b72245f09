"""Focusing optics: the size, the place and the shape of the spots that physics says."""

from __future__ import annotations

import numpy as np
import pytest

from exitwave import probes
from exitwave.errors import InvalidArgument
from exitwave.geometry import energy_from_wavelength, wavelength_from_energy
from exitwave.propagate import far_field, propagate

WAVELENGTH = 1.5e-10
ELECTRON = wavelength_from_energy(300e3, "electron")


def first_dark(wave, pixel, axis):
    """Distance from the centre to the first minimum of the intensity along an axis, metres.

    Between pixels by a padded spectrum, 16 points per pixel.
    """
    middle = tuple(n // 2 for n in wave.shape)
    line = wave[:, middle[1]] if axis == 0 else wave[middle[0]]
    spectrum = np.fft.fft(np.fft.ifftshift(line))
    half = len(line) // 2
    padded = np.zeros(16 * len(line), complex)
    padded[:half], padded[-half:] = spectrum[:half], spectrum[-half:]
    power = np.abs(np.fft.ifft(padded)) ** 2
    return int(np.flatnonzero(np.diff(power) > 0)[0]) * pixel / 16


def pupil_of(wave):
    """Wave in the pupil, zero frequency in the middle."""
    return far_field(wave)


def test_electrons_have_their_tabulated_wavelengths():
    """Kirkland, Advanced Computing in Electron Microscopy, table of wavelengths."""
    known = {100e3: 3.701e-12, 200e3: 2.508e-12, 300e3: 1.969e-12, 1000e3: 0.8719e-12}
    for energy, wavelength in known.items():
        assert wavelength_from_energy(energy, "electron") == pytest.approx(wavelength, rel=2e-4)
    for energy in (1.0, 60e3, 3e6):
        there = wavelength_from_energy(energy, "electron")
        assert energy_from_wavelength(there, "electron") == pytest.approx(energy, rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_zone_plate_resolves_1_22_outermost_zones(axis):
    pixel = (1e-8, 1.2e-8)

    spot = probes.zone_plate((400, 360), pixel, WAVELENGTH, diameter_m=1e-4, outer_zone_m=5e-8)

    assert first_dark(spot, pixel[axis], axis) == pytest.approx(1.22 * 5e-8, rel=0.02)


def test_stop_of_a_zone_plate_keeps_the_radius_and_shadows_the_middle():
    pixel = 1e-8
    plate = {"diameter_m": 1e-4, "outer_zone_m": 5e-8}
    open_, stopped = (
        pupil_of(probes.zone_plate((240, 200), pixel, WAVELENGTH, **plate, stop_m=stop))
        for stop in (0.0, 4e-5)
    )

    y, x = probes.coordinates((240, 200), 1.0)
    # Along the pupil: 1 / (2 outer_zone) cycles per metre is its edge.
    radius = np.hypot(y / (240 * pixel), x / (200 * pixel)) * 2 * 5e-8
    assert np.abs(stopped[radius < 0.3]).max() < 1e-12
    ring = (radius > 0.5) & (radius < 0.85)
    np.testing.assert_allclose(
        np.abs(stopped[ring]) / np.abs(stopped[ring]).mean(),
        np.abs(open_[ring]) / np.abs(open_[ring]).mean(),
        rtol=1e-9,
    )
    assert np.abs(stopped[radius > 1.15]).max() < 1e-12


def test_kb_mirrors_focus_to_wavelength_times_focal_length_over_aperture():
    pixel, shape = (1e-8, 1.5e-8), (420, 300)
    apertures, lengths = (3e-4, 2e-4), (0.2, 0.1)

    spot = probes.kb(shape, pixel, WAVELENGTH, aperture_m=apertures, focal_length_m=lengths)

    for axis in (0, 1):
        expected = WAVELENGTH * lengths[axis] / apertures[axis]
        assert first_dark(spot, pixel[axis], axis) == pytest.approx(expected, rel=0.02)


def test_kb_out_of_focus_is_the_rectangle_of_geometry():
    pixel, shape = 2e-8, (256, 300)
    half_angles = (5e-4, 7.5e-4)
    settings = {"aperture_m": (2e-4, 1.5e-4), "focal_length_m": (0.2, 0.1), "defocus_m": 2e-3}

    spot = np.abs(probes.kb(shape, pixel, WAVELENGTH, **settings)) ** 2

    for axis in (0, 1):
        profile = spot.sum(axis=1 - axis)
        half = np.flatnonzero(profile > profile.max() / 4)
        width = (half[-1] - half[0] + 1) * pixel
        assert width == pytest.approx(2 * half_angles[axis] * 2e-3, rel=0.06)


def test_astigmatism_separates_the_two_line_foci():
    """Half the difference upstream the rows are in focus, downstream the columns are."""
    grid = ((128, 128), 2e-8, WAVELENGTH)
    mirrors = {"aperture_m": 2e-4, "focal_length_m": 0.2}

    sharp = probes.kb(*grid, **mirrors)
    between = probes.kb(*grid, **mirrors, astigmatism_m=1e-3)

    def sharpness(wave):
        power = np.abs(wave) ** 2
        return power.sum(axis=1).max(), power.sum(axis=0).max()

    upstream = sharpness(propagate(between, WAVELENGTH, -0.5e-3, 2e-8))
    downstream = sharpness(propagate(between, WAVELENGTH, 0.5e-3, 2e-8))
    best = sharpness(sharp)[0]
    assert upstream[0] == pytest.approx(best, rel=1e-3)
    assert downstream[1] == pytest.approx(best, rel=1e-3)
    assert max(upstream[1], downstream[0]) < 0.3 * best


@pytest.mark.parametrize(
    ("make", "wavelength", "pixel", "distance"),
    [
        (probes.zone_plate, WAVELENGTH, 2e-8, 1e-3),
        (probes.kb, WAVELENGTH, 2e-8, 1e-3),
        (probes.electron, ELECTRON, 3e-11, 4e-8),
    ],
)
def test_probe_comes_to_focus_where_its_defocus_says(make, wavelength, pixel, distance):
    settings = {
        probes.zone_plate: {"diameter_m": 1e-4, "outer_zone_m": 1e-7, "stop_m": 2e-5},
        probes.kb: {"aperture_m": (2e-4, 3e-4), "focal_length_m": 0.2},
        probes.electron: {"convergence_rad": 12e-3},
    }[make]
    shape = (96, 110)
    focus = make(shape, pixel, wavelength, **settings)

    for sign in (-1, 1):
        moved = make(shape, pixel, wavelength, **settings, defocus_m=sign * distance)
        back = propagate(moved, wavelength, -sign * distance, pixel)

        assert np.abs(moved).max() < 0.5 * np.abs(focus).max()
        np.testing.assert_allclose(back, focus, atol=2e-3 * np.abs(focus).max())


def test_electron_probe_without_aberrations_is_an_airy_spot():
    from scipy.special import j1

    pixel, angle = 8e-12, 20e-3
    spot = probes.electron((480, 480), pixel, ELECTRON, convergence_rad=angle)

    y, x = probes.coordinates(spot.shape, pixel)
    argument = 2 * np.pi * angle * np.hypot(y, x) / ELECTRON
    airy = np.where(argument > 0, 2 * j1(argument) / np.where(argument > 0, argument, 1), 1.0)
    inner = argument < 15
    assert first_dark(spot, pixel, 0) == pytest.approx(0.61 * ELECTRON / angle, rel=0.02)
    np.testing.assert_allclose((spot / spot[240, 240])[inner], airy[inner], atol=5e-3)


@pytest.mark.parametrize(
    ("settings", "phase"),
    [
        ({"defocus_m": 2e-8}, lambda t, p: 2e-8 * t**2 / 2),
        ({"c3_m": 2e-5}, lambda t, p: 2e-5 * t**4 / 4),
        ({"c5_m": 2e-2}, lambda t, p: 2e-2 * t**6 / 6),
        ({"a1_m": 2e-8, "a1_angle_rad": 0.4}, lambda t, p: 1e-8 * t**2 * np.cos(2 * (p - 0.4))),
        ({"b2_m": 4e-7, "b2_angle_rad": -0.7}, lambda t, p: 4e-7 * t**3 * np.cos(p + 0.7)),
    ],
    ids=["C1", "C3", "C5", "A1", "B2"],
)
def test_aberration_phase_is_the_published_one(settings, phase):
    shape, pixel = (120, 100), 2.5e-11
    pupil = pupil_of(probes.electron(shape, pixel, ELECTRON, convergence_rad=20e-3, **settings))

    y, x = probes.coordinates(shape, 1.0)
    theta_y, theta_x = ELECTRON * y / (shape[0] * pixel), ELECTRON * x / (shape[1] * pixel)
    theta, azimuth = np.hypot(theta_y, theta_x), np.arctan2(theta_y, theta_x)
    inside = theta < 18e-3
    chi = 2 * np.pi / ELECTRON * phase(theta, azimuth)
    left = pupil * np.exp(1j * chi)
    np.testing.assert_allclose(np.angle(left[inside]), 0, atol=1e-9)


def test_rays_of_an_aberrated_probe_land_where_geometry_says():
    """Coma of azimuth 0 smears the spot along the columns' axis; C3 > 0 is helped by C1 < 0."""
    grid = ((256, 256), 2e-11, ELECTRON)
    y, x = probes.coordinates((256, 256), 1.0)

    coma = np.abs(probes.electron(*grid, convergence_rad=20e-3, b2_m=1e-6)) ** 2
    assert (coma * x).sum() > 5 * abs((coma * y).sum())
    assert (coma * x).sum() > 3

    spherical = {"convergence_rad": 20e-3, "c3_m": 1e-4}
    peaks = [
        np.abs(probes.electron(*grid, **spherical, defocus_m=c1)).max() for c1 in (-2e-8, 0, 2e-8)
    ]
    assert peaks[0] > peaks[1] > peaks[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: probes.kb(*g, aperture_m=1.0, focal_length_m=0.1), "the detector ends at"),
        (
            lambda g: probes.kb(*g, aperture_m=1e-4, focal_length_m=0.1, defocus_m=1.0),
            "defocus_m was 1, which makes a disc",
        ),
        (lambda g: probes.kb(*g, aperture_m=1e-4, focal_length_m=0.0), "focal_length_m was 0.0"),
        (lambda g: probes.electron(*g, convergence_rad=0.0), "convergence_rad was 0.0"),
        (lambda g: probes.electron(*g, convergence_rad=0.1), "the detector ends at"),
        (
            lambda g: probes.electron(*g, convergence_rad=1e-3, c3_m=1e4),
            "c3_m 1e.04, which with the other aberrations makes a disc",
        ),
        (lambda g: probes.electron(*g, convergence_rad=1e-3, b2_m=np.nan), "b2_m was nan"),
    ],
)
def test_impossible_optics_are_refused(call, message):
    with pytest.raises(InvalidArgument, match=message):
        call(((64, 64), 2e-8, WAVELENGTH))


@pytest.mark.parametrize("plane", ["pupil", "sample"])
def test_modes_are_orthonormal_with_their_powers_to_a_millionth(plane):
    """Hermite functions are what these modes are for a Gaussian beam."""
    powers = np.array([0.5, 0.2, 0.15, 0.08, 0.04, 0.03])
    probe = probes.electron((96, 80), 2e-11, ELECTRON, convergence_rad=15e-3, b2_m=1e-6)

    modes = probes.add_modes(probe, 6, powers, plane=plane).reshape(6, -1)

    gram = modes @ modes.conj().T
    np.testing.assert_allclose(gram, np.diag(powers), atol=1e-6)


def test_modes_of_a_gaussian_beam_are_hermite_gaussian():
    wave = probes.gaussian((101, 91), 1e-8, WAVELENGTH, fwhm_m=2.5e-7)
    y, x = probes.coordinates(wave.shape, 1e-8)

    modes = probes.add_modes(wave, 6, np.ones(6), plane="sample")

    t = np.sqrt(8 * np.log(2)) / 2.5e-7  # |wave|^2 = exp(-t^2 r^2 / 2)
    hermite = [1, y * t, x * t, (y * t) ** 2 - 1, y * t * x * t, (x * t) ** 2 - 1]
    for mode, polynomial in zip(modes, hermite, strict=True):
        expected = wave * polynomial
        expected /= np.linalg.norm(expected)
        assert abs(np.vdot(mode, expected)) / np.linalg.norm(mode) == pytest.approx(1, abs=1e-6)
