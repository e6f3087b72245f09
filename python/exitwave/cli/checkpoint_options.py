"""Options on checkpoints and time limits, and what commands say of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitwave.cli.options import F
from exitwave.errors import DivergenceError, InvalidArgument

if TYPE_CHECKING:
    from exitwave.parameters import Parameters

# Those that are parameters of a run under the same name.
TIMES = ("checkpoint_every", "checkpoint_minutes", "time_limit")

_OPTIONS = [
    click.option(
        "--resume",
        metavar="RESULT",
        type=click.Path(path_type=Path),
        help="Go on with the run that was to write this result, from the checkpoint beside it.",
    ),
    click.option(
        "--checkpoint/--no-checkpoint",
        "checkpoint",
        default=True,
        help="Keep <output>.checkpoint, from which --resume goes on.  [default: yes]",
    ),
    click.option(
        "--checkpoint-every", type=int, help="Iterations from one checkpoint to the next."
    ),
    click.option("--checkpoint-minutes", type=float, help="Minutes between them; left out: 15."),
    click.option(
        "--time-limit", metavar="TIME", help='Stop by itself before: "90s", "1h30m", "01:30:00".'
    ),
]


def checkpoint_options(function: F) -> F:
    """Add them all."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def given_times(keywords: dict[str, Any]) -> dict[str, Any]:
    """Parameters that the user gave."""
    return {name: keywords[name] for name in TIMES if keywords[name] is not None}


def checkpoint_of(output: Path, overwrite: bool) -> Path:
    """Where the checkpoint goes; one that nobody has gone on with is refused."""
    from exitwave.checkpoint import SUFFIX

    place = output.parent / (output.name + SUFFIX)
    if place.exists() and not overwrite:
        raise InvalidArgument(
            f"{place} holds a run that was stopped; go on with it by exitwave run --resume "
            f"{output}, or add --overwrite."
        )
    return place


@contextmanager
def naming_checkpoint(params: Parameters) -> Iterator[None]:
    """Where the work fails, say that there is a checkpoint."""
    try:
        yield
    except DivergenceError:  # which would come again
        raise
    except Exception as error:
        reported = getattr(error, "reported_elsewhere", False)
        if not reported and params.checkpoint is not None and Path(params.checkpoint).exists():
            click.echo(
                "exitwave: the last checkpoint is kept; go on with exitwave run --resume "
                f"{params.checkpoint}",
                err=True,
            )
        raise
