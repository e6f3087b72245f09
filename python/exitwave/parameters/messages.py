"""One sentence for what is wrong with the parameters, from what pydantic found."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exitwave.parameters.base import Model
from exitwave.parameters.models import (
    ENGINES,
    REGIMES,
    EngineParameters,
    NearField,
    Parameters,
)

_UNKNOWN = ("extra_forbidden", "invalid_key")


def one_sentence(error: ValidationError, given: dict[str, Any]) -> str:
    """The first problem in a sentence, with the places of the others.

    ``given`` is what was validated: pydantic reports the item of a pair that is wrong, a message
    shows the whole pair.
    """
    problems: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        path, sentence = _describe(detail, given)
        problems.setdefault(path, sentence)
    sentence, *others = problems.values()
    if others:
        sentence += f" (and {len(others)} more: {', '.join(list(problems)[1:])})"
    return sentence if sentence.endswith("?") else f"{sentence}."


def _describe(detail: ErrorDetails, given: dict[str, Any]) -> tuple[str, str]:
    """(path, sentence) of one of pydantic's errors."""
    place, value = detail["loc"], detail["input"]
    match place:
        case ("engines", int(index)):
            return _describe_choice(f"engines[{index}]", "name", list(ENGINES), value)
        case ("engines", int(index), str(name), key, *_):
            entry = given["engines"][index]
            return _describe_key(f"engines[{index}]", ENGINES[name], key, entry, detail["type"])
        case ("propagation",):
            return _describe_choice("propagation", "regime", list(REGIMES), value)
        case ("propagation", str(regime), key, *_):
            entry = given["propagation"]
            return _describe_key("propagation", REGIMES[regime], key, entry, detail["type"])
        case ("engines",):
            return "engines", (
                f"engines is {show(value)}; it must be a list with at least one engine such as "
                '{"name": "DM", "iterations": 100}, or None for the default chain'
            )
        case (key, *_):
            return _describe_key("", Parameters, key, given, detail["type"])
    raise AssertionError(place)


def _describe_choice(path: str, tag: str, known: list[str], value: Any) -> tuple[str, str]:
    """The entry is no dict, or its name (or regime) is missing or unknown."""
    choices = " or ".join([", ".join(known[:-1]), known[-1]])
    if not isinstance(value, dict):
        return path, (
            f'{path} is {show(value)}; it must be a dict with "{tag}" ({choices}) and its keys'
        )
    if tag not in value:
        return f"{path}.{tag}", f"{path}.{tag} is missing; it must be {choices}"
    given = value[tag]
    return f"{path}.{tag}", (
        f"{path}.{tag} is {show(given)}; it must be {choices}{did_you_mean(given, known)}"
    )


def _describe_key(
    path: str, model: type[Model], key: str | int, entry: dict[str, Any], problem: str
) -> tuple[str, str]:
    """A key is unknown, missing, or its value is wrong."""
    full = f"{path}.{key}" if path else str(key)
    if problem in _UNKNOWN:
        return full, _describe_unknown(path, model, key)
    extra = model.model_fields[str(key)].json_schema_extra
    expected = extra["expected"] if isinstance(extra, dict) else ""
    if key not in entry:
        return full, f"{full} is missing; it must be {expected}"
    return full, f"{full} is {show(entry[str(key)])}; it must be {expected}"


def _describe_unknown(path: str, model: type[Model], key: Any) -> str:
    """A key that this model does not know; tells who does, or which one is nearest."""
    known = list(model.model_fields)
    if issubclass(model, EngineParameters):
        users = [name for name, engine in ENGINES.items() if key in engine.model_fields]
        owner = model.model_fields["name"].default
        if users:
            return f"{path}.{key} is not used by {owner}, only by {', '.join(users)}; leave it out"
        if key in Parameters.model_fields:
            return f"{path}.{key} is no key of an engine; move it to the top level of params"
        return f"{path}.{key} is not a key of {owner}{_nearest(key, known)}"
    if model is Parameters:
        users = [name for name, engine in ENGINES.items() if key in engine.model_fields]
        if users:
            return f"{key} is no key of params itself; move it into an entry of engines"
        if key in NearField.model_fields:
            return f"{key} is no key of params itself; move it into propagation"
        return f"{key} is not a key of params{_nearest(key, known)}"
    if key in NearField.model_fields:
        return f'{path}.{key} is not used in the far field; set regime to "near" or leave it out'
    return f"{path}.{key} is not a key of it{_nearest(key, list(NearField.model_fields))}"


def _nearest(key: Any, known: Iterable[str]) -> str:
    """How a sentence on an unknown key ends: the nearest known key, or all of them."""
    known = list(known)
    return did_you_mean(key, known) or f"; known are {', '.join(known)}"


def did_you_mean(given: Any, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known word, or nothing where none is near."""
    lower = {word.lower(): word for word in known}
    near = get_close_matches(str(given).lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""


def show(value: Any) -> str:
    """A value as a message shows it: short, and an array by its shape and type."""
    if isinstance(value, np.ndarray):
        empty = " without a True" if value.dtype == np.bool_ and not value.any() else ""
        return f"an array of shape {value.shape} and type {value.dtype}{empty}"
    if isinstance(value, dict):
        return f"a dict with {', '.join(map(str, value)) or 'no keys'}"
    return reprlib.repr(value)
