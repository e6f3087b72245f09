"""Reading of HDF5 with errors that say what to do; nothing here knows a layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers bitshuffle, LZ4, Blosc and other detector compression
import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError
from exitwave.io.arrays import start_array
from exitwave.io.units import POSITION


def open_file(path: Path) -> h5py.File:
    """Open for reading; a damaged file is refused in one sentence."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = "it is shorter than it says" if "truncated" in str(error) else "HDF5 refuses it"
        raise FileFormatError(
            f"the file is damaged or still being written ({reason}); copy or write it again."
        ) from error


def find(group: h5py.Group | None, *names: str) -> h5py.Dataset | None:
    """The first of ``names`` that is a dataset below ``group``; a broken link is an error."""
    if group is None:
        return None
    for name in names:
        found = _resolve(group, name)
        if isinstance(found, h5py.Dataset):
            refuse_missing_sources(found)
            return found
        if found is None and _is_broken_link(group, name):
            raise FileFormatError(
                f"{_join(group, name)} is a link to something that is not there; "
                "put the file that it points to in place or name another dataset."
            )
    return None


def named(group: h5py.Group, option: str, name: str) -> h5py.Dataset:
    """The dataset that the user named in ``option``."""
    found = find(group, name)
    if found is None:
        raise FileFormatError(
            f"there is no dataset {name!r}, which option {option} names; {listing(group)}"
        )
    return found


def choose(group: h5py.Group, option: str, name: str | None, *names: str) -> h5py.Dataset | None:
    """The dataset that the user named in ``option``, else the first of ``names``."""
    return find(group, *names) if name is None else named(group.file, option, name)


def find_group(group: h5py.Group | None, *names: str) -> h5py.Group | None:
    """The first of ``names`` that is a group below ``group``."""
    for name in names if group is not None else ():
        found = _resolve(group, name)
        if isinstance(found, h5py.Group):
            return found
    return None


def _resolve(group: h5py.Group, name: str) -> h5py.Dataset | h5py.Group | None:
    """What stands under a path; None where nothing does or a link leads nowhere."""
    try:
        return group[name]
    except (KeyError, OSError):
        return None


def listing(group: h5py.Group, most: int = 12) -> str:
    """What a message says is there: the datasets of at least one dimension."""
    names: list[str] = []

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> bool | None:
        if isinstance(item, h5py.Dataset) and item.ndim > 0:
            names.append("/" + name)
        return True if len(names) > most else None

    group.file.visititems(collect)
    if not names:
        return "the file has no datasets."
    return f"the file has {', '.join(names[:most])}{' and more' if len(names) > most else ''}."


def read_array(dataset: h5py.Dataset, *, complex_values: bool = False) -> npt.NDArray[Any]:
    """A whole (small) dataset of numbers, with units left alone."""
    try:
        values = np.asarray(dataset[()])
    except (OSError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{dataset.name} cannot be read; the file is damaged, copy or write it again."
        ) from error
    if values.dtype.names is not None and complex_values:
        values = _complex_from_compound(values, dataset.name)
    if values.dtype.kind not in ("biufc" if complex_values else "biuf"):
        raise FileFormatError(
            f"{dataset.name} has type {values.dtype}, but must hold "
            f"{'complex or real' if complex_values else 'real'} numbers; name another dataset."
        )
    return values


def named_start(file: h5py.File, option: str, name: str | None) -> npt.NDArray[np.complex64] | None:
    """Start probe or object where the user named one; the layouts of data have no place for it."""
    found = choose(file, option, name)
    if found is None:
        return None
    return start_array(read_array(found, complex_values=True), found.name)


def read_quantity(
    dataset: h5py.Dataset | None, scales: Mapping[str, float], notes: list[str]
) -> npt.NDArray[np.float64] | None:
    """Numbers in SI units, flattened: an attribute ``units`` is honoured, else SI is taken."""
    if dataset is None or dataset.shape is None:
        return None
    values = read_array(dataset).astype(np.float64).reshape(-1) * unit(dataset, scales, notes)
    if values.size == 0 or not np.isfinite(values).all():
        raise FileFormatError(
            f"{dataset.name} is empty or not finite; repair it or give the value as an option."
        )
    return np.asarray(values)


def unit(dataset: h5py.Dataset, scales: Mapping[str, float], notes: list[str]) -> float:
    """Factor to SI units of the attribute ``units``; 1, with a note, where it is unknown."""
    stated = text(dataset.attrs.get("units", dataset.attrs.get("unit", "")))
    if not stated:
        return 1.0
    if stated.lower() not in scales:
        notes.append(f"{dataset.name} has the unknown unit {stated!r}; SI units were assumed.")
        return 1.0
    return scales[stated.lower()]


def position_unit(dataset: h5py.Dataset, notes: list[str]) -> str:
    """Unit of positions that an attribute states; metres, with a note, where it is unknown."""
    stated = text(dataset.attrs.get("units", "")).lower()
    if stated and stated not in POSITION:
        notes.append(f"{dataset.name} has the unknown unit {stated!r}; metres were assumed.")
    return stated if stated in POSITION else "m"


def text(value: Any) -> str:
    """A string from what HDF5 and NumPy store strings as; "" for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.strip() if isinstance(value, str) else ""


def refuse_missing_sources(dataset: h5py.Dataset) -> None:
    """HDF5 reads a virtual dataset's missing or damaged sources as zeros: counts of 0."""
    if not dataset.is_virtual:
        return
    folder = Path(dataset.file.filename).parent
    for name in sorted({source.file_name for source in dataset.virtual_sources()}):
        # HDF5 expands %b to a running number itself, so there is no single name to look for.
        if name == "." or "%b" in name:
            continue
        if not (folder / name).exists():
            raise FileFormatError(
                f"{dataset.name} takes frames from {name}, which is missing; put it beside this "
                "file."
            )
        if not _opens(folder / name):
            raise FileFormatError(
                f"{dataset.name} takes frames from {name}, which is damaged; copy or write it "
                "again."
            )


def _opens(path: Path) -> bool:
    try:
        with h5py.File(path, "r"):
            return True
    except OSError:
        return False


def _is_broken_link(group: h5py.Group, name: str) -> bool:
    """Whether ``name`` or a group on its way is a link whose target is missing."""
    here = group.file if name.startswith("/") else group
    for part in name.strip("/").split("/"):
        if not isinstance(here, h5py.Group) or not here.id.links.exists(part.encode()):
            return False
        here = _resolve(here, part)
    return here is None


def _join(group: h5py.Group, name: str) -> str:
    return name if name.startswith("/") else f"{group.name.rstrip('/')}/{name}"


def _complex_from_compound(values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    pairs = {("r", "i"), ("real", "imag"), ("re", "im")}
    if values.dtype.names not in pairs:
        raise FileFormatError(
            f"{name} has fields {values.dtype.names}, but complex numbers have r and i; "
            "name another dataset."
        )
    real, imaginary = values.dtype.names
    return np.asarray(values[real] + 1j * values[imaginary])
