"""What each process of an MPI job of the tests runs: ``mpiexec -n N python mpi_jobs.py JOB ...``.

The first one prints what the tests look at, as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import exitwave
from exitwave.mpi import find_ranks
from small_scan import (
    ENGINES,
    IN_GROUPS,
    OBJECT,
    PROPAGATIONS,
    SmallScan,
    everything,
    noise_of,
    relative,
    small_scan,
)

# Of a rank, in which neither counts nor exit waves of the large scan fit.
LIMIT = "1 MB"
SLICED = ["ePIE", "ML", "LSQML"]


def engine(name: str, **options: Any) -> dict[str, Any]:
    return everything(name, iterations=4) | options


class Recorded:
    """Frames in an HDF5 file that know how often they were read."""

    def __init__(self, data: h5py.Dataset) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.reads = np.zeros(len(data), int)

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads[key] += 1
        return self.data[key]


def in_file(scan: SmallScan, folder: str, name: str) -> SmallScan:
    """The same scan with its counts in an HDF5 file."""
    path = Path(folder) / f"{name}.h5"
    if find_ranks("world").first:
        with h5py.File(path, "w") as file:
            file.create_dataset("data", data=scan.data, chunks=(1, *scan.frame))
    find_ranks("world").any(False)  # all wait for the file
    return replace(scan, data=Recorded(h5py.File(path)["data"]))


def cases(folder: str) -> Iterator[tuple[str, SmallScan, list[dict[str, Any]], dict[str, Any]]]:
    """(name, scan, engines, parameters beside them)"""
    several = {"parts": 2}
    for regime in ("far", "near"):
        for modes in ((1, 1), (2, 2)):
            scan = small_scan(regime, *modes)
            for name in ENGINES:
                case = f"{name} {regime} {modes[0]}"
                yield case, scan, [engine(name)], several | {"device": "cpu:2"}
    for name in ENGINES:
        chain = [
            engine(name, probe_centring=1, probe_support=None),
            engine("ePIE", iterations=2, probe_modes=2, object_modes=2),
        ]
        yield f"{name} chain", small_scan(), chain, {"device": "emulated", "parts": 3}
    flat = np.indices(OBJECT)[0] < 10
    for name in ENGINES:
        chain = [engine(name, position_start=0, object_flat=flat), engine("AP", iterations=2)]
        yield f"{name} positions", small_scan(), chain, several | {"device": "emulated"}
    thick = {
        "regime": "far",
        "wavelength_m": 5e-7,
        "pixel_size_m": 1e-6,
        "slice_distances_m": 2e-6,
        "beam_tilt_rad": np.random.default_rng(0).uniform(-0.1, 0.1, (13, 2)),
    }
    for name in SLICED:
        chain = [engine("ePIE", slices=2), engine(name, slices=4, position_start=1)]
        given = {"device": "emulated", "parts": 2, "propagation": thick}
        yield f"{name} slices", replace(small_scan(), obj=None), chain, given
    wrong = PROPAGATIONS["near"] | {"distance_m": 2.01e-5}
    chain = [
        engine("gradient", map_start=1, map_every=1, distance_start=0, distance_every=1),
        engine("ML", probe_start=None, defocus_start=0, defocus_every=2),
    ]
    given = {"device": "emulated", "parts": 2, "propagation": wrong}
    yield "geometry", small_scan("near", 2), chain, given
    chain = [
        engine("gradient", background_start=0, point_spread_px=0.7),
        engine("ML", background_start=1, background_smooth_px=1.0),
    ]
    scan = small_scan("far", 2)
    scan = replace(scan, data=scan.data + np.float32(20))
    yield "background", scan, chain, several | {"device": "emulated"}
    chain = [
        engine("gradient", object_start=2, slice_distance_start=0, tilt_start=0),
        engine("ePIE", slice_distance_start=0, slice_distance_every=2),
    ]
    given = {"device": "emulated", "parts": 2, "propagation": thick | {"beam_tilt_rad": (0.1, 0.0)}}
    slices = 1 + 0.2 * noise_of(np.random.default_rng(0), 1, 3, *OBJECT)
    yield "gaps", replace(small_scan(), obj=slices.astype(np.complex64)), chain, given
    stored = in_file(small_scan("far", 2, frame=(24, 30), frames=800), folder, "large")
    for name in ENGINES:
        given = engine(name, iterations=3)
        if name in IN_GROUPS:
            # LSQML keeps the residuals of a group.
            given["group_size"] = 10 if name == "LSQML" else 100
        yield f"{name} file", stored, [given], several
        limit = {"memory_limit": LIMIT, "scratch_folder": folder}
        yield f"{name} streamed", stored, [given], several | limit


def compare(folder: str) -> dict[str, Any]:
    """Each case in one process and in all of them."""
    ranks = find_ranks("world")
    found = {}
    for name, scan, engines, params in cases(folder):
        same = {key: params[key] for key in ("propagation",) if key in params}
        one = scan.run(*engines, device="cpu:1", parts=1, comm=False, **same)
        recorded = isinstance(scan.data, Recorded)
        if recorded:
            scan.data.reads[:] = 0
        all_of_us = scan.run(*engines, gather="all", **params)
        bits = zlib.crc32(all_of_us.probe.tobytes() + all_of_us.object.tobytes())
        found[name] = {
            "object": relative(all_of_us.object, one.object),
            "probe": relative(all_of_us.probe, one.probe),
            "background": None
            if one.background is None
            else relative(all_of_us.background, one.background),
            "positions": float(np.abs(all_of_us.positions - one.positions).max()),
            "moved": float(np.abs(one.positions - scan.positions).max()),
            "error": abs(all_of_us.error - one.error) / one.error,
            "fell": all_of_us.error / one.errors[0][0],
            "same_bits": not ranks.any(ranks.by_first(lambda bits=bits: bits) != bits),
            "bits": bits,
            "reads": int(scan.data.reads.max()) if recorded else 0,
        }
    return found


def shares(folder: str) -> dict[str, Any]:
    """What each rank reads and holds."""
    ranks = find_ranks("world")
    scan = in_file(small_scan(frames=40), folder, "small")
    part = scan.run(engine("DM"), parts=2, gather=False)
    read = np.flatnonzero(scan.data.reads).tolist()
    whole = scan.run(engine("DM"), parts=2)
    exitwave.save_result(Path(folder) / "parts.h5", part)
    exitwave.save_result(Path(folder) / "whole.h5", whole)
    ranks.any(False)  # all wait for the files
    one, two = (exitwave.load_result(Path(folder) / f"{name}.h5") for name in ("parts", "whole"))
    mine = {"read": read, "held": part.object.size, "whole": whole.parts.whole_here}
    return {
        "ranks": list(ranks.collect([mine])),
        "object": whole.object.size,
        "files_agree": bool((one.object == two.object).all() and one.error == two.error),
        "starts_agree": bool((one.start["object"] == two.start["object"]).all()),
    }


def callbacks(folder: str) -> dict[str, Any]:
    """Called on the first rank, with the whole object; what it says holds for all."""
    ranks = find_ranks("world")
    calls: list[Any] = []

    def callback(state: Any) -> bool:
        calls.append(state.object.shape)
        return state.iteration == 1

    result = small_scan().run(engine("ePIE"), callback=callback)
    mine = {"calls": calls, "iterations": len(result.errors[0]), "stopped": result.stopped}
    return {"ranks": list(ranks.collect([mine])), "shape": result.object.shape}


def changes(folder: str) -> dict[str, Any]:
    """A callback that changes object and probe, by two processes and by each alone."""

    def callback(state: Any) -> exitwave.Change:
        ramp = np.linspace(0.99, 1.01, state.object.shape[-1])
        return exitwave.Change(object=state.object * ramp, probe=1.001 * state.probe)

    off = []
    for name in ENGINES:
        scan, options = small_scan("far", 2), engine(name)
        alone = scan.run(options, callback=callback, comm=False)
        result = scan.run(options, callback=callback, gather="all")
        off.append(max(relative(result.object, alone.object), relative(result.probe, alone.probe)))
    return {"off": off}


def refusals(folder: str) -> dict[str, Any]:
    """What is wrong on one rank only fails on all, with the same message."""
    ranks = find_ranks("world")
    scan = small_scan()
    data = scan.data.copy()
    if ranks.rank == ranks.size - 1:
        data[:, scan.mask] = np.nan

    def fails(scan: SmallScan, **params: Any) -> str:
        try:
            scan.run(engine("ePIE"), **params)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def callback(state: Any) -> None:
        raise LookupError("from the callback")

    found = [
        fails(replace(scan, data=data)),
        fails(scan, parts=100),
        fails(scan, memory_limit=1000),
        fails(scan, callback=callback),
    ]
    return {"ranks": list(ranks.collect([found]))}


def fails_alone(folder: str) -> dict[str, Any]:
    """One rank loses its file while all are at work."""
    ranks = find_ranks("world")

    class Lost(Recorded):
        def __getitem__(self, key: Any) -> np.ndarray:
            if ranks.rank == 1 and self.reads.max() > 5:
                raise OSError("the disk has gone")
            return super().__getitem__(key)

    stored = in_file(small_scan("far", 2, frame=(24, 30), frames=800), folder, "lost")
    lost = replace(stored, data=Lost(stored.data.data))
    lost.run(engine("AP", iterations=1000), parts=2, memory_limit=LIMIT)
    return {}


def interrupted(folder: str) -> dict[str, Any]:
    """Runs until it is told to stop."""
    ranks = find_ranks("world")

    def callback(state: Any) -> None:
        if state.iteration == 0:
            print("at work", flush=True)

    result = small_scan().run(engine("DM", iterations=10**6, power_bound=None), callback=callback)
    return {"ranks": list(ranks.collect([(result.stopped, len(result.errors[0]))]))}


def beside_others(folder: str) -> dict[str, Any]:
    """A program that uses MPI for something else: each process works alone unless asked."""
    from mpi4py import MPI

    alone = small_scan().run(engine("ePIE"))
    asked = small_scan().run(engine("ePIE"), comm=MPI.COMM_WORLD)
    return {"alone": alone.parts is None, "asked": asked.parts is not None}


JOBS: tuple[Callable[[str], dict[str, Any]], ...] = (
    compare,
    shares,
    callbacks,
    changes,
    refusals,
    fails_alone,
    interrupted,
    beside_others,
)


def main(jobs: tuple[Callable[[str], dict[str, Any]], ...]) -> None:
    """The job that is named, with the folder that it may use."""
    name, folder = sys.argv[1:]
    tempfile.tempdir = folder
    found = {job.__name__: job for job in jobs}[name](folder)
    if find_ranks("world").first:
        print(json.dumps(found))


if __name__ == "__main__":
    main(JOBS)
