"""Options that say how a file is to be read; they are those of :func:`exitwave.load`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Numbers(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.2
    """One number, or two with a comma: ``75e-6`` or ``75e-6,55e-6``."""

    def __init__(self, kind: type[int] | type[float], metavar: str) -> None:
        self.kind = kind
        self.name = metavar

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, float]:
        try:
            numbers = [self.kind(piece) for piece in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) == 1:
            return numbers[0]
        if len(numbers) == 2:
            return numbers[0], numbers[1]
        self.fail(f"{value!r} is not a number, or two with a comma.", param, ctx)


class AutoOrPair(click.ParamType):  # type: ignore[type-arg]
    """``auto``, or two numbers with a comma."""

    name = "auto|ROW,COLUMN"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | tuple[float, float]:
        if value == "auto":
            return "auto"
        try:
            row, column = (float(piece) for piece in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is neither auto nor two numbers with a comma.", param, ctx)
        return row, column


# Destination in load(), declaration. Flags are None unless given, so that a recipe can set them.
_LOAD_OPTIONS: dict[str, dict[str, Any]] = {
    "find_bad_pixels": {
        "is_flag": True,
        "help": "Find dead, hot and unsteady pixels in the frames and mask them, or not.",
    },
    "centre": {
        "type": AutoOrPair(),
        "help": "Zero frequency: row,column in pixels of the file, or auto to find it.",
    },
    "crop": {"type": Numbers(int, "Y[,X]"), "help": "Middle so many detector pixels."},
    "pad": {"type": Numbers(int, "Y[,X]"), "help": "Invalid pixels around, up to so many."},
    "bin": {"type": int, "help": "Add up so many by so many detector pixels."},
    "frames": {"metavar": "A:B:C", "help": 'Some of the frames, such as "0:100" or "::2".'},
    "wavelength_m": {"type": float, "help": "Wavelength in metres."},
    "energy_ev": {"type": float, "help": "Energy of a photon or electron in electronvolts."},
    "radiation": {
        "type": click.Choice(["photon", "electron"]),
        "help": "What the energy belongs to; left out: what the file says, else photons.",
    },
    "distance_m": {"type": float, "help": "Sample to detector in metres."},
    "detector_pixel_m": {"type": Numbers(float, "Y[,X]"), "help": "Detector pixel in metres."},
    "pixel_size_m": {"type": Numbers(float, "Y[,X]"), "help": "Object pixel in metres."},
    "regime": {"type": click.Choice(["far", "near"]), "help": "Far or near field."},
    "focus_distance_m": {
        "type": float,
        "help": "Near field, diverging beam: focus to sample in metres.",
    },
    "positions_unit": {"metavar": "UNIT", "help": "Unit of the positions: m, um, nm, px ..."},
    "positions_sign": {
        "type": Numbers(int, "Y,X"),
        "help": "Signs of rows and columns of the positions, such as -1,1.",
    },
    "positions_swap": {"is_flag": True, "help": "Positions are (column, row), or (row, column)."},
    "positions_transpose": {
        "is_flag": True,
        "help": "Positions are stored with one row per axis, or with one row per frame.",
    },
    "mask_invert": {
        "is_flag": True,
        "help": "Valid and invalid are exchanged in the file's mask, or not.",
    },
    "format": {"metavar": "FORMAT", "help": "Layout, where it is not to be recognised."},
    "entry": {"help": "Entry of a CXI or NeXus file: number or name."},
    "data": {"metavar": "DATASET", "help": "Dataset of the counts."},
    "positions": {"metavar": "DATASET", "help": "Dataset of the positions."},
    "mask": {"metavar": "DATASET", "help": "Dataset of the mask."},
    "probe": {"metavar": "DATASET", "help": "Dataset of a start probe."},
    "object": {"metavar": "DATASET", "help": "Dataset of a start object."},
}


def load_options(function: F) -> F:
    """Add an option for each of ``load``; the command gets them as keywords ``load_...``."""
    for name, settings in reversed(_LOAD_OPTIONS.items()):
        flag = "--" + name.replace("_", "-")
        if settings.get("is_flag"):
            flag += "/--no-" + name.replace("_", "-")
        option = click.option(flag, f"load_{name}", default=None, **settings)
        function = option(function)
    return function


def given_load_options(keywords: dict[str, Any]) -> dict[str, Any]:
    """Keywords for ``load`` from those of a command: what the user gave."""
    return {
        name: keywords[f"load_{name}"]
        for name in _LOAD_OPTIONS
        if keywords[f"load_{name}"] is not None
    }


def overridden(recipe: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Options of ``load`` from a recipe, those of the command line in their place."""
    same_thing = {"energy_ev": "wavelength_m", "wavelength_m": "energy_ev"}
    replaced = {same_thing.get(name) for name in given}
    return {name: value for name, value in recipe.items() if name not in replaced} | given
