"""What a run refined besides object, probe and positions, in a result file."""

from __future__ import annotations

import h5py
import numpy as np

from exitwave.io import hdf5
from exitwave.refined import Refined

_PARTS = ("value", "uncertainty", "history")
_UNITS = {"m": "m", "rad": "rad"}


def write_refined(entry: h5py.Group, refined: dict[str, Refined]) -> None:
    """A group for each, with its unit."""
    if not refined:
        return
    group = entry.create_group("refined_1")
    group.attrs["NX_class"] = "NXcollection"
    for name, found in refined.items():
        one = group.create_group(name)
        one.attrs["NX_class"] = "NXcollection"
        for part in _PARTS:
            one[part] = getattr(found, part)
            one[part].attrs["units"] = _UNITS.get(name.rpartition("_")[2], "")


def read_refined(entry: h5py.Group) -> dict[str, Refined]:
    """Of a result; none where it holds none."""
    group = hdf5.find_group(entry, "refined_1")
    if group is None:
        return {}
    return {name: Refined(*(one[part][()] for part in _PARTS)) for name, one in group.items()}


def refined_text(found: Refined) -> str:
    """Value and uncertainty, where it is known, for a person; the entries of a map row by row."""
    pairs = zip(found.value.ravel(), found.uncertainty.ravel(), strict=True)
    return ", ".join(
        f"{value:.6g} ± {uncertainty:.2g}" if np.isfinite(uncertainty) else f"{value:.6g}"
        for value, uncertainty in pairs
    )
