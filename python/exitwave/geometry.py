"""Geometry of an experiment: wavelength, distances and pixel sizes.

Conventions: pairs are (row, column); a frame has its zero frequency at ``(Y // 2, X // 2)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from exitwave import checks
from exitwave.errors import InvalidArgument

PLANCK_TIMES_LIGHT_J_M = 1.98644586e-25
ELEMENTARY_CHARGE_C = 1.602176634e-19
ELECTRON_REST_ENERGY_J = 8.1871057880e-14

Regime = Literal["far", "near"]
Radiation = Literal["photon", "electron"]
Pair = tuple[float, float]


def wavelength_from_energy(energy_ev: float, radiation: str = "photon") -> float:
    """Wavelength in metres of photons or electrons of ``energy_ev`` electronvolts.

    Photons: hc / E. Electrons of kinetic energy E: hc / sqrt(E (E + 2 m c^2)), relativistic
    (de Broglie; the acceleration voltage in volts is the energy in electronvolts).
    """
    checks.choice("radiation", radiation, ("photon", "electron"))
    energy = checks.number("energy_ev", energy_ev, above=0) * ELEMENTARY_CHARGE_C
    if radiation == "electron":
        energy = math.sqrt(energy * (energy + 2 * ELECTRON_REST_ENERGY_J))
    return PLANCK_TIMES_LIGHT_J_M / energy


def energy_from_wavelength(wavelength_m: float, radiation: str = "photon") -> float:
    """Energy in electronvolts of photons, or kinetic energy of electrons, of ``wavelength_m``."""
    checks.choice("radiation", radiation, ("photon", "electron"))
    energy = PLANCK_TIMES_LIGHT_J_M / checks.number("wavelength_m", wavelength_m, above=0)
    if radiation == "electron":
        # sqrt(x^2 + m^2) - m without the cancellation of two large numbers.
        rest = ELECTRON_REST_ENERGY_J
        energy *= energy / (math.hypot(energy, rest) + rest)
    return energy / ELEMENTARY_CHARGE_C


@dataclass(frozen=True)
class Geometry:
    """Where sample and detector are, and how large a pixel of the object is.

    Parameters
    ----------
    regime : "far" or "near"
        Far field (unitary Fourier transform) or near field (propagation in free space).
    pixel_size_m : float or (float, float)
        (row, column) pixel of the object, metres; one number stands for both.
    wavelength_m : float, optional
    distance_m : float, optional
        Sample to detector.
    detector_pixel_m : float or (float, float), optional
        (row, column) pixel of the detector.
    focus_distance_m : float, optional
        Near field with a cone beam: focus to sample; None is a parallel beam.
    radiation : "photon" or "electron"
        What the energy belongs to.

    Raises
    ------
    InvalidArgument
        A value is not positive and finite, or a focus distance stands in a far-field geometry.
    """

    regime: Regime
    pixel_size_m: Pair
    wavelength_m: float | None = None
    distance_m: float | None = None
    detector_pixel_m: Pair | None = None
    focus_distance_m: float | None = None
    radiation: Radiation = "photon"

    def __post_init__(self) -> None:
        checks.choice("regime", self.regime, ("far", "near"))
        checks.choice("radiation", self.radiation, ("photon", "electron"))
        if self.regime == "far" and self.focus_distance_m is not None:
            raise InvalidArgument(
                "focus_distance_m describes the cone beam of the near field, but regime is "
                '"far"; leave it out or set the regime to "near".'
            )
        object.__setattr__(self, "pixel_size_m", checks.pair("pixel_size_m", self.pixel_size_m))
        if self.detector_pixel_m is not None:
            pair = checks.pair("detector_pixel_m", self.detector_pixel_m)
            object.__setattr__(self, "detector_pixel_m", pair)
        for name in ("wavelength_m", "distance_m", "focus_distance_m"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, checks.number(name, value, above=0))

    @classmethod
    def from_far_field(
        cls,
        wavelength_m: float,
        distance_m: float,
        detector_pixel_m: float | Pair,
        frame_shape: tuple[int, int],
    ) -> Geometry:
        """Far field: an object pixel is ``wavelength * distance / (frame size * detector pixel)``.

        Parameters
        ----------
        wavelength_m, distance_m : float
        detector_pixel_m : float or (float, float)
        frame_shape : (int, int)
            (Y, X) of a frame; the two pixel sizes of the object differ where Y and X do.
        """
        pixel = checks.pair("detector_pixel_m", detector_pixel_m)
        shape = checks.pair("frame_shape", frame_shape)
        extent = checks.number("wavelength_m", wavelength_m, above=0) * checks.number(
            "distance_m", distance_m, above=0
        )
        object_pixel = (extent / (shape[0] * pixel[0]), extent / (shape[1] * pixel[1]))
        return cls("far", object_pixel, wavelength_m, distance_m, pixel)

    @classmethod
    def from_near_field(
        cls,
        wavelength_m: float,
        distance_m: float,
        detector_pixel_m: float | Pair,
        focus_distance_m: float | None = None,
    ) -> Geometry:
        """Near field: an object pixel is a detector pixel divided by the magnification.

        A cone beam that diverges from a focus at ``focus_distance_m`` before the sample magnifies
        by ``M = (f + d) / f``.
        """
        pixel = checks.pair("detector_pixel_m", detector_pixel_m)
        magnification = 1.0
        if focus_distance_m is not None:
            focus = checks.number("focus_distance_m", focus_distance_m, above=0)
            magnification = (focus + checks.number("distance_m", distance_m, above=0)) / focus
        object_pixel = (pixel[0] / magnification, pixel[1] / magnification)
        return cls("near", object_pixel, wavelength_m, distance_m, pixel, focus_distance_m)

    @property
    def energy_ev(self) -> float | None:
        """Energy in electronvolts of photon or electron; None without a wavelength."""
        if self.wavelength_m is None:
            return None
        return energy_from_wavelength(self.wavelength_m, self.radiation)

    @property
    def magnification(self) -> float:
        """``(f + d) / f`` of a cone beam; 1 without a focus distance."""
        if self.focus_distance_m is None or self.distance_m is None:
            return 1.0
        return (self.focus_distance_m + self.distance_m) / self.focus_distance_m

    def field_of_view_m(self, shape: tuple[int, int]) -> Pair:
        """(height, width) in metres of ``shape`` object pixels."""
        return shape[0] * self.pixel_size_m[0], shape[1] * self.pixel_size_m[1]

    def oversampling(self, frame_shape: tuple[int, int], probe_size_m: float) -> Pair:
        """Far field: how often the probe fits into the window, along rows and columns.

        The window ``wavelength * distance / detector pixel`` over the probe's size; the
        diffraction of the probe alone is sampled at Nyquist's rate where this is 2.

        Raises
        ------
        InvalidArgument
            The geometry is a near field, where the detector does not sample a spectrum.
        """
        if self.regime != "far":
            raise InvalidArgument("oversampling is defined for the far field, but regime is near.")
        size = checks.number("probe_size_m", probe_size_m, above=0)
        height, width = self.field_of_view_m(frame_shape)
        return height / size, width / size

    def cropped(self, frame_shape: tuple[int, int], shape: tuple[int, int]) -> Geometry:
        """Geometry after frames of ``frame_shape`` were cropped to ``shape``.

        A far-field object pixel grows by the factor that the frame shrinks; a near-field one stays.
        """
        old, new = checks.pair("frame_shape", frame_shape), checks.pair("shape", shape)
        if self.regime == "near":
            return self
        height, width = self.pixel_size_m
        return replace(self, pixel_size_m=(height * (old[0] / new[0]), width * (old[1] / new[1])))

    def binned(self, bin: int) -> Geometry:
        """Geometry after ``bin`` by ``bin`` detector pixels were added up.

        The detector pixel grows; so does a near-field object pixel, while a far-field one stays
        (its window shrinks).
        """
        factor = checks.number("bin", bin, above=0)
        detector = self.detector_pixel_m
        if detector is not None:
            detector = (detector[0] * factor, detector[1] * factor)
        pixel = self.pixel_size_m
        if self.regime == "near":
            pixel = (pixel[0] * factor, pixel[1] * factor)
        return replace(self, pixel_size_m=pixel, detector_pixel_m=detector)

    def propagation(self) -> dict[str, Any]:
        """The entry ``"propagation"`` of the parameters of a run that fits this geometry.

        Lengths of a far field are those that the slices of a thick object need, and are left out
        where the object is thin. A cone beam is given as the parallel beam that it equals (Fresnel
        scaling theorem): distance ``d / M`` and the object's pixel ``p / M``.

        Raises
        ------
        InvalidArgument
            A near field lacks its wavelength or distance.
        """
        if self.regime == "far":
            if self.wavelength_m is None:
                return {"regime": "far"}
            return {
                "regime": "far",
                "wavelength_m": self.wavelength_m,
                "pixel_size_m": self.pixel_size_m,
            }
        if self.wavelength_m is None or self.distance_m is None:
            missing = "wavelength_m" if self.wavelength_m is None else "distance_m"
            raise InvalidArgument(
                f"{missing} of the geometry is None; near-field propagation needs it, so give it."
            )
        return {
            "regime": "near",
            "wavelength_m": self.wavelength_m,
            "distance_m": self.distance_m / self.magnification,
            "pixel_size_m": self.pixel_size_m,
        }
