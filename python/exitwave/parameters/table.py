"""docs/parameters.md, generated from the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exitwave.parameters.keys import Key, call_keys, engine_keys, propagation_keys
from exitwave.parameters.models import ENGINES, default_chain

_INTRODUCTION = """\
# Parameters

Generated from the code by `python -m exitwave.parameters docs/parameters.md`; do not edit.

The last argument of `exitwave.ptychography(data, obj, probe, pos, mask, params)` is a dict.
A recipe file (`exitwave run FILE --recipe recipe.toml`) has the same keys as TOML tables, with
`"none"` for None, and a table `[load]` for the options of `exitwave.load`.
Unknown keys, and keys that an engine does not use, are refused.
All values of a run, defaults included, are in `result.params` and in the result file.
"""


def parameter_table() -> str:
    """The documentation of all parameters as Markdown text."""
    sections = [
        _INTRODUCTION,
        "## The call\n",
        "`engines` is a list of dicts, run in order; None or left out, it is\n"
        f"`{_chain_text()}`. `propagation` is a dict, see below.\n",
        _table(call_keys()),
        "## Propagation\n",
        '`regime` is `"far"` (default, one Fourier transform) or `"near"` with the keys below.\n'
        "A far field knows `slice_distances_m` and `beam_tilt_rad` only, and with these, or where\n"
        "a defocus is refined, `wavelength_m` and `pixel_size_m`, which must be given then.\n",
        _table(propagation_keys()),
        "Data from a file that knows its geometry need no `propagation`, or only what is no\n"
        "length of it: `method`, `slice_distances_m`, `beam_tilt_rad`.\n",
        "## Engines\n",
        "Each entry of `engines` has a `name`:\n",
        "\n".join(f"- `{name}`: {_first_line(engine)}" for name, engine in ENGINES.items()) + "\n",
        "Default of each key by engine; – where the engine does not use the key.\n",
        _defaults_table(),
        "What the keys mean:\n",
        _meaning_table(),
    ]
    return "\n".join(sections)


def _chain_text() -> str:
    return " ".join(f"{entry['name']}:{entry['iterations']}" for entry in default_chain())


def _first_line(model: type) -> str:
    return (model.__doc__ or "").strip().splitlines()[0].rstrip(".").lower()


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _table(keys: list[Key]) -> str:
    rows = [[f"`{key.name}`", _value(key.default), key.expected, key.meaning] for key in keys]
    return _rows(["key", "default", "values", "meaning"], rows)


def _defaults_table() -> str:
    keys = engine_keys()
    rows = []
    for name in dict.fromkeys(key.name for key in keys):
        defaults = {key.owner: _value(key.default) for key in keys if key.name == name}
        rows.append([f"`{name}`", *(defaults.get(engine, "–") for engine in ENGINES)])
    return _rows(["key", *ENGINES], rows)


def _meaning_table() -> str:
    once = {key.name: key for key in engine_keys()}
    rows = [[f"`{key.name}`", key.expected, key.meaning] for key in once.values()]
    return _rows(["key", "values", "meaning"], rows)


def _value(default: Any) -> str:
    if default is ...:
        return "must be given"
    return f'"{default}"' if isinstance(default, str) else str(default)
