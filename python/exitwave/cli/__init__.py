"""The command ``exitwave``.

Exit codes: 0 success; 1 the work failed (divergence, full disk); 2 usage or bad input;
75 stopped at the time limit, 130 interrupted and 143 terminated, with the state so far saved where
there is one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

import exitwave
from exitwave.cli.command import EXIT_INTERRUPTED
from exitwave.cli.compare import compare
from exitwave.cli.demo import demo
from exitwave.cli.info import info
from exitwave.cli.plan import plan
from exitwave.cli.rechunk import rechunk
from exitwave.cli.run import run
from exitwave.cli.simulate import simulate


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 failed or diverged, 2 usage or bad input, 75 time limit, "
    "130 interrupted, 143 terminated.",
)
@click.version_option(exitwave.__version__, prog_name="exitwave")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Ptychography: from measured diffraction patterns to object and probe."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (run, plan, simulate, info, compare, rechunk, demo):
    group.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of ``sys.argv[1:]``.
    """
    try:
        code = group.main(arguments, prog_name="exitwave", standalone_mode=False)
    except click.ClickException as error:
        print(f"exitwave: {_one_line(error)}", file=sys.stderr)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("exitwave: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; closing must not complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code or 0)


def _one_line(error: click.ClickException) -> str:
    """Message of an error; one about usage names the command whose help tells more."""
    message = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message.rstrip('.')}; see '{error.ctx.command_path} --help'"
    return message
