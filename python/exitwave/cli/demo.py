"""``exitwave demo``: the whole way on a built-in sample whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exitwave.cli.command import Command, check_output, check_picture
from exitwave.cli.run import leave_if_stopped, print_outcome, save_plot

if TYPE_CHECKING:
    from exitwave.result import Result
    from exitwave.simulator import Simulation


@click.command(
    cls=Command,
    example="exitwave demo --frames 200 -o demo.h5 --plot demo.png",
)
@click.option("--frames", default=400, show_default=True, help="Frames of the scan.")
@click.option("--frame-size", default=128, show_default=True, help="Rows and columns of a frame.")
@click.option("--counts-per-frame", default=1e7, show_default=True, help="Mean counts per frame.")
@click.option("--seed", default=0, show_default=True, help="Of the noise.")
@click.option("--device", default="auto", show_default=True, help="Where to compute.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo.h5"),
    show_default=True,
    help="Result file.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    default=Path("demo.png"),
    show_default=True,
    help="Picture of the result.",
)
@click.option("--overwrite", is_flag=True, help="Replace output files that exist.")
def demo(
    frames: int,
    frame_size: int,
    counts_per_frame: float,
    seed: int,
    device: str,
    output: Path,
    plot: Path,
    overwrite: bool,
) -> None:
    """Simulate, reconstruct without tuning, compare with the truth.

    The start probe is wrong as in an experiment: its aperture is 10 % too large and its defocus
    20 % off.
    """
    check_output(output, overwrite=overwrite)
    check_picture(plot, overwrite=overwrite)
    from exitwave.io import save_result
    from exitwave.reconstruct import ptychography
    from exitwave.simulator import simulate

    simulation = simulate(
        frame_size, frames, counts_per_frame=counts_per_frame, scan="raster", seed=seed
    )
    click.echo(
        f"simulated: {frames} frames of {frame_size} × {frame_size}, {counts_per_frame:.3g} counts "
        "each; the start probe is 10 % too wide and 20 % out of focus"
    )
    probe = simulation.start_probe(numerical_aperture=1.1, defocus_m=1.2)
    params = {"propagation": simulation.propagation, "device": device, "comm": False}
    result = ptychography(
        simulation.data, None, probe, simulation.positions_px, simulation.mask, params
    )
    result.pixel_size_m = simulation.pixel_size_m
    save_result(output, result, geometry=simulation.geometry, overwrite=overwrite)
    save_plot(plot, result)
    click.echo(f"relative error of the object against the truth: {_error(result, simulation):.4f}")
    print_outcome(result, output, plot)
    leave_if_stopped(result, output)


def _error(result: Result, simulation: Simulation) -> float:
    """Relative error of the well-illuminated object, free of the gauge."""
    from exitwave.metrics import relative_error, scan_region

    rows, columns = simulation.object.shape
    region = scan_region(
        simulation.positions_px, simulation.probe.shape[-2:], (rows, columns), simulation.probe
    )
    return relative_error(result.object, simulation.object, region)
