"""Propagators in double precision, plain NumPy: for the simulator and the metrics.

Independent of the compiled core on purpose, so that each can be checked against the other.
Conventions: phase exp(+ikz), FFT kernel exp(-2 pi i u x), zero frequency and window centre at
(Y//2, X//2). A constant phase exp(ikz) is left out everywhere: no intensity depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.multislice import Slices

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]

_AXES = (-2, -1)


def far_field(wave: npt.NDArray[Any]) -> Complex:
    """Unitary centred FFT over the last two axes: sum abs(result)^2 = sum abs(wave)^2."""
    shifted = fft.ifftshift(wave, axes=_AXES)
    return np.asarray(fft.fftshift(fft.fft2(shifted, norm="ortho"), axes=_AXES))


def frequencies(shape: tuple[int, int], pixel: checks.Pair = 1.0) -> tuple[Float, Float]:
    """Frequencies (Y, 1) and (1, X) in FFT order, cycles per unit of ``pixel``."""
    pixel_y, pixel_x = checks.pair("pixel", pixel)
    return fft.fftfreq(shape[0], pixel_y)[:, None], fft.fftfreq(shape[1], pixel_x)[None, :]


def shift_phase(shape: tuple[int, int], shift_px: npt.ArrayLike) -> Complex:
    """Factor exp(-2 pi i q shift) in FFT order: moves content by +shift (row, column)."""
    qy, qx = frequencies(shape)
    row, column = np.asarray(shift_px, dtype=np.float64)
    return np.asarray(np.exp(-2j * np.pi * row * qy) * np.exp(-2j * np.pi * column * qx))


def shift(wave: npt.NDArray[Any], shift_px: npt.ArrayLike) -> Complex:
    """Wave (..., Y, X) moved by (row, column) pixels with the Fourier shift theorem."""
    shape = (wave.shape[-2], wave.shape[-1])
    return np.asarray(fft.ifft2(fft.fft2(wave) * shift_phase(shape, shift_px)))


def near_field_kernel(
    shape: tuple[int, int],
    wavelength_m: float,
    distance_m: float,
    pixel_size_m: checks.Pair,
    method: str = "angular_spectrum",
) -> Complex:
    """Transfer function of free space in FFT order, without the constant phase exp(ikz).

    "angular_spectrum": exp(i z (sqrt(k^2 - q^2) - k)), evanescent waves decay.
    "fresnel": exp(-i pi lambda z (u^2 + v^2)), its paraxial limit.
    """
    checks.choice("method", method, ("angular_spectrum", "fresnel"))
    u, v = frequencies(shape, pixel_size_m)
    if method == "fresnel":
        return np.asarray(np.exp(-1j * np.pi * wavelength_m * distance_m * (u**2 + v**2)))
    k = 2 * np.pi / wavelength_m
    q2 = (2 * np.pi) ** 2 * (u**2 + v**2)
    kz = np.sqrt((k**2 - q2).astype(np.complex128))
    # kz - k without the cancellation of two large numbers.
    exponent = -q2 / (kz + k)
    # |z| makes evanescent waves decay for propagation in either direction.
    decay = np.abs(exponent.imag * distance_m)
    return np.asarray(np.exp(1j * exponent.real * distance_m - decay))


def propagate(
    wave: npt.NDArray[Any],
    wavelength_m: float,
    distance_m: float,
    pixel_size_m: checks.Pair,
    method: str = "angular_spectrum",
) -> Complex:
    """Wave (..., Y, X) after ``distance_m`` of free space on the same grid."""
    shape = (wave.shape[-2], wave.shape[-1])
    kernel = near_field_kernel(shape, wavelength_m, distance_m, pixel_size_m, method)
    return np.asarray(fft.ifft2(fft.fft2(wave) * kernel))


def split_position(position_px: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Float]:
    """Integer corner floor(position + 0.5) and the fraction that is left, in [-0.5, 0.5)."""
    position = np.asarray(position_px, dtype=np.float64)
    corner = np.floor(position + 0.5)
    return corner.astype(np.int64), position - corner


def frame_kernel(propagation: Any, frame_shape: tuple[int, int]) -> Complex | None:
    """Near-field propagator of the parameters ``propagation``, zero frequency first; None: far.

    A diverging beam is a parallel one with effective lengths (Fresnel scaling): magnification
    M = (f + d) / f, distance d / M. ``pixel_size_m`` is the object's pixel.
    """
    if propagation.regime == "far":
        return None
    distance = propagation.distance_m
    if propagation.focus_distance_m is not None:
        focus = propagation.focus_distance_m
        distance *= focus / (focus + distance)
    return near_field_kernel(
        frame_shape,
        propagation.wavelength_m,
        distance,
        propagation.pixel_size_m,
        propagation.method,
    )


@dataclass(frozen=True)
class Detector:
    """Propagator D_j from the sample to the detector, as in params["propagation"].

    Attributes
    ----------
    regime : "far" or "near"
    kernel : complex128, shape (Y, X), or None
        Transfer function in FFT order; None in the far field.
    slices : Slices or None
        What lies between the slices of a thick object; None: the object is thin.
    """

    regime: str
    kernel: Complex | None = None
    slices: Slices | None = None

    @classmethod
    def from_params(
        cls,
        propagation: Mapping[str, Any] | None,
        frame_shape: tuple[int, int],
        slices: Slices | None = None,
    ) -> Detector:
        """From the ``propagation`` entry of the parameters; None is the far field."""
        given = dict(propagation or {"regime": "far"})
        regime = checks.choice("regime", given.get("regime", "far"), ("far", "near"))
        if regime == "far":
            return cls("far", slices=slices)
        missing = [k for k in ("wavelength_m", "distance_m", "pixel_size_m") if k not in given]
        if missing:
            raise InvalidArgument(
                f"propagation lacks {', '.join(missing)}, which the near field needs: add them."
            )
        distance = checks.number("distance_m", given["distance_m"])
        focus = given.get("focus_distance_m")
        if focus is not None:
            distance /= magnification(distance, focus)
        kernel = near_field_kernel(
            frame_shape,
            checks.number("wavelength_m", given["wavelength_m"], above=0),
            distance,
            given["pixel_size_m"],
            given.get("method", "angular_spectrum"),
        )
        return cls("near", kernel, slices)

    def waves(
        self,
        obj: npt.NDArray[Any],
        probe_spectrum: Complex,
        position_px: npt.ArrayLike,
        tilt_rad: npt.ArrayLike = (0.0, 0.0),
    ) -> Complex:
        """Detector waves (M, K, Y, X) of one frame.

        Parameters
        ----------
        obj : complex, shape (K, A, B), or (K, S, A, B) with slices
        probe_spectrum : complex128, shape (M, Y, X)
            ``scipy.fft.fft2(probe)``, so that a shift costs one FFT.
        position_px : (row, column) of the window's corner
        tilt_rad : (row, column) of the beam between slices

        Far field: F[S(f)P O]. Near field: A_z S(-f)[S(f)P O], since the illumination stands still
        on the detector and the object moves.
        """
        shape = (probe_spectrum.shape[-2], probe_spectrum.shape[-1])
        corner, fraction = split_position(position_px)
        window = obj[..., corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]]
        if fraction.any():
            probe = fft.ifft2(probe_spectrum * shift_phase(shape, fraction))
        else:
            probe = fft.ifft2(probe_spectrum)
        if self.slices is None:
            exit_waves = probe[:, None] * window[None]
        else:
            exit_waves = self.slices.exit_wave(probe[:, None], window[None], tilt_rad)
        if self.kernel is None:
            return far_field(exit_waves)
        kernel = self.kernel * shift_phase(shape, -fraction)
        return np.asarray(fft.ifft2(fft.fft2(exit_waves) * kernel))

    def intensity(
        self,
        obj: npt.NDArray[Any],
        probe_spectrum: Complex,
        position_px: npt.ArrayLike,
        tilt_rad: npt.ArrayLike = (0.0, 0.0),
    ) -> Float:
        """Intensity (Y, X) of one frame, summed over probe and object modes."""
        waves = self.waves(obj, probe_spectrum, position_px, tilt_rad)
        return np.asarray(np.sum(waves.real**2 + waves.imag**2, axis=(0, 1)))


def magnification(distance_m: float, focus_distance_m: float) -> float:
    """M = (f + d) / f of a beam that diverges from a focus f in front of the sample."""
    focus = checks.number("focus_distance_m", focus_distance_m, above=0)
    return (focus + distance_m) / focus
