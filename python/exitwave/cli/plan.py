"""``exitwave plan``: what a reconstruction would cost on a machine, before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitwave.cli.command import Command, check_picture
from exitwave.cli.options import Numbers, given_load_options, load_options
from exitwave.cli.show import print_rows
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.topology import Job, Prediction


@click.command(
    cls=Command,
    example="exitwave plan --simulate raster:16384 --frame-shape 256 --step-px 25 "
    "--machine dgx-a100 --nodes 4",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--simulate", metavar="SCAN:FRAMES", help="A scan instead of a FILE: raster, spiral or rings."
)
@click.option("--frame-shape", type=Numbers(int, "Y[,X]"), help="Pixels of a simulated frame.")
@click.option("--step-px", type=Numbers(float, "Y[,X]"), help="Step of the simulated scan.")
@click.option(
    "--machine",
    default="this",
    metavar="NAME|TOML",
    help="Known machine, description in a file, or this machine.  [default: this]",
)
@click.option("--nodes", type=int, default=1, show_default=True, help="Nodes of the machine.")
@click.option("--devices", type=int, help="Of all nodes together; left out: all.")
@click.option("--engine", default="DM", show_default=True, metavar="NAME", help="DM, ePIE, ML ...")
@click.option("--probe-modes", type=int, default=1, show_default=True)
@click.option("--object-modes", type=int, default=1, show_default=True)
@click.option("--group-size", type=int, help="Frames per update of ePIE, rPIE and mPIE.")
@click.option(
    "--reduction",
    type=click.Choice(["levels", "tree", "ring", "star"]),
    default="levels",
    show_default=True,
    help="How the sums of the probe meet.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of the parts.")
@click.option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
@load_options
def plan(
    file: Path | None,
    simulate: str | None,
    frame_shape: tuple[int, int] | int | None,
    step_px: tuple[float, float] | float | None,
    machine: str,
    nodes: int,
    devices: int | None,
    reduction: str,
    plot: Path | None,
    overwrite: bool,
    **keywords: Any,
) -> None:
    """Predict bytes, time and memory of an iteration on FILE, on a machine that is described.

    Without FILE, of a scan that --simulate describes. Parts are cut down the machine's levels of
    links; times are those of a model, not of a measurement.
    """
    load = given_load_options(keywords)
    settings = {name: value for name, value in keywords.items() if not name.startswith("load_")}
    if plot is not None:
        check_picture(plot, overwrite=overwrite, inputs=[file])
    if (file is None) == (simulate is None):
        raise click.UsageError("give either a FILE or --simulate")
    from exitwave.topology import predict, read_machine

    described = read_machine(machine)
    if file is not None:
        if frame_shape is not None or step_px is not None:
            raise click.UsageError("--frame-shape and --step-px are for --simulate, not for a FILE")
        job = _job_of_file(file, load, settings)
    else:
        if load:
            raise click.UsageError("options on how to read a file need a FILE")
        job = _simulated_job(str(simulate), frame_shape, step_px, settings)
    prediction = predict(job, described, nodes, devices=devices, reduction=reduction)
    print_rows(prediction_rows(prediction))
    if plot is not None:
        from exitwave.plots import save_figure
        from exitwave.topology.draw import draw

        save_figure(draw(prediction), plot)


def prediction_rows(prediction: Prediction) -> list[tuple[str, str]]:
    """What is predicted, in words: label and value of each row."""
    job, halo, memory = prediction.job, prediction.halo, prediction.memory
    machine = prediction.machine
    sizes = [len(frames) for frames in prediction.parts]
    tile = halo.tiles[:, 2:] - halo.tiles[:, :2]
    largest = int(memory.total.argmax())
    frames = f"{sizes[0]}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    rows = [
        ("machine", f"{machine.name}: {machine.device.name}, {machine.devices_per_node} per node"),
        ("devices", f"{len(sizes)} on {prediction.nodes} node{'s' * (prediction.nodes > 1)}"),
        (
            "scan",
            f"{job.frames} frames of {job.frame_shape[0]} × {job.frame_shape[1]}, "
            f"object {halo.object_shape[0]} × {halo.object_shape[1]}",
        ),
        ("engine", f"{job.engine}{_modes(job)}"),
        ("parts", f"{frames} frames, tiles up to {tile[:, 0].max()} × {tile[:, 1].max()}"),
        ("memory", _memory(prediction, largest)),
        ("compute", _seconds(prediction.compute_seconds)),
    ]
    if prediction.stream_seconds:
        where = "" if prediction.tier == "nowhere" else f" from {prediction.tier}"
        rows.append((f"stream{where}", _seconds(prediction.stream_seconds)))
    for depth, level in enumerate(machine.levels):
        halo_bytes, probe_bytes = (
            traffic.bytes[depth]
            for traffic in (prediction.object_traffic, prediction.probe_traffic)
        )
        if prediction.traffic.bytes[depth] == 0:
            continue
        seconds = float(prediction.traffic.seconds[depth])
        rows.append(
            (
                level.name,
                f"halo {_bytes(halo_bytes)}, probe {_bytes(probe_bytes)}, {_seconds(seconds)}",
            )
        )
    rows.append(("iteration", f"{_seconds(prediction.seconds)} (predicted)"))
    if len(sizes) > 1:
        rows.append(
            (
                "speed",
                f"{prediction.speedup:.3g} × one device with memory for all, "
                f"{100 * prediction.efficiency:.0f} % of {len(sizes)}",
            )
        )
    return rows


def _job_of_file(file: Path, load: dict[str, Any], settings: dict[str, Any]) -> Job:
    from exitwave.io import load as open_scan
    from exitwave.topology import Job

    with open_scan(file, **load) as scan:
        positions = scan.positions_px
        if positions is None:
            raise InvalidArgument(f"{file} has no positions in pixels; give --positions or pixels.")
        return Job(
            positions,
            (int(scan.data.shape[1]), int(scan.data.shape[2])),
            count_bytes=scan.data.dtype.itemsize,
            near_field=scan.geometry is not None and scan.geometry.regime == "near",
            **settings,
        )


def _simulated_job(
    simulate: str,
    frame_shape: tuple[int, int] | int | None,
    step_px: tuple[float, float] | float | None,
    settings: dict[str, Any],
) -> Job:
    """A scan as "raster:1000"; steps are an eighth of the frame where none are given."""
    from exitwave.checks import shape2
    from exitwave.scans import make_scan
    from exitwave.topology import Job

    kind, _, count = simulate.partition(":")
    if not count.isdigit():
        raise InvalidArgument(
            f"simulate is {simulate!r}, but must be SCAN:FRAMES, such as raster:1000."
        )
    if frame_shape is None:
        raise InvalidArgument("frame_shape is missing; give --frame-shape with --simulate.")
    shape = shape2("frame_shape", frame_shape)
    step = (shape[0] / 8, shape[1] / 8) if step_px is None else step_px
    return Job(make_scan(kind, int(count), step), shape, **settings)


def _modes(job: Job) -> str:
    counts = ((job.probe_modes, "probe"), (job.object_modes, "object"))
    text = ", ".join(f"{count} {name} modes" for count, name in counts if count > 1)
    groups = f"groups of {job.frames_per_update}" if job.updates > 1 else ""
    return "".join(f", {each}" for each in (text, groups) if each)


def _memory(prediction: Prediction, device: int) -> str:
    memory = prediction.memory
    total = f"{_bytes(memory.total[device])} of {_bytes(prediction.machine.device.memory_bytes)}"
    pieces = ", ".join(
        f"{name} {_bytes(getattr(memory, name)[device])}"
        for name in ("counts", "waves", "object", "probe", "halo", "scratch")
        if getattr(memory, name)[device] > 0
    )
    fits = {
        "device": "",
        "host": "; the rest streams from host memory",
        "disk": "; the rest streams from disk",
        "nowhere": "; does not fit: use more nodes",
    }
    return f"{total} per device: {pieces}{fits[prediction.tier]}"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB" if count < 999.5 else f"{count:.0f} TB"


def _seconds(seconds: float) -> str:
    if seconds == float("inf"):
        return "never"
    if seconds < 1e-3:
        return f"{1e6 * seconds:.3g} µs"
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
