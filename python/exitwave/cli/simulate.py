"""``exitwave simulate``: data of a known object in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from exitwave.cli.command import Command, check_output
from exitwave.cli.options import Numbers
from exitwave.cli.show import lengths
from exitwave.errors import InvalidArgument


@click.command(
    cls=Command,
    example="exitwave simulate star.h5 --frame-shape 128 --frames 400 "
    "--counts-per-frame 1e7 --probe zone_plate",
)
@click.argument("output", default="simulated.h5", type=click.Path(path_type=Path))
@click.option("--frame-shape", type=Numbers(int, "Y[,X]"), help="Pixels of a frame.")
@click.option("--frames", type=int, help="Number of frames.")
@click.option(
    "--counts-per-frame",
    type=float,
    help="Mean counts per frame, Poisson distributed; left out: no noise.",
)
@click.option("--seed", type=int, help="Of jitter, diffuser and noise.")
@click.option("--regime", type=click.Choice(["far", "near"]), help="Far or near field.")
@click.option("--amplitude-image", metavar="NAME", help="Picture of scikit-image: camera, moon ...")
@click.option("--phase-image", metavar="NAME", help="The same for the phase.")
@click.option(
    "--probe",
    metavar="KIND",
    help="defocused, focused, zone_plate, kb, electron, aperture, diffuser or gaussian.",
)
@click.option(
    "--probe-setting",
    "probe_settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Setting of the probe, such as defocus_m=2e-3 or aperture_m=2e-4,1e-4; may be repeated.",
)
@click.option("--probe-modes", type=int, help="Incoherent probe modes.")
@click.option("--object-modes", type=int, help="Incoherent object modes.")
@click.option("--scan", metavar="KIND", help="raster, spiral or rings.")
@click.option("--overlap", type=float, help="Linear overlap, 1 - step / probe diameter.")
@click.option("--step-px", type=Numbers(float, "Y[,X]"), help="Step in object pixels.")
@click.option("--jitter", type=float, help="Fraction of the step by which points move at random.")
@click.option("--integer-positions", is_flag=True, default=None, help="Round positions to pixels.")
@click.option("--energy-ev", type=float, help="Energy of a photon or electron in electronvolts.")
@click.option(
    "--radiation",
    type=click.Choice(["photon", "electron"]),
    help="Left out: electrons for the probe electron, else photons.",
)
@click.option("--distance-m", type=float, help="Sample to detector in metres.")
@click.option("--detector-pixel-m", type=Numbers(float, "Y[,X]"), help="Detector pixel in metres.")
@click.option("--focus-distance-m", type=float, help="Near field, diverging beam: focus to sample.")
@click.option(
    "--method", type=click.Choice(["angular_spectrum", "fresnel"]), help="Near-field propagator."
)
@click.option("--slices", type=int, help="Slices of a thick object; left out: it is thin.")
@click.option("--slice-distance-m", type=float, help="From each slice to the next in metres.")
@click.option("--tilt-rad", type=Numbers(float, "Y,X"), help="Tilt of the beam between slices.")
@click.option(
    "--imperfection",
    "imperfections",
    metavar="KEY=VALUE",
    multiple=True,
    help="What is not ideal, such as blur_px=3 or background_counts=0.5; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def simulate(
    output: Path,
    overwrite: bool,
    probe_settings: tuple[str, ...],
    imperfections: tuple[str, ...],
    **keywords: Any,
) -> None:
    """Simulate a scan, and write it with its truth to OUTPUT.

    OUTPUT is simulated.h5 where none is given; what else is left out has the default of
    exitwave.simulate. The start probe in the file is the true one.
    """
    check_output(output, overwrite=overwrite)
    settings = {name: value for name, value in keywords.items() if value is not None}
    if probe_settings:
        settings["probe_settings"] = dict(
            _setting("probe-setting", text) for text in probe_settings
        )
    if imperfections:
        settings["imperfections"] = dict(_setting("imperfection", text) for text in imperfections)
    from exitwave.simulator import simulate as make

    simulation = make(**settings)
    simulation.save(output)

    frames, height, width = simulation.data.shape
    shape = " × ".join(map(str, simulation.object.shape))
    click.echo(
        f"{output}: {frames} frames of {height} × {width}, {simulation.regime} field, object "
        f"{shape}, pixel {lengths(simulation.pixel_size_m)}, overlap {simulation.overlap:.2f}, "
        f"{simulation.counts_per_frame:.3g} counts per frame"
    )


def _setting(option: str, text: str) -> tuple[str, float | tuple[float, ...]]:
    key, _, value = text.partition("=")
    try:
        numbers = tuple(float(piece) for piece in value.split(","))
    except ValueError:
        raise InvalidArgument(
            f"{option} is {text!r}; it must be KEY=NUMBER, such as defocus_m=2e-3, or "
            "KEY=NUMBER,NUMBER for rows and columns."
        ) from None
    return key.strip().replace("-", "_"), numbers[0] if len(numbers) == 1 else numbers
