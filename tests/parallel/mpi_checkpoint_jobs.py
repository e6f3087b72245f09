"""MPI jobs about checkpoints: ``mpiexec -n N python mpi_checkpoint_jobs.py JOB FOLDER``."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mpi_jobs import LIMIT, engine, in_file, main

import exitwave
from exitwave.io.checkpoint_file import read_checkpoint
from exitwave.mpi import find_ranks
from short_disk import full_disk
from small_scan import ENGINES, IN_GROUPS, SmallScan, assert_same_bits, small_scan

Case = tuple[str, SmallScan, list[dict[str, Any]], dict[str, Any]]
RAAR = engine("RAAR", iterations=12, probe_support=None)


def cases(folder: str) -> Iterator[Case]:
    """(name, scan, engines, parameters beside them)"""
    scan = small_scan("far", 2, 2, noise=True)
    for name in ENGINES:
        where = {"device": "emulated", "parts": 2}
        yield name, scan, [engine(name)], where
    grown = engine("ePIE", group_size=4, probe_modes=3, object_modes=2)
    chain = [engine("DM", iterations=2), grown, engine("RAAR", exit_wave_storage="half")]
    near = small_scan("near", 2, noise=True)
    yield "modes that are added", replace(near, obj=near.obj[:1]), chain, {"device": "cpu:2"}
    moving = [
        engine("ML", position_start=0),
        engine("RAAR", position_start=0, position_search_px=1.0),
    ]
    yield "positions that move", small_scan(), moving, {"device": "cpu:1", "parts": 2}
    thick = replace(scan, obj=np.stack([scan.obj, 1 + 0.1 * scan.obj], axis=1))
    lengths = {"wavelength_m": 5e-7, "pixel_size_m": (1e-6, 1.3e-6), "slice_distances_m": 4e-6}
    cut = [
        engine("rPIE", iterations=1, slices=2),
        engine("ML", iterations=5, slices=4, object_modes=3),
    ]
    where = {"device": "cpu:1", "parts": 2, "propagation": {"regime": "far", **lengths}}
    yield "slices that are split", thick, cut, where
    large = small_scan("far", 2, noise=True, frame=(24, 30), frames=800)
    stored = in_file(large, folder, "large")
    for name in ("DM", "ePIE"):
        given = engine(name, iterations=3)
        if name in IN_GROUPS:
            # LSQML keeps the residuals of a group.
            given["group_size"] = 10 if name == "LSQML" else 100
        limit = {"memory_limit": LIMIT, "scratch_folder": folder}
        yield f"{name} streamed", stored, [given], {"parts": 2} | limit


def resumed(folder: str) -> dict[str, Any]:
    """Each case stopped in the middle and gone on with, against one that was never stopped."""
    ranks = find_ranks("world")
    same = {}
    for name, scan, engines, params in cases(folder):
        place = Path(folder) / name
        whole = scan.run(*engines, gather="all", **params)
        iterations = sum(map(len, whole.errors))
        calls: list[int] = []

        def stop(state: Any, calls: list[int] = calls, after: int = iterations // 2) -> bool:
            calls.append(state.iteration)
            return len(calls) == after

        stopped = scan.run(*engines, callback=stop, checkpoint=place, gather=False, **params)
        assert sum(map(len, stopped.errors)) == iterations // 2
        result = exitwave.resume(place, scan.data, {"gather": "all"})
        same[name] = not ranks.any(differ(whole, result) or left(place) != [])
    return same


def differ(one: exitwave.Result, two: exitwave.Result) -> bool:
    try:
        assert_same_bits(one, two)
        np.testing.assert_array_equal(one.positions, two.positions)
        for name, array in one.start.items():
            np.testing.assert_array_equal(two.start[name], array)
    except AssertionError:
        return True
    return False


def left(place: Path) -> list[str]:
    """Files of a checkpoint, without what changes from one to the next."""
    return sorted(
        ".".join(part for part in path.name.split(".") if len(part) != 8)
        for path in place.parent.iterdir()
        if place.name in path.name
    )


def agreed(folder: str) -> dict[str, Any]:
    """What only the last rank meets, or wants, all ranks do, after the same iteration."""
    ranks = find_ranks("world")
    last = ranks.rank == ranks.size - 1
    place = Path(folder) / "agreed"
    scan = small_scan("far", 2, noise=True)
    found: dict[str, Any] = {}

    def stopped(**params: Any) -> list[Any]:
        endless = engine("DM", iterations=10**6, power_bound=None)
        result = scan.run(endless, checkpoint=place, **params)
        files = left(place)
        kept = ranks.by_first(lambda: len(read_checkpoint(place).engine.errors))
        ranks.by_first(place.unlink)  # companions go with the next run
        return [result.stopped, len(result.errors[0]), kept, files]

    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    found["time limit"] = stopped(time_limit=1e-9 if last else 1e9)
    if last:
        threading.Timer(0.3, terminate).start()
    found["signal"] = stopped()
    minutes = {"checkpoint_minutes": 1e-9 if last else 1e9}
    found["minutes"] = stopped(**minutes, callback=lambda state: state.iteration == 5)
    return {"ranks": list(ranks.collect([found]))}


@contextmanager
def unnamed(place: Path) -> Iterator[None]:
    """The folder is full when all is written but the name, so that no file gets this one."""
    replace_file = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target == place:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(self, target)

    with patch.object(Path, "replace", refuse):
        yield


def a_full_disk(folder: str) -> dict[str, Any]:
    """The disk of one rank is full, then that of the first."""
    ranks = find_ranks("world")
    place = Path(folder) / "full"
    scan = small_scan("far", 2, noise=True)
    whole = scan.run(RAAR, gather="all")
    scan.run(RAAR, checkpoint=place, callback=lambda state: state.iteration == 3)
    before = left(place)
    found = []
    disks = [(1, full_disk(0)), (1, full_disk(9000)), (0, full_disk(3000)), (0, unnamed(place))]
    for rank, disk in disks:
        with disk if ranks.rank == rank else nullcontext():
            try:
                exitwave.resume(place, scan.data, {"checkpoint_every": 2})
            except exitwave.ExitwaveError as error:
                found.append(str(error).replace(folder, ""))
        ranks.any(False)
        assert left(place) == before
    result = exitwave.resume(place, scan.data, {"gather": "all"})
    assert not differ(whole, result)
    return {"ranks": list(ranks.collect([found])), "files": before}


def to_be_killed(folder: str) -> dict[str, Any]:
    """Begins, or goes on, with a checkpoint after every iteration, until it has come to its end."""
    ranks = find_ranks("world")
    place = Path(folder) / "run"
    scan = small_scan("far", 2, noise=True)
    engines = [{"name": name, "iterations": 60} for name in ("DM", "mPIE", "ML")]
    pids = list(ranks.collect([os.getpid()]))
    if ranks.first:
        print(*pids, flush=True)
    if ranks.by_first(place.exists):
        every = 10**6 if (Path(folder) / "enough").exists() else 1
        result = exitwave.resume(place, scan.data, {"checkpoint_every": every})
    else:
        result = scan.run(*engines, checkpoint=place, checkpoint_every=1)
    whole = scan.run(*engines)
    return {"same": not ranks.first or not differ(whole, result)}


def refused(folder: str) -> dict[str, Any]:
    """By fewer ranks than wrote it, and with other data."""
    ranks = find_ranks("world")
    from mpi4py import MPI

    place = Path(folder) / "refused"
    scan = small_scan("far", 2, noise=True)
    scan.run(RAAR, checkpoint=place, callback=lambda state: True)

    def refusal(*data: Any, comm: Any = None) -> str:
        try:
            exitwave.resume(place, *data, {"comm": comm})
        except exitwave.ExitwaveError as error:
            return str(error)
        return ""

    other = scan.data.copy()
    if ranks.rank == 1:
        other[[3, 4]] = other[[4, 3]]
        other[[0, 1, 2, 5, 6, 7]] = other[[7, 6, 5, 2, 1, 0]]
    pair = MPI.COMM_WORLD.Split(ranks.rank // 2)
    alone, by_two = refusal(scan.data, comm=False), refusal(scan.data, comm=pair)
    found = [alone, by_two, refusal(other), refusal(None)]
    token = read_checkpoint(place).token
    if ranks.rank == 2:
        place.with_name(f"{place.name}.{token}.rank2").unlink()
    ranks.any(False)
    found.append(refusal(scan.data).replace(token, "TOKEN").replace(folder, ""))
    return {"ranks": list(ranks.collect([found]))}


JOBS: tuple[Callable[[str], dict[str, Any]], ...] = (
    resumed,
    agreed,
    a_full_disk,
    to_be_killed,
    refused,
)

if __name__ == "__main__":
    main(JOBS)
