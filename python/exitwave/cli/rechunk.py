"""``exitwave rechunk``: counts in chunks of one frame, so that runs can stream from the file."""

from __future__ import annotations

from pathlib import Path

import click

from exitwave.cli.command import Command, check_output


@click.command(
    cls=Command, example="exitwave rechunk scan.cxi streamed.cxi --compression bitshuffle"
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--data", metavar="DATASET", help="Dataset of the counts; left out: the largest.")
@click.option(
    "--compression",
    type=click.Choice(["keep", "none", "gzip", "lzf", "bitshuffle"]),
    default="keep",
    show_default=True,
    help="Of the counts.",
)
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
def rechunk(
    source: Path, target: Path, data: str | None, compression: str, overwrite: bool
) -> None:
    """Copy the HDF5 file SOURCE to TARGET with the counts in chunks of one frame.

    Runs whose counts do not fit into memory read frames one by one; from other chunks they read
    more than they need.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    from exitwave.io.rechunk import rechunk

    done = rechunk(source, target, data, compression, overwrite)
    before = "contiguous" if done.before is None else f"chunks of {_size(done.before)}"
    click.echo(f"{done.dataset}: {_size(done.shape)}, {before}, now chunks of {_size(done.after)}")
    click.echo(
        f"written: {target}, counts {done.bytes_before} bytes before, {done.bytes_after} now"
    )


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
