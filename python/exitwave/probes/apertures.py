"""Beams that no lens shapes: pinhole, diffuser, Gaussian beam."""

from __future__ import annotations

import numpy as np
from scipy import fft

from exitwave import checks
from exitwave.probes.grid import Complex, Shape, coordinates, disc, grid, normalised
from exitwave.propagate import frequencies, propagate


def aperture(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    diameter_m: float,
    distance_m: float = 0.0,
) -> Complex:
    """Round pinhole (edge soft over two pixels) in a plane wave, ``distance_m`` upstream."""
    pixel, window = grid(frame_shape, pixel_size_m)
    hole = disc(frame_shape, pixel, window, diameter_m)
    return normalised(propagate(hole, wavelength_m, checks.number("distance_m", distance_m), pixel))


def gaussian(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    fwhm_m: float,
    defocus_m: float = 0.0,
) -> Complex:
    """Gaussian beam, ``defocus_m`` behind a waist with intensity of full width ``fwhm_m``."""
    pixel, _ = grid(frame_shape, pixel_size_m)
    y, x = coordinates(frame_shape, pixel)
    wave = np.exp(-2 * np.log(2) * (y**2 + x**2) / checks.number("fwhm_m", fwhm_m, above=0) ** 2)
    return normalised(propagate(wave, wavelength_m, checks.number("defocus_m", defocus_m), pixel))


def diffuser(
    frame_shape: Shape,
    pixel_size_m: checks.Pair,
    wavelength_m: float,
    *,
    diameter_m: float,
    grain_m: float,
    phase_rad: float = 1.5,
    distance_m: float = 0.0,
    seed: int = 0,
) -> Complex:
    """Pinhole with a random phase screen, ``distance_m`` before the sample: speckles.

    Parameters
    ----------
    diameter_m : float, metres
    grain_m : float, metres
        Correlation length of the screen (Gaussian, 1/e).
    phase_rad : float, radians
        Root mean square of the screen's phase.
    distance_m : float, metres
    seed : int
    """
    pixel, window = grid(frame_shape, pixel_size_m)
    hole = disc(frame_shape, pixel, window, diameter_m)
    grain = checks.number("grain_m", grain_m, above=0)
    u, v = frequencies(frame_shape, pixel)
    # A command line gives 3.0 where 3 is meant.
    whole = int(seed) if seed == round(checks.number("seed", seed)) else seed
    random = np.random.default_rng(checks.whole("seed", whole, least=0))
    # The filter's square is the spectrum of a Gaussian autocorrelation exp(-r^2 / grain^2).
    smooth = np.exp(-0.5 * (np.pi * grain) ** 2 * (u**2 + v**2))
    screen = fft.ifft2(fft.fft2(random.standard_normal(frame_shape)) * smooth).real
    screen *= checks.number("phase_rad", phase_rad, least=0) / screen.std()
    wave = hole * np.exp(1j * screen)
    return normalised(propagate(wave, wavelength_m, checks.number("distance_m", distance_m), pixel))
