"""Validated parameters of a reconstruction, their documentation and their text forms."""

from exitwave.parameters.keys import Key, call_keys, engine_keys, propagation_keys
from exitwave.parameters.models import (
    ENGINES,
    EngineParameters,
    FarField,
    NearField,
    Parameters,
    default_chain,
)
from exitwave.parameters.table import parameter_table
from exitwave.parameters.text import Recipe, parse_engines, read_recipe
from exitwave.parameters.validate import check_engines, check_flat_regions, validate_params

__all__ = [
    "ENGINES",
    "EngineParameters",
    "FarField",
    "Key",
    "NearField",
    "Parameters",
    "Recipe",
    "call_keys",
    "check_engines",
    "check_flat_regions",
    "default_chain",
    "engine_keys",
    "parameter_table",
    "parse_engines",
    "propagation_keys",
    "read_recipe",
    "validate_params",
]
