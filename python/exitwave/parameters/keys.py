"""Every parameter with default, allowed values and meaning: for documentation and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from exitwave.parameters.base import Model
from exitwave.parameters.models import ENGINES, NearField, Parameters


@dataclass(frozen=True)
class Key:
    """One parameter of one engine, of the propagation, or of the call.

    Attributes
    ----------
    owner : str
        Name of the engine, "propagation" or "params".
    default : object
        ``...`` where there is none and a value must be given.
    expected : str
        Allowed values in words.
    alternative : object
        A valid value that is not the default.
    changes_result : bool
        False for what only changes where, how fast or how visibly the same result is computed.
    slight : bool
        True for what changes the last digits only.
    """

    owner: str
    name: str
    default: Any
    expected: str
    meaning: str
    alternative: Any
    changes_result: bool
    slight: bool


def engine_keys() -> list[Key]:
    """All keys of all engines, engine by engine, without ``name``."""
    return [key for name, engine in ENGINES.items() for key in _keys(name, engine)]


def propagation_keys() -> list[Key]:
    """Keys of ``propagation`` in the near field, without ``regime``."""
    return _keys("propagation", NearField)


def call_keys() -> list[Key]:
    """Keys of the top level, without ``engines`` and ``propagation``."""
    return _keys("params", Parameters)


def _keys(owner: str, model: type[Model]) -> list[Key]:
    return [
        _key(owner, name, field)
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
    ]


def _key(owner: str, name: str, field: FieldInfo) -> Key:
    extra: Any = field.json_schema_extra
    default = ... if field.default is PydanticUndefined else field.default
    return Key(owner, name, default, meaning=field.description or "", **extra)
