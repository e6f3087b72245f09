"""The options of :func:`exitwave.load`, checked before a file is touched."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.geometry import Pair, Radiation, Regime, wavelength_from_energy
from exitwave.io.units import POSITION

FORMATS = ("result", "cxi", "ptyd", "ptylab", "exitwave", "npz", "hdf5")


@dataclass(frozen=True)
class Options:
    """What a user may say about a file; everything left out is taken from the file.

    ``load`` documents each field. After construction all values are normalised: pairs are tuples,
    ``energy_ev`` has become ``wavelength_m``, ``frames`` is a slice.
    """

    format: str | None = None
    entry: str | int | None = None
    data: str | None = None
    positions: str | None = None
    mask: str | None = None
    probe: str | None = None
    object: str | None = None
    wavelength_m: float | None = None
    energy_ev: float | None = None
    radiation: Radiation | None = None
    distance_m: float | None = None
    detector_pixel_m: Pair | None = None
    pixel_size_m: Pair | None = None
    regime: Regime | None = None
    focus_distance_m: float | None = None
    positions_unit: str | None = None
    positions_sign: tuple[int, int] = (1, 1)
    positions_swap: bool = False
    positions_transpose: bool | None = None
    mask_invert: bool = False
    find_bad_pixels: bool = False
    centre: Literal["auto"] | tuple[float, float] | None = None
    crop: tuple[int, int] | None = None
    pad: tuple[int, int] | None = None
    bin: int = 1
    frames: slice | None = None

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Options:
        """Options from keywords; an unknown one is refused with the nearest that is known."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, n=1, cutoff=0.5)
                hint = (
                    f"perhaps {near[0]!r} is meant." if near else f"known are {', '.join(known)}."
                )
                raise InvalidArgument(f"load has no option {name!r}; {hint}")
        return cls(**given)

    def __post_init__(self) -> None:
        self._check_words()
        self._check_lengths()
        self._set("positions_sign", _signs(self.positions_sign))
        for name in ("crop", "pad"):
            value = getattr(self, name)
            if value is not None:
                self._set(name, checks.shape2(name, value, least=2))
        if self.crop is not None and self.pad is not None:
            raise InvalidArgument(
                "crop and pad are both given, but each says how many pixels there will be; leave "
                "one out."
            )
        if self.centre is not None and self.centre != "auto":
            self._set("centre", _centre(self.centre))
        self._set("bin", checks.whole("bin", self.bin))
        if self.frames is not None:
            self._set("frames", _frame_slice(self.frames))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_words(self) -> None:
        if self.format is not None:
            checks.choice("format", self.format, FORMATS)
        if self.regime is not None:
            checks.choice("regime", self.regime, ("far", "near"))
        if self.radiation is not None:
            checks.choice("radiation", self.radiation, ("photon", "electron"))
        if self.positions_unit is not None:
            checks.choice("positions_unit", self.positions_unit, POSITION)
        for name in ("data", "positions", "mask", "probe", "object"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InvalidArgument(
                    f"{name} is of type {type(value).__name__}; it must be the name of a dataset "
                    "in the file."
                )
        for name in ("positions_swap", "positions_transpose", "mask_invert", "find_bad_pixels"):
            value = getattr(self, name)
            if not isinstance(value, bool | None) or (value is None and name in _TWO_VALUED):
                raise InvalidArgument(f"{name} is {value!r}; it must be True or False.")
        if self.entry is not None and not isinstance(self.entry, str | int):
            raise InvalidArgument(
                f"entry is {self.entry!r}; it must be a number or a name such as 'entry_1'."
            )

    def _check_lengths(self) -> None:
        for name in ("wavelength_m", "energy_ev", "distance_m", "focus_distance_m"):
            value = getattr(self, name)
            if value is not None:
                self._set(name, checks.number(name, value, above=0))
        for name in ("detector_pixel_m", "pixel_size_m"):
            value = getattr(self, name)
            if value is not None:
                self._set(name, checks.pair(name, value))
        if self.energy_ev is not None:
            if self.wavelength_m is not None:
                raise InvalidArgument(
                    "wavelength_m and energy_ev are both given, but say the same thing; "
                    "give one of them."
                )
            radiation = self.radiation or "photon"
            self._set("wavelength_m", wavelength_from_energy(self.energy_ev, radiation))
        if self.regime == "far" and self.focus_distance_m is not None:
            raise InvalidArgument(
                'focus_distance_m describes a near field, but regime is "far"; leave one out.'
            )

    def given(self) -> list[str]:
        """Names of the options that differ from their defaults."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


_TWO_VALUED = ("positions_swap", "mask_invert", "find_bad_pixels")


def _centre(value: Any) -> tuple[float, float]:
    if isinstance(value, str) or np.size(value) != 2:
        raise InvalidArgument(
            f'centre is {value!r}; it must be "auto", or row and column of the zero frequency.'
        )
    row, column = (checks.number("centre", each, least=0) for each in value)
    return row, column


def _signs(value: Any) -> tuple[int, int]:
    try:
        row, column = value
    except (TypeError, ValueError):
        row, column = 0, 0
    if row not in (-1, 1) or column not in (-1, 1):
        raise InvalidArgument(
            f"positions_sign is {value!r}; it must be a (row, column) pair of +1 and -1."
        )
    return int(row), int(column)


def _frame_slice(value: Any) -> slice:
    """A slice with a positive step, from a slice or from text such as "0:100" or "::2"."""
    parts: list[Any] = []
    if isinstance(value, slice):
        parts = [value.start, value.stop, value.step]
    elif isinstance(value, str):
        parts = [part.strip() or None for part in value.split(":")]
    try:
        bounds = [None if part is None else int(part) for part in parts]
        range(0)[slice(*bounds)]  # refuses a step of 0
        usable = len(bounds) in (2, 3) and (len(bounds) == 2 or (bounds[2] or 1) > 0)
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise InvalidArgument(
            f"frames is {value!r}; it must be a slice with a positive step, such as slice(0, 100) "
            'or "0:100".'
        )
    return slice(*bounds)
