"""The cost model against runs over MPI ranks: ``python ranks.py`` starts them and writes a table.

Bytes are those that the communicator sent in an iteration, all ranks together; they must be those
of the halo of the same partition and of the probe's sums, to and fro, exactly. The model knows
nothing of the groups that ePIE draws and estimates its halo; here the pixels that each group
reaches are counted one by one, and the estimate must come close.

Times are compared by ratio: an iteration on so many ranks, with one thread each, to one rank. Runs
alternate, and the fastest iteration of all counts. It exits with 1 where something is off.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import exitwave
from cases.processes import last_line
from environment import load
from exitwave import scans
from exitwave.partition import draw_groups, spatial_order, split_in_parts
from exitwave.topology import Job, Machine, find_halo, predict, read_machine

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
ITERATIONS = 40
ROUNDS = 3
# By how much the estimate for drawn groups, and the ratio of times, may be off the model.
CLOSE = 0.03
LARGEST_FACTOR = 1.3


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
                ITERATIONS,
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
    found: dict[str, Any] = last_line(launcher, "-n", ranks, sys.executable, __file__, what)
    return found


def drawn_bytes(ranks: int, parts: int, probe: int) -> int:
    """Bytes between ranks in the second iteration of ePIE, with ``probe`` for the probe's sums:
    of every group it draws, the pixels that it reaches on tiles of ranks that do not own them."""
    where = positions(FRAME, FRAMES)
    corner = where.astype(int)
    cut = split_in_parts(where, ranks * parts, frame_shape=FRAME, together=(parts,))
    halo = find_halo(where, cut, FRAME)
    owner = _owners(corner, cut, halo.object_shape)
    order, random = spatial_order(where), np.random.default_rng(0)
    groups = [draw_groups(order, GROUP, random) for _ in range(2)][1]
    pixels = 0
    for group in groups:
        reached = np.zeros(halo.object_shape, bool)
        for y, x in corner[group]:
            reached[y : y + FRAME[0], x : x + FRAME[1]] = True
        for sender, (y0, x0, y1, x1) in enumerate(halo.tiles):
            owners = owner[y0:y1, x0:x1][reached[y0:y1, x0:x1]]
            pixels += np.count_nonzero(owners // parts != sender // parts)
    there_and_back = 2 * (8 + 4) * pixels
    return there_and_back + probe


def _owners(corner: np.ndarray, cut: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Part that owns each pixel: the first whose windows' centres are around it, else the first
    whose windows are."""
    owner = np.full(shape, -1)
    half = np.array(FRAME) // 2
    for first, last in (((0, 0), FRAME), (half, half)):
        for part in reversed(range(len(cut))):
            y0, x0 = corner[cut[part]].min(axis=0) + first
            y1, x1 = corner[cut[part]].max(axis=0) + last
            owner[y0:y1, x0:x1] = part
    return owner


def modelled_bytes(engine: str, ranks: int, parts: int) -> tuple[int, int]:
    """Bytes of halo and probe sums that pass between ranks in an iteration; of ePIE the latter."""
    group = {"group_size": GROUP} if engine == "ePIE" else {}
    job = Job(positions(FRAME, FRAMES), FRAME, engine, probe_modes=MODES, **group)
    prediction = predict(job, machine_of(ranks, parts), ranks, reduction="shares")
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
        predict(job, machine_of(1, count), 1, devices=count, reduction="shares").seconds
        for count in (1, ranks)
    )
    return several / one


def bytes_table() -> tuple[list[str], bool]:
    """Rows: engine, ranks, parts of each; modelled, exact, counted bytes. Whether all is well."""
    rows = [
        "| engine | ranks | parts of each | halo | probe | modelled | exact | counted | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    good = True
    for ranks in RANKS[1:]:
        counted = start(ranks, "bytes")
        for engine in ENGINES:
            for parts in PARTS:
                halo, probe = modelled_bytes(engine, ranks, parts)
                model = exact = halo + probe
                if engine == "ePIE":
                    exact = drawn_bytes(ranks, parts, probe)
                found = counted[f"{engine} {parts}"]
                right = found == exact and abs(model / exact - 1) <= CLOSE
                good = good and right
                rows.append(
                    f"| {engine} | {ranks} | {parts} | {halo:,} | {probe:,} | {model:,} | "
                    f"{exact:,} | {found:,} | {'equal' if right else 'off'} |"
                )
    return rows, good


def times_table(cores: int) -> tuple[list[str], bool]:
    """Rows: engine; milliseconds on one rank, and ratios of more ranks to it. Whether they fit."""
    rows = [
        "| engine | ranks | 1 rank, ms | all ranks, ms | ratio | modelled ratio | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    counts = [count for count in RANKS if count <= cores]
    rounds = [{count: start(count, "times") for count in counts} for _ in range(ROUNDS)]
    good = True
    for ranks in counts[1:]:
        for engine in ENGINES:
            one, several = (min(times[count][engine] for times in rounds) for count in (1, ranks))
            model = modelled_ratio(engine, ranks)
            right = 1 / LARGEST_FACTOR <= several / one / model <= LARGEST_FACTOR
            good = good and right
            rows.append(
                f"| {engine} | {ranks} | {1e3 * one:.1f} | {1e3 * several:.1f} | "
                f"{several / one:.2f} | {model:.2f} | {'close' if right else 'off'} |"
            )
    return rows, good


def main() -> None:
    """Write the tables; leave with 1 where something is off."""
    exchanged, bytes_fit = bytes_table()
    timed_rows, times_fit = times_table(len(os.sched_getaffinity(0)))
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
        f"{size} on a spiral, {MODES} probe modes, ePIE in groups of {GROUP}. Without the scalars. "
        "Exact is the model, and of ePIE a count of what the groups that it draws reach, to which "
        f"the model comes within {100 * CLOSE:.0f} %.",
        "",
        *exchanged,
        "",
        f"## Time of an iteration, {cores} cores",
        "",
        f"{timed}, {MODES} probe modes, one part and thread for each rank; the fastest of {ROUNDS} "
        f"times {ITERATIONS - 1}. Load of the machine at the end: {load()}. Close: within a factor "
        f"of {LARGEST_FACTOR}.",
        "",
        *timed_rows,
    ]
    RESULT.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))
    raise SystemExit(0 if bytes_fit and times_fit else 1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1])
    else:
        main()
