"""Options that say how a scan is to be reconstructed, for ``run`` and ``plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from exitwave.cli.options import F, given_load_options, overridden

_OPTIONS = [
    click.option(
        "--engines",
        metavar="TEXT",
        help='Engines in order, as NAME:ITERATIONS,key=value; "3*(DM:20 ML:5)" repeats. '
        "Left out: a default chain.",
    ),
    click.option(
        "--recipe",
        type=click.Path(path_type=Path),
        help="TOML file with parameters and tables [load] and [probe]; options given here win.",
    ),
    click.option(
        "--probe-modes", type=int, help="Incoherent probe modes from the first engine on."
    ),
    click.option(
        "--object-modes", type=int, help="Incoherent object modes from the first engine on."
    ),
    click.option(
        "--device",
        help='"cpu", "cpu:4" (threads), "cuda:0,1" (GPUs), "emulated"; left out: a GPU, else the '
        "CPU.",
    ),
    click.option("--parts", type=int, help="Parts that the scan is cut into."),
    click.option("--batch", type=int, help="Frames per step of a thread or stream."),
    click.option(
        "--memory-limit",
        metavar="SIZE",
        help='What a device may hold, such as "8 GB" or 0.5 of what is free.',
    ),
    click.option(
        "--start-probe",
        metavar="KIND:KEY=VALUE,...",
        help="Start probe: lens, zone_plate, kb, electron, aperture, gaussian or data with its "
        "settings, or a file (PATH or PATH::DATASET).",
    ),
    click.option("--seed", type=int, help="Seed of the order of the groups."),
]


def run_options(function: F) -> F:
    """Add them all; :func:`given_parameters` takes their values."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def given_parameters(
    recipe: Path | None, keywords: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]:
    """Parameters of the run, options of ``load``, start probe: the recipe's, or those given."""
    from exitwave.parameters import (
        Recipe,
        check_engines,
        default_chain,
        parse_engines,
        read_recipe,
    )

    read = Recipe() if recipe is None else read_recipe(recipe)
    params, options = dict(read.params), overridden(read.load, given_load_options(keywords))
    for name in ("device", "parts", "batch", "seed"):
        if keywords[name] is not None:
            params[name] = keywords[name]
    if keywords["memory_limit"] is not None:
        params["memory_limit"] = number_or_text(keywords["memory_limit"])
    if keywords["engines"] is not None:
        params["engines"] = parse_engines(keywords["engines"])
    modes = {
        name: keywords[name]
        for name in ("probe_modes", "object_modes")
        if keywords[name] is not None
    }
    if modes:
        engines = params.get("engines") or default_chain()
        check_engines(engines)
        params["engines"] = [engines[0] | modes, *engines[1:]]
    probe = read.probe
    if keywords["start_probe"] is not None:
        from exitwave.start_probe import parse_probe

        probe = parse_probe(keywords["start_probe"])
    return params, options, probe


def number_or_text(text: str) -> str | float:
    """A share of what is free, else a size."""
    try:
        return float(text) if float(text) <= 1 else text
    except ValueError:
        return text
