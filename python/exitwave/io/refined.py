"""What a run refined besides object, probe and positions, in a result file."""

from __future__ import annotations

import h5py
import numpy as np

from exitwave.io import hdf5
from exitwave.probe_relaxation import RelaxedProbe
from exitwave.refined import Refined
from exitwave.result import Result

_PARTS = ("value", "uncertainty", "history")
_UNITS = {"m": "m", "rad": "rad"}


def write_refined(entry: h5py.Group, result: Result) -> None:
    """A group for each, with its unit; and for the eigen-probes (K, M, Y, X) and weights (N, K)."""
    if result.relaxed_probe is not None:
        group = entry.create_group("relaxed_probe")
        group.attrs["NX_class"] = "NXcollection"
        group["eigen_probes"] = result.relaxed_probe.eigen_probes
        group["weights"] = result.relaxed_probe.weights
    if not result.refined:
        return
    group = entry.create_group("refined_1")
    group.attrs["NX_class"] = "NXcollection"
    for name, found in result.refined.items():
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


def read_relaxed_probe(entry: h5py.Group) -> RelaxedProbe | None:
    """Of a result; None where it holds none."""
    group = hdf5.find_group(entry, "relaxed_probe")
    if group is None:
        return None
    return RelaxedProbe(group["eigen_probes"][()], group["weights"][()])


def refined_text(found: Refined) -> str:
    """Value and uncertainty, where it is known, for a person; the entries of a map row by row."""
    pairs = zip(found.value.ravel(), found.uncertainty.ravel(), strict=True)
    return ", ".join(
        f"{value:.6g} ± {uncertainty:.2g}" if np.isfinite(uncertainty) else f"{value:.6g}"
        for value, uncertainty in pairs
    )
