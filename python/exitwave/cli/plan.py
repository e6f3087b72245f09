"""``exitwave plan``: what a reconstruction would cost on a machine, before it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitwave.cli.command import Command, check_picture
from exitwave.cli.options import Numbers, load_options
from exitwave.cli.run_options import given_parameters, run_options
from exitwave.cli.show import print_rows
from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from exitwave.io import Dataset
    from exitwave.parameters import Parameters
    from exitwave.topology import Job


@click.command(
    cls=Command,
    example='exitwave plan scan.cxi --engines "DM:200 ML:100" --device h200 --gpus 4',
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@run_options
@click.option("--gpus", type=int, help="So many GPUs, which need not be there.")
@click.option("--memory", metavar="SIZE", help="Memory of each of these GPUs, such as 40GB.")
@click.option(
    "--machine",
    metavar="NAME|TOML",
    help="Predict for a known machine, a description in a file, or this one.",
)
@click.option("--nodes", type=int, help="Nodes of the machine; left out: one.")
@click.option("--devices", type=int, help="Of all nodes together; left out: all.")
@click.option(
    "--reduction",
    type=click.Choice(["levels", "tree", "ring", "star", "shares"]),
    default="levels",
    show_default=True,
    help="How the sums of the probe meet on the machine.",
)
@click.option(
    "--simulate", metavar="SCAN:FRAMES", help="A scan instead of a FILE: raster, spiral or rings."
)
@click.option("--frame-shape", type=Numbers(int, "Y[,X]"), help="Pixels of a simulated frame.")
@click.option("--step-px", type=Numbers(float, "Y[,X]"), help="Step of the simulated scan.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of the parts on --machine.")
@click.option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
@load_options
def plan(
    file: Path | None,
    recipe: Path | None,
    gpus: int | None,
    memory: str | None,
    machine: str | None,
    simulate: str | None,
    plot: Path | None,
    overwrite: bool,
    **keywords: Any,
) -> None:
    """Say what a reconstruction of FILE takes, before it is run.

    With the options of a run: what each engine will hold, to the byte, and the time of an
    iteration from a few frames that are timed; --device h200, --gpus and --memory plan for GPUs
    that are only described. With --machine: bytes, time and memory of an iteration of the first
    engine on all devices of a machine, by a model. Instead of a FILE, --simulate describes a scan.
    """
    if plot is not None:
        check_picture(plot, overwrite=overwrite, inputs=[file])
    if (file is None) == (simulate is None):
        raise click.UsageError("give either a FILE or --simulate")
    if simulate is None and (keywords["frame_shape"] is not None or keywords["step_px"]):
        raise click.UsageError("--frame-shape and --step-px are for --simulate, not for a FILE")
    wants_machine = any(keywords[name] is not None for name in ("nodes", "devices"))
    if machine is None and (plot is not None or wants_machine):
        raise click.UsageError("--nodes, --devices and --plot need a --machine")
    if machine is not None and (gpus is not None or memory is not None):
        raise click.UsageError("--gpus and --memory are for devices that need no --machine")
    given, load, probe = given_parameters(recipe, keywords)
    if simulate is not None and load:
        raise click.UsageError("options on how to read a file need a FILE")
    with _scan(file, load, simulate, keywords, probe) as scan:
        if machine is None:
            rows = _run_rows(scan, given, gpus, memory)
        else:
            rows = _machine_rows(scan, given, machine, plot, keywords)
    print_rows(rows)


@dataclass(frozen=True)
class _Scan:
    """Frames, which need not exist, with their positions."""

    data: Any
    positions: npt.NDArray[np.float64]
    dataset: Dataset | None
    probe: Any = None

    @property
    def frame_shape(self) -> tuple[int, int]:
        return int(self.data.shape[1]), int(self.data.shape[2])

    @property
    def object(self) -> Any:
        return None if self.dataset is None else self.dataset.object

    def slices(self, params: Parameters) -> list[int]:
        """Of the object, engine by engine."""
        from exitwave.slicing import Slicing

        slicing = Slicing.of(params, self.object, self.frame_shape, len(self.positions))
        return [1] * len(params.engines) if slicing is None else list(slicing.of_engine)


@contextmanager
def _scan(
    file: Path | None,
    load: dict[str, Any],
    simulate: str | None,
    keywords: dict[str, Any],
    probe: dict[str, Any] | None,
) -> Iterator[_Scan]:
    """The scan with a probe of the shape that it will start from."""
    from exitwave.start_probe import placeholder

    if file is None:
        scan = _simulated(str(simulate), keywords["frame_shape"], keywords["step_px"])
        frame_shape = (int(scan.data.shape[1]), int(scan.data.shape[2]))
        yield replace(scan, probe=None if probe is None else placeholder(probe, frame_shape))
        return
    from exitwave.io import load as open_scan

    with open_scan(file, **load) as dataset:
        if dataset.positions_px is None:
            raise InvalidArgument(f"{file} has no positions in pixels; give --positions or pixels.")
        start = dataset.probe if probe is None else placeholder(probe, dataset.frame_shape)
        yield _Scan(dataset.data, dataset.positions_px, dataset, start)


def _simulated(
    simulate: str,
    frame_shape: tuple[int, int] | int | None,
    step_px: tuple[float, float] | float | None,
) -> _Scan:
    """A scan as "raster:1000"; steps are an eighth of the frame where none are given."""
    import numpy as np

    from exitwave.checks import shape2
    from exitwave.scans import make_scan

    kind, _, count = simulate.partition(":")
    if not count.isdigit():
        raise InvalidArgument(
            f"simulate is {simulate!r}, but must be SCAN:FRAMES, such as raster:1000."
        )
    if frame_shape is None:
        raise InvalidArgument("frame_shape is missing; give --frame-shape with --simulate.")
    shape = shape2("frame_shape", frame_shape)
    step = (shape[0] / 8, shape[1] / 8) if step_px is None else step_px
    positions = make_scan(kind, int(count), step)
    return _Scan(np.broadcast_to(np.uint16(0), (len(positions), *shape)), positions, None)


def _parameters(scan: _Scan, given: dict[str, Any]) -> Parameters:
    from exitwave.cli.run import complete_parameters
    from exitwave.parameters import validate_params

    if scan.dataset is None:
        return validate_params(given)
    return complete_parameters(given, scan.dataset)


def _run_rows(
    scan: _Scan, given: dict[str, Any], gpus: int | None, memory: str | None
) -> list[tuple[str, str]]:
    """The plan that a run keeps to, on the device at hand or on one that is described."""
    from exitwave.cli.plan_rows import described_rows, run_rows
    from exitwave.parameters.call_fields import DEVICE_PATTERN
    from exitwave.reconstruct import plan as plan_run
    from exitwave.topology import described_devices
    from exitwave.topology.described import machine_with

    name = given.get("device")
    described = machine = None
    if gpus is not None or memory is not None or not re.fullmatch(DEVICE_PATTERN, name or "auto"):
        described = described_devices(
            given.pop("device", None), memory, 1 if gpus is None else gpus
        )
        machine = None if name is None else machine_with(name)
    params = _parameters(scan, given)
    dataset = scan.dataset
    planned = plan_run(
        scan.data,
        scan.object,
        scan.probe,
        scan.positions,
        None if dataset is None else dataset.mask,
        params,
        described,
    )
    if described is None:
        return run_rows(planned, params, scan.slices(params), scan.data.shape, scan.data.dtype)
    jobs = [_job(scan, params, number) for number in range(len(params.engines))]
    return described_rows(planned, described, jobs, machine)


def _machine_rows(
    scan: _Scan,
    given: dict[str, Any],
    machine: str,
    plot: Path | None,
    keywords: dict[str, Any],
) -> list[tuple[str, str]]:
    from exitwave.topology import predict, read_machine

    prediction = predict(
        _job(scan, _parameters(scan, given), 0),
        read_machine(machine),
        1 if keywords["nodes"] is None else keywords["nodes"],
        devices=keywords["devices"],
        reduction=keywords["reduction"],
    )
    if plot is not None:
        from exitwave.plots import save_figure
        from exitwave.topology.draw import draw

        save_figure(draw(prediction), plot)
    from exitwave.cli.plan_rows import prediction_rows

    return prediction_rows(prediction)


def _job(scan: _Scan, params: Parameters, number: int) -> Job:
    """One engine's work, for the model."""
    from exitwave.topology import Job

    engine = params.engines[number]
    return Job(
        scan.positions,
        scan.frame_shape,
        engine=engine.name,
        probe_modes=engine.probe_modes or (1 if scan.probe is None else len(scan.probe)),
        object_modes=engine.object_modes or 1,
        slices=scan.slices(params)[number],
        count_bytes=scan.data.dtype.itemsize,
        near_field=params.propagation.regime == "near",
        group_size=getattr(engine, "group_size", None),
    )
