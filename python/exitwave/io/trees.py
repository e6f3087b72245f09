"""Nested parameters in HDF5: JSON with arrays as datasets beside it, and a copy for reading.

Tuples, numbers that are not finite and arrays survive a round trip: what JSON does not know is
written as an object with one key that begins with ``$``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.io import hdf5

_ARRAY, _TUPLE = "$array", "$tuple"


def write_tree(group: h5py.Group, tree: Mapping[str, Any]) -> None:
    """Write ``parameters`` (JSON), ``arrays`` and, for the eye, ``configuration`` into a group.

    Raises
    ------
    InvalidArgument
        A value has a type that cannot be written; its place is named.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    plain = _plain(tree, "params", arrays)
    group["parameters"] = json.dumps(plain, indent=1)
    for number, array in enumerate(arrays):
        group[f"arrays/{number}"] = array
    configuration = group.create_group("configuration")
    configuration.attrs["NX_class"] = "NXcollection"
    for name, value in _leaves(plain, ""):
        configuration[name] = value


def read_tree(group: h5py.Group) -> dict[str, Any]:
    """The tree that :func:`write_tree` wrote."""
    dataset = hdf5.find(group, "parameters")
    try:
        stored = json.loads("null" if dataset is None else hdf5.text(dataset[()]))
    except json.JSONDecodeError:
        stored = None
    if not isinstance(stored, dict):
        raise FileFormatError(
            f"{group.name}/parameters is missing or no JSON; the file is damaged, write it again."
        )
    tree: dict[str, Any] = _restored(stored, group)
    return tree


def _plain(value: Any, place: str, arrays: list[np.ndarray[Any, Any]]) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return _plain(value.item(), place, arrays)
        case np.ndarray() if value.dtype.kind in "biufc":
            arrays.append(value)
            return {_ARRAY: len(arrays) - 1}
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: _plain(entry, f"{place}.{key}", arrays) for key, entry in value.items()}
        case tuple():
            return {_TUPLE: [_plain(v, f"{place}[{i}]", arrays) for i, v in enumerate(value)]}
        case list():
            return [_plain(v, f"{place}[{i}]", arrays) for i, v in enumerate(value)]
    raise InvalidArgument(
        f"{place} is of type {type(value).__name__}, which cannot be written to a file; use "
        "numbers, text, lists, dictionaries or arrays of numbers."
    )


def _restored(value: Any, group: h5py.Group) -> Any:
    match value:
        case {"$array": int(number)} if len(value) == 1:
            dataset = hdf5.find(group, f"arrays/{number}")
            if dataset is None:
                raise FileFormatError(
                    f"{group.name}/arrays/{number} is missing; the file is damaged, write it again."
                )
            return hdf5.read_array(dataset, complex_values=True)
        case {"$tuple": list(entries)} if len(value) == 1:
            return tuple(_restored(entry, group) for entry in entries)
        case dict():
            return {key: _restored(entry, group) for key, entry in value.items()}
        case list():
            return [_restored(entry, group) for entry in value]
    return value


def _leaves(value: Any, name: str) -> list[tuple[str, str]]:
    """("engines/1/beta", "0.75"): one line per parameter."""
    match value:
        case {"$array": number} if len(value) == 1:
            return [(name, f"array in ../arrays/{number}")]
        case {"$tuple": entries} if len(value) == 1:
            return [(name, json.dumps(entries))]
        case dict():
            nested = [(str(key).replace("/", "_"), entry) for key, entry in value.items()]
        case list() if any(isinstance(entry, dict | list) for entry in value):
            nested = [(str(number), entry) for number, entry in enumerate(value, 1)]
        case _:
            return [(name, value if isinstance(value, str) else json.dumps(value))]
    return [leaf for key, entry in nested for leaf in _leaves(entry, f"{name}/{key}".strip("/"))]
