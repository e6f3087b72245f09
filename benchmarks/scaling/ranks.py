"""The cost model against runs over MPI ranks: ``python ranks.py`` starts them and writes a table.

Bytes are those that the communicator sent in an iteration, all ranks together; the model has the
halo of the same partition and, for the probe, all sums to one part and back. Times are compared by
ratio: an iteration on so many ranks, with one thread each, to one rank.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import exitwave
from exitwave import scans
from exitwave.topology import Job, Machine, predict, read_machine

RESULT = Path(__file__).with_name("results") / "ranks.md"
FRAME = (64, 48)
FRAMES = 400
ENGINES = ("AP", "DM", "ePIE", "ML")
MODES = 2
GROUP = 100
PARTS = (1, 2)
RANKS = (1, 2, 4)
TIMED_FRAME = (128, 128)
TIMED_FRAMES = 300


def positions(shape: tuple[int, int], frames: int) -> np.ndarray:
    """A spiral with steps of a fifth of a frame, whole pixels."""
    step = (shape[0] / 5, shape[1] / 5)
    placed = np.rint(scans.spiral(frames, step))
    return np.asarray(placed - placed.min(axis=0), dtype=np.float64)


def _params(engine: str, iterations: int, **more: Any) -> dict[str, Any]:
    settings = {"name": engine, "iterations": iterations, "probe_start": 0}
    if engine == "ePIE":
        settings["group_size"] = GROUP
    return {"engines": [settings], "scale_start": False, "progress": False, "comm": "world"} | more


def work(what: str) -> None:
    """What each rank does; the first prints what it found."""
    from mpi4py import MPI

    from exitwave.mpi import find_ranks

    ranks = find_ranks("world")
    alone = MPI.COMM_WORLD.Get_size() == 1
    rng = np.random.default_rng(1)
    found: dict[str, Any] = {}
    shape, frames = (FRAME, FRAMES) if what == "bytes" else (TIMED_FRAME, TIMED_FRAMES)
    where = positions(shape, frames)
    data = rng.poisson(5, (frames, *shape)).astype(np.uint16)
    probe = rng.standard_normal((MODES, *shape)) + 1j * rng.standard_normal((MODES, *shape))

    def run(engine: str, iterations: int, callback: Any = None, **more: Any) -> None:
        given = _params(engine, iterations, callback=callback, **more)
        exitwave.ptychography(data, None, probe, where, None, given)

    for engine in ENGINES:
        if what == "bytes":
            for parts in PARTS:
                sent: list[int] = []
                for iterations in (1, 2):
                    before = 0 if alone else ranks.communicator.sent_bytes
                    run(engine, iterations, parts=parts, gather=False)
                    sent.append((0 if alone else ranks.communicator.sent_bytes) - before)
                found[f"{engine} {parts}"] = int(ranks.sum(np.array([sent[1] - sent[0]]))[0])
        else:
            stamps: list[float] = []
            run(
                engine,
                12,
                lambda state, stamps=stamps: stamps.append(time.perf_counter()),
                gather=False,
                device="cpu:1",
            )
            found[engine] = float(np.diff(stamps).min()) if ranks.first else 0.0
    if ranks.first:
        print(json.dumps(found))


def start(ranks: int, what: str) -> dict[str, Any]:
    """Runs :func:`work` on so many ranks."""
    launcher = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or "mpiexec"
    job = subprocess.run(
        [launcher, "-n", str(ranks), sys.executable, __file__, what],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(job.stdout.splitlines()[-1])
    return found


def modelled_bytes(engine: str, ranks: int, parts: int) -> tuple[int, int]:
    """Bytes of halo and probe sums that pass between ranks in an iteration; of ePIE the latter."""
    group = {"group_size": GROUP} if engine == "ePIE" else {}
    job = Job(positions(FRAME, FRAMES), FRAME, engine, probe_modes=MODES, **group)
    prediction = predict(job, machine_of(ranks, parts), ranks, reduction="star")
    between = [
        traffic.bytes[0] for traffic in (prediction.object_traffic, prediction.probe_traffic)
    ]
    return round(between[0]), round(between[1])


def machine_of(ranks: int, parts: int) -> Machine:
    """Ranks as nodes, parts as their devices."""
    laptop = read_machine("laptop")
    network, memory = laptop.levels
    inside = memory.model_copy(update={"members": parts, "shared_memory": False})
    return laptop.model_copy(update={"levels": (network, inside)})


def modelled_ratio(engine: str, ranks: int) -> float:
    """Time of an iteration on so many ranks of one machine, over that on one."""
    group = {"group_size": GROUP} if engine == "ePIE" else {}
    where = positions(TIMED_FRAME, TIMED_FRAMES)
    job = Job(where, TIMED_FRAME, engine, probe_modes=MODES, batch=1, **group)
    one, several = (
        predict(job, machine_of(1, count), 1, devices=count, reduction="star").seconds
        for count in (1, ranks)
    )
    return several / one


def bytes_table() -> list[str]:
    """Rows: engine, ranks, parts of each; modelled and counted bytes."""
    rows = [
        "| engine | ranks | parts of each | halo | probe | modelled | counted | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for ranks in RANKS[1:]:
        counted = start(ranks, "bytes")
        for engine in ENGINES:
            for parts in PARTS:
                halo, probe = modelled_bytes(engine, ranks, parts)
                found = counted[f"{engine} {parts}"]
                rows.append(
                    f"| {engine} | {ranks} | {parts} | {halo:,} | {probe:,} | {halo + probe:,} | "
                    f"{found:,} | {found / (halo + probe):.4f} |"
                )
    return rows


def times_table(cores: int) -> list[str]:
    """Rows: engine; milliseconds on one rank, and ratios of more ranks to it."""
    rows = [
        "| engine | ranks | 1 rank, ms | all ranks, ms | ratio | modelled ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    one = start(1, "times")
    for ranks in (count for count in RANKS[1:] if count <= cores):
        several = start(ranks, "times")
        for engine in ENGINES:
            rows.append(
                f"| {engine} | {ranks} | {1e3 * one[engine]:.1f} | {1e3 * several[engine]:.1f} | "
                f"{several[engine] / one[engine]:.2f} | {modelled_ratio(engine, ranks):.2f} |"
            )
    return rows


def main() -> None:
    """Write the tables."""
    cores = len(os.sched_getaffinity(0))
    size = f"{FRAMES} frames of {FRAME[0]} x {FRAME[1]}"
    timed = f"{TIMED_FRAMES} frames of {TIMED_FRAME[0]} x {TIMED_FRAME[1]}"
    text = [
        "# The cost model against runs over MPI ranks",
        "",
        "Written by `ranks.py`; see the [README](../README.md).",
        "",
        "## Bytes between ranks in an iteration",
        "",
        f"{size} on a spiral, {MODES} probe modes, ePIE in groups of {GROUP}. Without the scalars.",
        "",
        *bytes_table(),
        "",
        f"## Time of an iteration, {cores} cores",
        "",
        f"{timed}, {MODES} probe modes, one part and thread for each rank; the fastest of eleven.",
        "",
        *times_table(cores),
    ]
    RESULT.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1])
    else:
        main()
