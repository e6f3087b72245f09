"""Parameters written as text: ``"DM:200 ML:100,noise=poisson"`` and recipe files in TOML."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.parameters.models import ENGINES
from exitwave.parameters.validate import check_engines

_REPEATED = re.compile(r"(?<!\d)(\d{1,4})\*\(([^()]*)\)")
_ENGINE = re.compile(r"(?P<name>[A-Za-z]+)(:(?P<iterations>[^,]*))?(,(?P<keys>.*))?")
_MAXIMUM_ENGINES = 1000


def parse_engines(text: str) -> list[dict[str, Any]]:
    """Engines from text: ``NAME:ITERATIONS,key=value,...`` separated by spaces.

    ``3*(DM:20 ML:5)`` repeats a group. Values are numbers, words, ``none``, or several numbers
    with commas (``object_clip=0,1.2``). Names of engines may be in upper or lower case.

    Returns
    -------
    list of dict
        Entries for ``params["engines"]`` with the keys that were given.

    Raises
    ------
    InvalidArgument
        The text cannot be read, or has an engine, key or value that is refused.
    """
    engines = [_parse_engine(word) for word in _repeat(text).split()]
    if not engines:
        raise InvalidArgument(
            f'engines is {text!r}; it must name at least one engine, such as "DM:200 ML:100".'
        )
    check_engines(engines)
    return engines


def _repeat(text: str) -> str:
    """Write out ``3*(...)``, inner groups first."""
    while match := _REPEATED.search(text):
        count, group = int(match[1]), match[2]
        if not 1 <= count * max(1, len(group.split())) <= _MAXIMUM_ENGINES:
            raise InvalidArgument(
                f"engines has {match[1]}*(...); a group must be repeated at least once and give "
                f"at most {_MAXIMUM_ENGINES} engines."
            )
        text = f"{text[: match.start()]} {' '.join([group] * count)} {text[match.end() :]}"
    return text


def _parse_engine(word: str) -> dict[str, Any]:
    match = _ENGINE.fullmatch(word)
    if match is None:
        raise InvalidArgument(
            f"engines has {word!r}; an engine must be written as NAME:ITERATIONS,key=value, such "
            'as "ML:100,noise=poisson".'
        )
    by_lower = {name.lower(): name for name in ENGINES}
    entry: dict[str, Any] = {"name": by_lower.get(match["name"].lower(), match["name"])}
    if match["iterations"] is not None:
        entry["iterations"] = plain_value(match["iterations"])
    for key, value in assignments("engines", match["keys"] or "", word):
        if key in entry:
            raise InvalidArgument(f"engines has {key} twice in {word!r}; leave one of them out.")
        entry[key] = plain_value(value)
    return entry


def assignments(argument: str, keys: str, word: str) -> list[tuple[str, str]]:
    """``"a=1,b=2,3"`` of ``word`` as [("a", "1"), ("b", "2,3")].

    A piece without "=" goes on with the value before it.
    """
    pairs: list[tuple[str, str]] = []
    for piece in keys.split(",") if keys else []:
        key, equals, value = piece.partition("=")
        if equals:
            pairs.append((key, value))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{piece}")
        else:
            raise InvalidArgument(
                f"{argument} has {piece!r} in {word!r}, where key=value must stand."
            )
    return pairs


def plain_value(text: str) -> Any:
    """A number, a bool, None, a tuple of these (commas), or the word itself."""
    if "," in text:
        return tuple(plain_value(piece) for piece in text.split(","))
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


@dataclass
class Recipe:
    """A recipe file: parameters of the run, options of :func:`exitwave.load`, start probe."""

    params: dict[str, Any] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] | None = None


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe: the keys of ``params`` as TOML, and the tables ``[load]`` and ``[probe]``.

    TOML has no None; the word "none" stands for it. The parameters are checked where they are
    used, because options of the command line and the data's file complete them.

    Raises
    ------
    FileFormatError
        The file is missing, is not TOML, or its ``load`` or ``probe`` is no table.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FileFormatError(f"recipe {path} cannot be read: {reason}.") from None
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(f"recipe {path} is not valid TOML: {error}.") from None
    params = _with_none(content)
    tables = {name: params.pop(name, None) for name in ("load", "probe")}
    for name, table in tables.items():
        if not isinstance(table, dict | None):
            raise FileFormatError(
                f"recipe {path} has {name} = {table!r}; it must be a table [{name}]."
            )
    return Recipe(params, tables["load"] or {}, tables["probe"])


def _with_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_none(item) for item in value]
    return None if isinstance(value, str) and value.lower() == "none" else value
