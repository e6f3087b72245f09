"""``exitwave info``: what was understood of a file, or of this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from exitwave.cli.command import Command
from exitwave.cli.options import given_load_options, load_options
from exitwave.cli.show import print_rows


@click.command(cls=Command, example="exitwave info scan.cxi --energy-ev 8000")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@load_options
def info(file: Path | None, **keywords: Any) -> None:
    """Show what is understood of FILE, or of this installation.

    Of a FILE: shape, counts, geometry, overlap, and what is missing or was guessed. Without:
    version, compiler, threads, FFT library, GPUs and MPI.
    """
    options = given_load_options(keywords)
    if file is None:
        if options:
            raise click.UsageError("options on how to read a file need a FILE")
        from exitwave.config import configuration

        print_rows(list(configuration().items()))
        return
    from exitwave.io import describe, load

    with load(file, **options) as dataset:
        rows = describe(dataset).rows()
    if dataset.format == "result":
        rows[2:2] = _result_rows(file)
    print_rows(rows)


def _result_rows(file: Path) -> list[tuple[str, str]]:
    """What a result tells beyond the scan it came from."""
    from exitwave.io import load_result
    from exitwave.io.refined import refined_text

    result = load_result(file)
    refined = [(name, refined_text(found)) for name, found in result.refined.items()]
    known = [("slices", str(result.slices))] if result.thick else []
    if result.intensities is not None:
        spread = result.intensities.std() / result.intensities.mean()
        known.append(("intensity of the frames", f"refined, {spread:.2%} rms"))
    if result.background is not None:
        mean = float(result.background.mean())
        known.append(("background", f"refined, {mean:.4g} counts per pixel"))
    runs = zip(result.engines, result.errors, strict=True)
    return [
        ("engines", " ".join(f"{name}:{len(errors)}" for name, errors in runs)),
        ("Fourier error", f"{result.error:.4g}"),
        *refined,
        *known,
        ("probe modes", str(len(result.probe))),
        ("time", f"{result.seconds:.1f} s"),
        ("ended", result.stopped or "after its last iteration"),
    ]
