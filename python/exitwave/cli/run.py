"""``exitwave run``: reconstruct a measured scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitwave.cli.checkpoint_options import (
    checkpoint_of,
    checkpoint_options,
    given_times,
    naming_checkpoint,
)
from exitwave.cli.command import EXIT_STOPPED, Command, check_output, check_picture
from exitwave.cli.options import load_options
from exitwave.cli.run_options import given_parameters, run_options
from exitwave.cli.show import lengths
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.io import Dataset
    from exitwave.parameters import Parameters
    from exitwave.ranks import Ranks
    from exitwave.result import Result


@click.command(
    cls=Command,
    example='exitwave run scan.cxi --engines "DM:200 ML:100,noise=poisson" '
    "--probe-modes 3 -o out.h5 --plot out.png",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@run_options
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="Result file to go on from: its object, probe, positions, intensities "
    "of frames, slice distances and near-field distance.",
)
@checkpoint_options
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
    file: Path | None,
    output: Path | None,
    plot: Path | None,
    overwrite: bool,
    quiet: bool,
    recipe: Path | None,
    start: Path | None,
    resume: Path | None,
    checkpoint: bool,
    mask_misfits: bool,
    **keywords: Any,
) -> None:
    """Reconstruct object and probe from the scan in FILE.

    With --resume, FILE is needed only where it is in another place than before.
    """
    from exitwave.reconstruct import ranks_of

    if resume is None and file is None:
        raise click.UsageError("Missing argument 'FILE'")
    ranks = ranks_of(None)
    with ranks.together():
        if resume is not None:
            from exitwave.cli.resumed import go_on

            output, result = go_on(ranks, resume, file, output, plot, overwrite, quiet)
        else:
            assert file is not None
            output = output or Path(f"{file.stem}_result.h5")
            work = ranks.agree(lambda: _Work.of(file, start, recipe, mask_misfits, keywords))
            kept = ranks.by_first(lambda: work.check_files(output, plot, overwrite, checkpoint))
            if kept is not None:
                work.given.setdefault("checkpoint", str(kept))
            if plot is None and ranks.size > 1:
                # The file is written part by part.
                work.given.setdefault("gather", False)
            if quiet:
                work.given["progress"] = False
            result = work.run(ranks, output, overwrite, quiet)
        if plot is not None:
            ranks.by_first(lambda: save_plot(plot, result))
    if not quiet and ranks.first:
        print_outcome(result, output, plot)
    leave_if_stopped(result, output, told=ranks.first)


@dataclass(frozen=True)
class _Work:
    """A run from its beginning: options of ``load``, parameters, and what it starts from."""

    file: Path
    options: dict[str, Any]
    given: dict[str, Any]
    start: Path | None
    recipe: Path | None
    probe: dict[str, Any] | None
    mask_misfits: bool

    @classmethod
    def of(
        cls,
        file: Path,
        start: Path | None,
        recipe: Path | None,
        mask_misfits: bool,
        keywords: dict[str, Any],
    ) -> _Work:
        """From what the command line says."""
        if mask_misfits and start is None:
            raise InvalidArgument(
                "mask-misfits needs a result to compare with; add --start RESULT."
            )
        given, options, probe = given_parameters(recipe, keywords)
        given |= given_times(keywords)
        if "comm" in given:
            raise InvalidArgument(
                f"comm of {recipe} is {given['comm']!r}, but a command takes the processes that it "
                "was started with; leave it out."
            )
        if start is not None:
            # The result's probe fits its object; scaled to the counts once more, it would not.
            given = {"scale_start": probe is not None} | given
        return cls(file, options, given, start, recipe, probe, mask_misfits)

    def check_files(
        self, output: Path, plot: Path | None, overwrite: bool, checkpoint: bool
    ) -> Path | None:
        """Refuse files that could not be written; the path for the checkpoint, which is free."""
        kept = checkpoint_of(output, overwrite) if checkpoint else None
        check_output(output, overwrite=overwrite, inputs=[self.file, self.recipe])
        if plot is not None:
            inputs = [self.file, self.recipe, self.start, output]
            check_picture(plot, overwrite=overwrite, inputs=inputs)
        if kept is not None:
            kept.unlink(missing_ok=True)
        return kept

    def run(self, ranks: Ranks, output: Path, overwrite: bool, quiet: bool) -> Result:
        """Load, reconstruct and save."""
        from exitwave.checkpoint import remove_checkpoint
        from exitwave.io import load

        with ranks.agree(lambda: load(self.file, **self.options)) as dataset:
            before, params = self._beginning(ranks, dataset)
            if not quiet and ranks.first:
                _print_plan(dataset, params)
            with naming_checkpoint(params):
                result = self._reconstruct(ranks, dataset, params, before)
                save(ranks, output, result, dataset, overwrite)
        remove_checkpoint(params, result.stopped, ranks)
        return result

    def _beginning(self, ranks: Ranks, dataset: Dataset) -> tuple[Result | None, Parameters]:
        """The result to go on from, and the parameters with its distances."""
        from exitwave.cli import run_start

        start = self.start
        if start is None:
            return None, ranks.agree(lambda: complete_parameters(self.given, dataset))
        before = ranks.agree(lambda: run_start.load_start(start, dataset))
        given = run_start.with_slices_of(before, self.given, dataset)
        params = ranks.agree(lambda: complete_parameters(given, dataset))
        ranks.agree(lambda: run_start.check_slices(before, start, params))
        if self.mask_misfits:
            ranks.agree(lambda: run_start.mask_misfits(dataset, before, start))
        return before, run_start.with_lengths_of(before, params, dataset)

    def _reconstruct(
        self, ranks: Ranks, dataset: Dataset, params: Parameters, before: Result | None
    ) -> Result:
        from exitwave.reconstruct import reconstruct, source_of_file
        from exitwave.start_probe import with_geometry

        obj, probe, positions = dataset.object, dataset.probe, dataset.positions_px
        intensities = None
        if before is not None:
            obj, probe, positions = before.object, before.probe, before.positions
            intensities = before.intensities
        if self.probe is not None:
            probe = with_geometry(self.probe, dataset.geometry)
        source = source_of_file(dataset, self.options)
        return reconstruct(
            dataset.data,
            obj,
            probe,
            positions,
            dataset.mask,
            params,
            source,
            ranks=ranks,
            intensities=intensities,
        )


def save(
    ranks: Ranks, output: Path, result: Result, dataset: Dataset | None, overwrite: bool
) -> None:
    """Written by the first rank; part by part, with the help of all, where it has no whole."""
    from exitwave.io import save_result

    def write() -> None:
        save_result(output, result, dataset=dataset, overwrite=overwrite)

    if result.parts is not None and result.parts.gathered is False:
        write()
    else:
        ranks.by_first(write)


def complete_parameters(given: dict[str, Any], dataset: Dataset) -> Parameters:
    """Every parameter of the run, checked, the propagation from the file's geometry."""
    from exitwave.parameters import validate_params

    if len(dataset.data) == 0:
        raise InvalidArgument(
            f"{dataset.source} has no frames; give a file with counts (a result goes to --start)."
        )
    known = None if dataset.geometry is None else dataset.geometry.propagation()
    return validate_params(given, propagation=known, frame_shape=dataset.frame_shape)


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


def leave_if_stopped(result: Result, output: Path, told: bool = True) -> None:
    """End with the exit code of what ended the run early, and tell so."""
    if result.stopped not in EXIT_STOPPED:
        return
    if not told:
        raise click.exceptions.Exit(EXIT_STOPPED[result.stopped])
    why = {"time_limit": "stopped at the time limit"}.get(result.stopped, result.stopped)
    line = f"exitwave: {why}; the state so far is in {output}"
    if result.params["checkpoint"] is not None:
        line += f", go on with exitwave run --resume {output}"
    click.echo(line, err=True)
    raise click.exceptions.Exit(EXIT_STOPPED[result.stopped])
