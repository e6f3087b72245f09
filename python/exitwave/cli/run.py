"""``exitwave run``: reconstruct a measured scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitwave.cli.command import EXIT_INTERRUPTED, Command, check_output, check_picture
from exitwave.cli.options import load_options
from exitwave.cli.run_options import given_parameters, run_options
from exitwave.cli.show import lengths
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.io import Dataset
    from exitwave.parameters import Parameters
    from exitwave.result import Result


@click.command(
    cls=Command,
    example='exitwave run scan.cxi --engines "DM:200 ML:100,noise=poisson" '
    "--probe-modes 3 -o out.h5 --plot out.png",
)
@click.argument("file", type=click.Path(path_type=Path))
@run_options
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="Result file to go on from: its object, probe and positions.",
)
@click.option(
    "--mask-misfits",
    is_flag=True,
    help="With --start: mask pixels at which the counts contradict that result's model.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Result file; left out: <name of FILE>_result.h5 in this folder.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of the result.")
@click.option("--overwrite", is_flag=True, help="Replace output files that exist.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@load_options
def run(
    file: Path,
    output: Path | None,
    plot: Path | None,
    overwrite: bool,
    quiet: bool,
    recipe: Path | None,
    start: Path | None,
    mask_misfits: bool,
    **keywords: Any,
) -> None:
    """Reconstruct object and probe from the scan in FILE."""
    if mask_misfits and start is None:
        raise InvalidArgument("mask-misfits needs a result to compare with; add --start RESULT.")
    output = output or Path(f"{file.stem}_result.h5")
    check_output(output, overwrite=overwrite, inputs=[file, recipe])
    if plot is not None:
        check_picture(plot, overwrite=overwrite, inputs=[file, recipe, start, output])
    given, options, probe = given_parameters(recipe, keywords)
    if quiet:
        given["progress"] = False
    if start is not None:
        # The result's probe fits its object; scaled to the counts once more, it would not.
        given.setdefault("scale_start", probe is not None)

    from exitwave.io import load, save_result

    with load(file, **options) as dataset:
        params = complete_parameters(given, dataset)
        if start is not None and mask_misfits:
            _mask_misfits(dataset, start)
        if not quiet:
            _print_plan(dataset, params)
        result = _reconstruct(dataset, start, probe, params)
        save_result(output, result, dataset=dataset, overwrite=overwrite)
    if plot is not None:
        save_plot(plot, result)
    if not quiet:
        print_outcome(result, output, plot)
    leave_if_interrupted(result, output)


def complete_parameters(given: dict[str, Any], dataset: Dataset) -> Parameters:
    """Every parameter of the run, checked, the propagation from the file's geometry."""
    from exitwave.parameters import validate_params

    if len(dataset.data) == 0:
        raise InvalidArgument(
            f"{dataset.source} has no frames; give a file with counts (a result goes to --start)."
        )
    known = None if dataset.geometry is None else dataset.geometry.propagation()
    return validate_params(given, propagation=known, frame_shape=dataset.frame_shape)


def _reconstruct(
    dataset: Dataset,
    start: Path | None,
    start_probe: dict[str, Any] | None,
    params: Parameters,
) -> Result:
    from exitwave.io import load_result
    from exitwave.reconstruct import ptychography
    from exitwave.start_probe import with_geometry

    obj, probe, positions = dataset.object, dataset.probe, dataset.positions_px
    if start is not None:
        before = load_result(start)
        if len(before.positions) != len(positions):
            raise InvalidArgument(
                f"start {start} has {len(before.positions)} positions, but {dataset.source} has "
                f"{len(positions)} frames; start from a result of the same scan."
            )
        obj, probe, positions = before.object, before.probe, before.positions
    if start_probe is not None:
        probe = with_geometry(start_probe, dataset.geometry)
    result = ptychography(dataset.data, obj, probe, positions, dataset.mask, params)
    result.source = dataset.source
    if dataset.geometry is not None:
        result.pixel_size_m = dataset.geometry.pixel_size_m
    return result


def _mask_misfits(dataset: Dataset, start: Path) -> None:
    """Take the pixels that the start result cannot explain out of the mask, with a note."""
    from exitwave.io import load_result
    from exitwave.prepare import find_misfits

    bad = find_misfits(dataset.data, load_result(start), dataset.mask).bad
    dataset.mask = ~bad if dataset.mask is None else dataset.mask & ~bad
    dataset.notes.append(f"{int(bad.sum())} pixels that contradict {start} are masked.")


def _print_plan(dataset: Dataset, params: Parameters) -> None:
    """What is going to be done, before it is."""
    frames, height, width = dataset.data.shape
    line = f"{dataset.source}: {frames} frames of {height} × {width}"
    line += f", {params.propagation.regime} field"
    if dataset.geometry is not None:
        line += f", object pixel {lengths(dataset.geometry.pixel_size_m)}"
    click.echo(line)
    for note in dataset.notes:
        click.echo(f"note: {note}")
    chain = " ".join(f"{engine.name}:{engine.iterations}" for engine in params.engines)
    click.echo(f"engines: {chain}")


def save_plot(path: Path, result: Result) -> None:
    """Write the picture of a result."""
    from exitwave.plots import plot_result, save_figure

    save_figure(plot_result(result), path)


def print_outcome(result: Result, output: Path, plot: Path | None) -> None:
    """Error, iterations and time of a run, and where its result is."""
    iterations = sum(map(len, result.errors))
    click.echo(
        f"Fourier error {result.error:.4g} after {iterations} iterations, {result.seconds:.1f} s"
    )
    click.echo(f"written: {output}" if plot is None else f"written: {output} and {plot}")


def leave_if_interrupted(result: Result, output: Path) -> None:
    """End with the exit code of an interruption if Ctrl-C ended the run."""
    if result.stopped == "interrupted":
        click.echo(f"exitwave: interrupted; the state so far is in {output}", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED)
