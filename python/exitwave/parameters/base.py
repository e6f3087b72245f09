"""What all parameter models and their fields are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator


def parameter(
    expected: str,
    meaning: str,
    alternative: Any,
    *,
    changes_result: bool = True,
    slight: bool = False,
    **constraints: Any,
) -> Any:
    """Metadata of a field.

    ``expected`` says in words which values are allowed (messages and documentation use it) and
    ``constraints`` are pydantic's for the same. ``alternative`` is a valid value that differs from
    every default: a run with it must come out different where ``changes_result`` is true, if only
    in the last digits where it is ``slight``.
    """
    extra = {
        "expected": expected,
        "alternative": alternative,
        "changes_result": changes_result,
        "slight": slight,
    }
    return Field(description=meaning, json_schema_extra=extra, **constraints)


def plain(value: Any) -> Any:
    """NumPy scalars and 0-d arrays as Python numbers; everything else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def pair(value: Any) -> Any:
    """A list or short array of numbers as a tuple of Python numbers."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(plain(item) for item in value) if isinstance(value, list | tuple) else value


class Model(BaseModel):
    """Base of all parameter models: frozen, unknown keys refused, NumPy scalars accepted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: plain(value) for key, value in values.items()}
