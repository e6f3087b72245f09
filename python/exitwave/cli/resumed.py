"""``exitwave run --resume``: go on with a run from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from exitwave.cli.checkpoint_options import TIMES, naming_checkpoint
from exitwave.cli.command import check_output, check_picture
from exitwave.cli.run_options import number_or_text
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.result import Result

# Options that can be given anew; the others are those of the run.
_PARAMETERS = ("device", "batch", "memory_limit", *TIMES)
_OTHERS = ("file", "output", "plot", "overwrite", "quiet", "resume")


def go_on(
    resume: Path,
    file: Path | None,
    output: Path | None,
    plot: Path | None,
    overwrite: bool,
    quiet: bool,
) -> tuple[Path, Result]:
    """Run what is left and save the result, by default where the run was to save it."""
    from exitwave.checkpoint import SUFFIX, find_checkpoint, remove_checkpoint
    from exitwave.io import save_result
    from exitwave.restart import continue_run, opened_data, read_run

    context = click.get_current_context()
    given = _given(context)
    place = find_checkpoint(resume)
    params = {name: context.params[name] for name in given}
    if "memory_limit" in params:
        params["memory_limit"] = number_or_text(params["memory_limit"])
    checkpoint, checked = read_run(place, params | ({"progress": False} if quiet else {}))
    if output is not None:
        check_output(output, overwrite=overwrite, inputs=[file, place])
    elif place.name.removesuffix(SUFFIX) not in ("", place.name):
        # What is there is the state at which the run was stopped.
        output = place.with_name(place.name.removesuffix(SUFFIX))
    else:
        raise InvalidArgument(f"{place} does not tell the result's name; give it by --output.")
    if plot is not None:
        check_picture(plot, overwrite=overwrite, inputs=[file, place, output])
    if not quiet:
        done = sum(map(len, checkpoint.errors)) + len(checkpoint.engine.errors)
        click.echo(f"{place}: going on after {done} iterations")
    with (
        opened_data(checkpoint.source, file) as (counts, dataset),
        naming_checkpoint(checked),
    ):
        result = continue_run(place, checkpoint, checked, counts)
        save_result(output, result, dataset=dataset, overwrite=True)
    remove_checkpoint(checked, result.stopped)
    return output, result


def _given(context: click.Context) -> list[str]:
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
    return [str(parameter.name) for parameter in given if parameter.name in _PARAMETERS]
