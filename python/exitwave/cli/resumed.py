"""``exitwave run --resume``: go on with a run from its checkpoint."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from exitwave.cli.checkpoint_options import TIMES, naming_checkpoint
from exitwave.cli.command import check_output, check_picture
from exitwave.cli.run_options import number_or_text
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.ranks import Ranks
    from exitwave.result import Result

# Options that can be given anew; the others are those of the run.
_PARAMETERS = ("device", "batch", "memory_limit", *TIMES)
_OTHERS = ("file", "output", "plot", "overwrite", "quiet", "resume")


def go_on(
    ranks: Ranks,
    resume: Path,
    file: Path | None,
    output: Path | None,
    plot: Path | None,
    overwrite: bool,
    quiet: bool,
) -> tuple[Path, Result]:
    """Run what is left and save the result, by default where the run was to save it."""
    from exitwave.checkpoint import find_checkpoint, remove_checkpoint
    from exitwave.cli.run import save
    from exitwave.restart import continue_run, opened_data, read_run

    params = _given(click.get_current_context())
    if quiet:
        params["progress"] = False
    if ranks.size > 1:
        # Without a picture the file is written part by part.
        params["gather"] = plot is not None
    place = ranks.by_first(lambda: find_checkpoint(resume))
    checkpoint, checked = read_run(place, params, ranks)
    output = ranks.by_first(lambda: _checked_output(place, file, output, plot, overwrite))
    if not quiet and ranks.first:
        done = sum(map(len, checkpoint.errors)) + len(checkpoint.engine.errors)
        click.echo(f"{place}: going on after {done} iterations")
    with ExitStack() as stack:
        counts, dataset = ranks.agree(
            lambda: stack.enter_context(opened_data(checkpoint.source, file))
        )
        stack.enter_context(naming_checkpoint(checked))
        result = continue_run(place, checkpoint, checked, counts, ranks)
        save(ranks, output, result, dataset, overwrite=True)
    remove_checkpoint(checked, result.stopped, ranks)
    return output, result


def _checked_output(
    place: Path, file: Path | None, output: Path | None, plot: Path | None, overwrite: bool
) -> Path:
    """Where the result goes: as given, or where the run was to save it."""
    from exitwave.checkpoint import SUFFIX

    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[file, place])
    elif place.name.removesuffix(SUFFIX) not in ("", place.name):
        # What is there is the state at which the run was stopped.
        output = place.with_name(place.name.removesuffix(SUFFIX))
    else:
        raise InvalidArgument(f"{place} does not tell the result's name; give it by --output.")
    if plot is not None:
        check_picture(plot, overwrite=overwrite, inputs=[file, place, output])
    return output


def _given(context: click.Context) -> dict[str, Any]:
    """Parameters that the user gave; others than a resumed run can take are refused."""
    given = [
        parameter
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        and parameter.expose_value
    ]
    for parameter in given:
        if parameter.name not in (*_PARAMETERS, *_OTHERS):
            raise click.UsageError(
                f"{parameter.opts[0]} cannot be given with --resume, which keeps what the run "
                "began with",
                context,
            )
    params = {
        str(parameter.name): context.params[str(parameter.name)]
        for parameter in given
        if parameter.name in _PARAMETERS
    }
    if "memory_limit" in params:
        params["memory_limit"] = number_or_text(params["memory_limit"])
    return params
