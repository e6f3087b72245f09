"""Arrays by name: the "exitwave" layout, npz archives, and any HDF5 whose datasets are named.

The layout: ``data`` (N, Y, X), ``positions`` (N, 2) as (row, column) in metres, or in pixels with
the attribute ``units`` = "px"; optional ``mask`` (Y, X) with True = valid, ``probe``, ``object``;
attributes of the root with the names of :class:`exitwave.Geometry`. An npz archive has the same
names for arrays and numbers, and ``positions_unit``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError
from exitwave.geometry import Geometry, Pair, wavelength_from_energy
from exitwave.io import hdf5
from exitwave.io.arrays import common_mask, frame_count, nonzero, row_column, start_array
from exitwave.io.dataset import Contents, Float64
from exitwave.io.layout import Layout
from exitwave.io.options import Options
from exitwave.io.units import POSITION

Arrays = Mapping[str, Any]
NPZ_POSITIONS = {"positions": None, "positions_px": "px", "positions_m": "m"}


def recognises(file: h5py.File) -> bool:
    """By datasets ``data`` and ``positions`` in the root."""
    return all(isinstance(file.get(name), h5py.Dataset) for name in ("data", "positions"))


def read(file: h5py.File, options: Options) -> Contents:
    """The layout, with any name replaced by that of an option."""
    notes: list[str] = []
    names = {name: getattr(options, name) or name for name in ("data", "positions", *_OPTIONAL)}
    found = {
        name: hdf5.named(file, name, place)
        for name, place in names.items()
        if getattr(options, name) is not None or hdf5.find(file, place) is not None
    }
    missing = [name for name in ("data", "positions") if name not in found]
    if missing:
        raise FileFormatError(
            f"there is no dataset /{missing[0]}; {hdf5.listing(file)[:-1]}, so name the one to use "
            f"with the option {missing[0]}."
        )
    arrays = {
        name: hdf5.read_array(dataset, complex_values=name in _START)
        for name, dataset in found.items()
        if name not in ("data", "mask")
    }
    stated = hdf5.text(found["positions"].attrs.get("units", ""))
    if not stated and recognises(file) and options.positions is None:
        stated = _UNSTATED
    return _contents(found, arrays, stated, file.attrs, options, notes)


def read_npz(archive: Arrays, options: Options) -> Contents:
    """An npz archive with the names of the layout, or with names from options."""
    notes: list[str] = []
    names = {name: getattr(options, name) or name for name in ("data", *_OPTIONAL)}
    places = [name for name in NPZ_POSITIONS if name in archive]
    names["positions"] = options.positions or (places[0] if places else "positions")
    arrays = {}
    for name, place in names.items():
        if place in archive:
            arrays[name] = _member(archive, place)
        elif name not in _OPTIONAL or getattr(options, name) is not None:
            raise FileFormatError(
                f"there is no array {place!r}; the archive has {', '.join(archive)}, so name the "
                f"one to use with the option {name}."
            )
    stated = NPZ_POSITIONS.get(names["positions"]) or _word(archive, "positions_unit") or ""
    return _contents(arrays, arrays, stated, archive, options, notes)


def geometry_attributes(geometry: Geometry) -> dict[str, Any]:
    """What is known of a geometry, by name: what :func:`geometry_entries` reads."""
    known = {field.name: getattr(geometry, field.name) for field in fields(geometry)}
    return {name: value for name, value in known.items() if value is not None}


def geometry_entries(
    numbers: Arrays, skip: Collection[str] = (), radiation: str | None = None
) -> dict[str, Any]:
    """Lengths and regime from attributes or entries named as the fields of ``Geometry``.

    Names in ``skip`` are left None, however wrong they are in the file. ``radiation`` is what an
    energy belongs to, in place of the file's.

    Raises
    ------
    FileFormatError
        A value is no number.
    """
    names = ("energy_ev", *(field.name for field in fields(Geometry)))
    known = {name: numbers[name] for name in names if name in numbers and name not in skip}
    found: dict[str, Any] = {
        name: _number(known, name) for name in ("wavelength_m", "distance_m", "focus_distance_m")
    }
    found["radiation"] = _word(known, "radiation")
    if found["radiation"] not in (None, "photon", "electron"):
        raise FileFormatError(
            f'radiation is {found["radiation"]!r} in the file, but must be "photon" or "electron"; '
            "give the option radiation."
        )
    energy = _number(known, "energy_ev")
    if found["wavelength_m"] is None and energy is not None and "wavelength_m" not in skip:
        radiation = radiation or found["radiation"] or "photon"
        found["wavelength_m"] = wavelength_from_energy(energy, radiation)
    for name in ("detector_pixel_m", "pixel_size_m"):
        found[name] = _pair(known, name)
    found["regime"] = _word(known, "regime")
    if found["regime"] not in (None, "far", "near"):
        raise FileFormatError(
            f'regime is {found["regime"]!r} in the file, but must be "far" or "near"; give the '
            "option regime."
        )
    return found


_UNSTATED = "metres, as the layout says"
_START = ("probe", "object")
_OPTIONAL = ("mask", *_START)


def _contents(
    found: Arrays,
    arrays: dict[str, npt.NDArray[Any]],
    positions_unit: str,
    numbers: Arrays,
    options: Options,
    notes: list[str],
) -> Contents:
    transpose = options.positions_transpose
    if transpose is None and options.positions is None and arrays["positions"].shape == (2, 2):
        transpose = False  # the layout has one frame per row
    frames = frame_count(found["data"])
    positions = row_column(arrays["positions"], frames, transpose, "positions")
    if positions_unit.lower() not in POSITION:
        positions_unit = _guessed_unit(positions, positions_unit, options, notes)
    mask = found.get("mask")
    return Contents(
        data=found["data"],
        positions=positions,
        positions_unit=positions_unit.lower(),
        mask=None if mask is None else common_mask([mask], nonzero, options, notes),
        probe=start_array(arrays["probe"], "probe") if "probe" in arrays else None,
        object=start_array(arrays["object"], "object") if "object" in arrays else None,
        **geometry_entries(numbers, options.given(), options.radiation),
        notes=notes,
    )


def _guessed_unit(positions: Float64, stated: str, options: Options, notes: list[str]) -> str:
    """Metres unless the scan spans a pixel or more: no scan is a metre wide or below a pixel."""
    span = float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0
    guess = "px" if span >= 1 else "m"
    if options.positions_unit is None and (stated, guess) != (_UNSTATED, "m"):
        what = f"have the unknown unit {stated!r}" if stated else "have no unit"
        notes.append(
            f"the positions {what} and span {span:.3g}; {guess} was assumed (option "
            "positions_unit)."
        )
    return guess


def _member(archive: Arrays, name: str) -> npt.NDArray[Any]:
    try:
        values = np.asarray(archive[name])
    except Exception as error:  # zipfile, zlib and NumPy each raise their own for damage
        raise FileFormatError(
            f"{name!r} cannot be read from the archive ({error}); write it again as plain numbers."
        ) from error
    if values.dtype.kind not in "biufc":
        raise FileFormatError(
            f"{name!r} has type {values.dtype}, but must hold numbers; name another array."
        )
    return values


def _entry(numbers: Arrays, name: str) -> Any:
    if name not in numbers:
        return None
    value = np.asarray(numbers[name])
    return None if value.size == 0 or value.dtype == object else value


def _word(numbers: Arrays, name: str) -> str | None:
    value = _entry(numbers, name)
    if value is None:
        return None
    return hdf5.text(value.astype(str) if value.dtype.kind in "SU" else value) or None


def _pair(numbers: Arrays, name: str) -> Pair | None:
    value = _entry(numbers, name)
    if value is None:
        return None
    if value.dtype.kind not in "iuf" or value.size > 2:
        raise FileFormatError(
            f"{name} is {value} in the file, but must be one number or two; give the option {name}."
        )
    flat = value.reshape(-1)
    return float(flat[0]), float(flat[-1])


def _number(numbers: Arrays, name: str) -> float | None:
    pair = _pair(numbers, name)
    return None if pair is None else pair[0]


LAYOUT = Layout("exitwave", recognises, read)
NAMED = Layout("hdf5", lambda file: False, read)
