"""Thick objects: thin slices with free space between them, in double precision.

Cowley & Moodie, Acta Cryst. 10, 609 (1957); in ptychography Maiden, Humphry & Rodenburg,
J. Opt. Soc. Am. A 29, 1606 (2012):

    psi_1 = P O_1,   psi_{s+1} = O_{s+1} A_dz psi_s

with the angular spectrum ``A_dz``, cut at two thirds of the highest frequency of each axis: the
product of two waves within that limit aliases only to where the next propagation cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.propagate import frequencies, near_field_kernel, shift_phase

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]

BAND_LIMIT = 2 / 3


def band_limit(shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Frequencies, zero first, within the ellipse of two thirds of both axes' highest ones."""
    qy, qx = frequencies(shape)
    return np.asarray((2 * qy) ** 2 + (2 * qx) ** 2 <= BAND_LIMIT**2)


def checked_distances(distance_m: float | Sequence[float], slices: int) -> tuple[float, ...]:
    """Distance from each of ``slices`` slices to the next, metres.

    Raises
    ------
    InvalidArgument
        There are neither one nor ``slices - 1`` distances, or one is negative.
    """
    given = np.asarray(distance_m, dtype=object).reshape(-1)
    if slices > 1 and given.size not in (1, slices - 1):
        raise InvalidArgument(
            f"slice_distance_m had {given.size} values, but must be one number, or {slices - 1} "
            f"for {slices} slices."
        )
    values = tuple(checks.number("slice_distance_m", each, least=0) for each in given)
    if slices == 1:
        return ()
    return values * (slices - 1) if len(values) == 1 else values


@dataclass(frozen=True)
class Slices:
    """What lies between the slices of an object.

    Attributes
    ----------
    kernels : complex128, shape (S - 1, Y, X)
        Transfer functions with band limit, zero frequency first.
    shift_px : float64, shape (S - 1, 2)
        (row, column) pixels that a beam tilted by a slope of 1 moves from slice to slice.
    """

    kernels: Complex
    shift_px: Float

    @classmethod
    def make(
        cls,
        frame_shape: tuple[int, int],
        wavelength_m: float,
        distances_m: Sequence[float],
        pixel_size_m: checks.Pair,
    ) -> Slices:
        """From the S - 1 distances between S slices, metres."""
        pixel = np.array(checks.pair("pixel_size_m", pixel_size_m))
        inside = band_limit(frame_shape)
        kernels = [
            inside * near_field_kernel(frame_shape, wavelength_m, z, pixel_size_m)
            for z in distances_m
        ]
        shape = (len(kernels), *frame_shape)
        distances = np.array(distances_m, np.float64).reshape(-1, 1)
        return cls(np.array(kernels, np.complex128).reshape(shape), distances / pixel)

    def exit_wave(
        self,
        probe: npt.NDArray[np.complexfloating],
        window: npt.NDArray[np.complexfloating],
        tilt_rad: npt.ArrayLike = (0.0, 0.0),
    ) -> Complex:
        """Wave behind the last slice.

        Parameters
        ----------
        probe : complex, shape (..., Y, X)
        window : complex, shape (..., S, Y, X), broadcast with the probe
            The object under it, upstream slice first.
        tilt_rad : (row, column)
            Tilt of the beam; it moves by ``dz tan(tilt)`` from slice to slice.
        """
        wave = probe * window[..., 0, :, :]
        slope = np.tan(np.asarray(tilt_rad, np.float64))
        shape = (wave.shape[-2], wave.shape[-1])
        for index, kernel in enumerate(self.kernels, start=1):
            step = kernel
            if slope.any():
                step = kernel * shift_phase(shape, self.shift_px[index - 1] * slope)
            wave = fft.ifft2(fft.fft2(wave) * step) * window[..., index, :, :]
        return np.asarray(wave, np.complex128)
