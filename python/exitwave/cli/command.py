"""What all commands share: --debug, errors in one line, exit codes, checks of output files."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from exitwave.errors import DeviceError, ExitwaveError, FileFormatError, InvalidArgument

# Why a run ended early -> exit code. A batch script may send those of a time limit in again.
EXIT_STOPPED = {"interrupted": 130, "terminated": 143, "time_limit": 75}
EXIT_INTERRUPTED = EXIT_STOPPED["interrupted"]


class BadInput(click.ClickException):
    """What the user gave cannot be used."""

    exit_code = 2


class Failed(click.ClickException):
    """The work itself failed."""

    exit_code = 1


class Command(click.Command):
    """A command whose errors become one line, with --debug after their traceback.

    The help ends with ``example``, and options whose destination begins with ``load_`` have their
    own heading in it.
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        kwargs["epilog"] = f"\b\nExample:\n  {example}"  # \b: lines stay as they are
        kwargs.setdefault("context_settings", {}).setdefault("max_content_width", 100)
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_remember_debug,
                help="Show the traceback of an error.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if getattr(error, "reported_elsewhere", False):
                raise click.exceptions.Exit(_explained(error).exit_code) from None
            if ctx.meta.get("exitwave.debug"):
                traceback.print_exc()
            raise _explained(error) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "How the file is read": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            of_load = (parameter.name or "").startswith("load_")
            if isinstance(parameter, click.Option) and record is not None:
                sections["How the file is read" if of_load else "Options"].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line, without the place in the code that Python would add."""
    click.echo(f"exitwave: warning: {message}", err=True)


def _remember_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta["exitwave.debug"] = value


def _explained(error: Exception) -> click.ClickException:
    """An error inside a command as a message with an exit code."""
    if isinstance(error, InvalidArgument | FileFormatError | DeviceError):
        return BadInput(str(error))
    if isinstance(error, ExitwaveError):
        return Failed(str(error))
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return Failed(f"{place}{error.strerror}")
    if isinstance(error, MemoryError):
        return Failed(f"out of memory ({error}); use fewer --frames, --crop or --bin.")
    kind = type(error).__name__
    return Failed(f"internal error, {kind}: {error}; --debug shows where.")


def check_output(path: Path, *, overwrite: bool, inputs: Sequence[Path | None] = ()) -> None:
    """Refuse, before any work, an output file that could not be written after it.

    Raises
    ------
    InvalidArgument
        The file exists and ``overwrite`` is False, is one of the ``inputs``, or its folder is
        missing or not writable.
    """
    if path.is_dir():
        raise InvalidArgument(f"output {path} is a folder; name a file in it.")
    if path.exists() and any(other and other.exists() and path.samefile(other) for other in inputs):
        raise InvalidArgument(f"output {path} is an input of this run; name another file.")
    if path.exists() and not overwrite:
        raise InvalidArgument(f"output {path} exists; add --overwrite or name another file.")
    if not path.parent.is_dir():
        raise InvalidArgument(f"output {path} is in a folder that does not exist; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise InvalidArgument(f"output {path} is in a folder without permission to write.")


def check_picture(path: Path, *, overwrite: bool, inputs: Sequence[Path | None] = ()) -> None:
    """As :func:`check_output`, and the ending must be a picture's."""
    if path.suffix.lower() not in (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".tif", ".tiff"):
        raise InvalidArgument(f"plot {path} must end in .png, .pdf, .svg, .jpg or .tif.")
    check_output(path, overwrite=overwrite, inputs=inputs)
