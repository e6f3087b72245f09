#!/usr/bin/env python3
"""The same data, start and number of iterations with other packages, where they are installed.

Each engine runs with its own defaults on the scan of "no tuning". PtyPy's part follows its
documentation and has not been run.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np

import exitwave
from cases import Settings, quality
from environment import environment, load
from exitwave.parameters import default_chain
from exitwave.simulation import Simulation
from results import Measurement, append
from run import RESULTS, new_table, row, wide_console

# Packages by the name that they are installed as, and what to call them.
PACKAGES = {"exitwave": "exitwave", "ptypy": "PtyPy", "ptychi": "pty-chi", "phaserEM": "phaser"}
# Object, and seconds of the reconstruction.
Outcome = tuple[np.ndarray, float]
# (scan, start probe, iterations, threads)
Peer = Callable[[Simulation, np.ndarray, int, int], Outcome]


# --- exitwave ---------------------------------------------------------------------------------


def run_exitwave(engine: str | None) -> Peer:
    """None: the default chain, which has its own number of iterations."""

    def run(scan: Simulation, start: np.ndarray, iterations: int, threads: int) -> Outcome:
        params: dict[str, Any] = {"device": f"cpu:{threads}", "progress": False}
        if engine is not None:
            params["engines"] = [{"name": engine, "iterations": iterations}]
        result = exitwave.ptychography(scan.data, None, start, scan.positions_px, None, params)
        return result.object, result.seconds

    return run


# --- pty-chi ----------------------------------------------------------------------------------


def run_ptychi(engine: str) -> Peer:
    """DM, EPIE, RPIE or LSQML of ptychi.api, with the options of its documentation."""

    def run(scan: Simulation, start: np.ndarray, iterations: int, threads: int) -> Outcome:
        import torch
        from ptychi import api
        from ptychi.api.task import PtychographyTask
        from ptychi.utils import get_suggested_object_size, rescale_probe

        torch.set_num_threads(threads)
        positions = _around_middle(scan)
        size = get_suggested_object_size(positions, start.shape[-2:], extra=20)
        options = getattr(api, f"{engine}Options")()
        options.data_options.data = scan.data.astype(np.float32)
        options.object_options.initial_guess = torch.ones((1, *size), dtype=torch.complex64)
        options.object_options.pixel_size_m = scan.pixel_size_m[0]
        # (modes that vary from frame to frame, modes, rows, columns)
        options.probe_options.initial_guess = torch.tensor(rescale_probe(start, scan.data)[None])
        options.probe_position_options.position_y_px = positions[:, 0]
        options.probe_position_options.position_x_px = positions[:, 1]
        options.reconstructor_options.num_epochs = iterations
        options.reconstructor_options.default_device = api.Devices.CPU
        task = PtychographyTask(options)
        began = time.perf_counter()
        task.run()
        seconds = time.perf_counter() - began
        return task.get_data_to_cpu("object", as_numpy=True)[0], seconds

    return run


# --- phaser -----------------------------------------------------------------------------------


def run_phaser(solver: str) -> Peer:
    """Solver "lsqml" or "epie" of the conventional engine, as a plan would name it."""

    def run(scan: Simulation, start: np.ndarray, iterations: int, threads: int) -> Outcome:
        from phaser.execute import execute_plan
        from phaser.observer import Observer
        from phaser.plan import ReconsPlan
        from phaser.state import PartialReconsState, PixelatedProbeState, ScanState
        from phaser.utils.num import Sampling

        class Keep(Observer):
            state: Any = None

            def finish_recons(self, init_state: Any) -> None:
                self.state = init_state

        # Lengths in pixels: one wavelength across, so that the window is as wide as its frame.
        size = scan.data.shape[-1]
        positions = _around_middle(scan)
        sampling = Sampling(scan.data.shape[1:], sampling=(1.0, 1.0))
        initial = PartialReconsState(
            wavelength=1.0,
            probe=PixelatedProbeState(sampling, start),
            scan=ScanState(data=positions, initial=positions),
        )
        keep = Keep()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.npy"
            np.save(path, scan.data.astype(np.float32))
            plan = ReconsPlan.from_data(
                {
                    "name": "benchmark",
                    "backend": "numpy",
                    "raw_data": {
                        "type": "manual",
                        "path": str(path),
                        "diff_step": 1e3 / size,
                        "wavelength": 1.0,
                    },
                    "engines": [
                        {
                            "type": "conventional",
                            "niter": iterations,
                            "noise_model": {"type": "amplitude"},
                            "solver": {"type": solver},
                            "group_constraints": [],
                            "iter_constraints": [],
                        }
                    ],
                }
            )
            began = time.perf_counter()
            execute_plan(plan, init_state=initial, override_observers=keep, seed=0)
            seconds = time.perf_counter() - began
        return np.asarray(keep.state.object.data)[0], seconds

    return run


# --- PtyPy ------------------------------------------------------------------------------------


def run_ptypy(engine: str) -> Peer:
    """Engine "DM" or "EPIE", from a PtyScan that serves the arrays."""

    def run(scan: Simulation, start: np.ndarray, iterations: int, threads: int) -> Outcome:
        import ptypy
        from ptypy import defaults_tree
        from ptypy import utils as u
        from ptypy.core import Ptycho
        from ptypy.core.data import PtyScan
        from ptypy.experiment import register

        @register()
        @defaults_tree.parse_doc("scandata.BenchmarkScan")
        class BenchmarkScan(PtyScan):
            """Frames in memory.

            Defaults:

            [name]
            type = str
            default = BenchmarkScan
            help =
            """

            def load_positions(self) -> np.ndarray:
                return scan.positions_px * np.array(scan.pixel_size_m)

            def load(self, indices: list[int]) -> tuple[dict, dict, dict]:
                return {i: scan.data[i].astype(np.float32) for i in indices}, {}, {}

        if engine == "EPIE":
            ptypy.load_gpu_engines(arch="serial")
        p = u.Param()
        p.verbose_level = "ERROR"
        p.io = u.Param(
            autosave=u.Param(active=False),
            autoplot=u.Param(active=False),
            interaction=u.Param(active=False),
        )
        data = u.Param(
            name="BenchmarkScan",
            shape=scan.data.shape[-1],
            num_frames=len(scan.data),
            energy=scan.settings["energy_ev"] * 1e-3,
            distance=scan.distance_m,
            psize=scan.detector_pixel_m[0],
            auto_center=False,
            save=None,
        )
        illumination = u.Param(model=start[0], aperture=None, propagation=None)
        p.scans = u.Param(scan=u.Param(name="BlockFull", data=data, illumination=illumination))
        name = "EPIE_serial" if engine == "EPIE" else engine
        p.engines = u.Param(engine=u.Param(name=name, numiter=iterations))
        ptycho = Ptycho(p, level=4)
        began = time.perf_counter()
        ptycho.run()
        seconds = time.perf_counter() - began
        return next(iter(ptycho.obj.storages.values())).data[0], seconds

    return run


PEERS: dict[str, dict[str, Peer]] = {
    "exitwave": {name or "default chain": run_exitwave(name) for name in ("DM", "ePIE", None)},
    "ptypy": {name: run_ptypy(name) for name in ("DM", "EPIE")},
    "ptychi": {name: run_ptychi(name) for name in ("DM", "EPIE", "LSQML")},
    "phaserEM": {name: run_phaser(name) for name in ("epie", "lsqml")},
}


def _around_middle(scan: Simulation) -> np.ndarray:
    """Positions whose box is centred at zero."""
    positions = scan.positions_px
    return positions - (positions.max(axis=0) + positions.min(axis=0)) / 2


def like_truth(obj: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An object with its middle kept, cut or filled up with ones; the rest is the gauge's."""
    result = np.ones(shape, np.complex64)
    cuts = [
        (slice(max(0, (have - want) // 2), max(0, (have - want) // 2) + min(have, want)),
         slice(max(0, (want - have) // 2), max(0, (want - have) // 2) + min(have, want)))
        for have, want in zip(obj.shape, shape, strict=True)
    ]  # fmt: skip
    result[cuts[0][1], cuts[1][1]] = obj[cuts[0][0], cuts[1][0]]
    return result


def compare_peer(
    package: str, engine: str, scan: Simulation, iterations: int, threads: int
) -> Measurement:
    start = quality.wrong_lens(scan)
    obj, seconds = PEERS[package][engine](scan, start.copy(), iterations, threads)
    if package == "exitwave" and engine == "default chain":
        iterations = sum(entry["iterations"] for entry in default_chain())
    return Measurement(
        case=f"peers/{PACKAGES[package]} {engine}",
        quantity="relative object error",
        value=quality.object_error(scan, like_truth(np.asarray(obj), scan.object.shape)),
        details={
            "version": metadata.version(package) if package != "exitwave" else exitwave.__version__,
            "iterations": iterations,
            "frames": len(scan.data),
            "frame_shape": list(scan.data.shape[1:]),
            "seconds": seconds,
            "seconds_per_iteration": seconds / iterations,
            "load": load(),
        },
    )


@click.command(help=__doc__)
@click.option("--packages", multiple=True, type=click.Choice(list(PACKAGES)))
@click.option("--iterations", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="60 frames of 64 x 64; no results file.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False))
def main(
    packages: tuple[str, ...], iterations: int, threads: int, quick: bool, output: Path | None
) -> None:
    # Other packages warn of their own future.
    warnings.simplefilter("ignore")
    console = wide_console()
    if output is None and not quick:
        output = RESULTS / "peers.jsonl"
    scan = quality.hard_scan(quick)
    table = new_table()
    table.add_column("s / iteration", justify="right")
    for package in packages or PACKAGES:
        if package != "exitwave" and not _installed(package):
            console.print(f"{PACKAGES[package]} is not installed: not compared", style="yellow")
            continue
        for engine in PEERS[package]:
            console.print(f"{PACKAGES[package]} {engine} ...", style="dim")
            try:
                measurement = compare_peer(package, engine, scan, iterations, threads)
            # What another package raises cannot be foreseen, and the others shall still run.
            except Exception as error:
                console.print(f"{PACKAGES[package]} {engine} failed: {error!r}", style="red")
                continue
            seconds = measurement.details["seconds_per_iteration"]
            table.add_row(*row(measurement), f"{seconds:.3g}")
            if output is not None:
                append(output, measurement, environment(threads, quick))
    console.print(table)
    console.print(f"counting limit {quality.counting_limit(scan, Settings(threads, quick)):.3g}")


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
