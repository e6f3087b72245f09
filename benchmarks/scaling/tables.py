"""Tables of the study, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import six_terabytes
from data import SCANS
from strategies import STRATEGIES
from study import LINK_MACHINES, STRONG, WEAK, Row, select

from exitwave.topology import Prediction, read_machine


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def links(rows: Sequence[Row]) -> str:
    """MB of object sums over each kind of link, largest memory, time."""
    text = []
    for machine in LINK_MACHINES:
        described = read_machine(machine)
        names = [level.name for level in described.levels]
        head = ["scan, partition", "frames", *(f"{n}, MB" for n in names), "memory, GB", "ms"]
        body = [
            [
                f"{row.scan}, {row.strategy}",
                _range(row),
                *(f"{row.level_bytes[name] / 1e6:,.0f}" for name in names),
                f"{row.memory_bytes / 1e9:.2f}",
                f"{1e3 * row.seconds:.1f}",
            ]
            for row in select(rows, machine=machine)
        ]
        text.append(f"### {described.name}\n\n{table(head, body)}")
    return "\n".join(text)


def strong(rows: Sequence[Row]) -> str:
    """Milliseconds, and efficiency, of each partition."""
    head = ["scan, partition", *(f"{n:,}" for n in STRONG)]
    times, held = [], []
    for scan in SCANS:
        for strategy in STRATEGIES:
            shown = select(rows, scan=scan, strategy=strategy)
            label = f"{scan}, {strategy}"
            times.append([label, *(_three(1e3 * row.seconds) for row in shown)])
            held.append([label, *(_three(row.memory_bytes / 1e9) for row in shown)])
    return (
        f"Milliseconds per iteration:\n\n{table(head, times)}\n"
        f"GB on the GPU that holds most:\n\n{table(head, held)}"
    )


def weak(rows: Sequence[Row]) -> str:
    head = ["partition", *(f"{n:,}" for n in WEAK)]
    body = []
    for unit, name, factor in (("ms", "seconds", 1e3), ("GB", "memory_bytes", 1e-9)):
        for strategy in STRATEGIES:
            found = {row.devices: row for row in select(rows, strategy=strategy)}
            values = [
                _three(factor * getattr(found[n], name)) if n in found else "not counted"
                for n in WEAK
            ]
            body.append([f"{strategy}, {unit}", *values])
    return table(head, body)


def machines(rows: Sequence[Row]) -> str:
    head = ["machine", "GPUs", "compute, ms", "exchange, ms", "iteration, ms", "efficiency"]
    return table(
        head,
        [
            [
                read_machine(row.machine).name,
                row.devices,
                _three(1e3 * row.compute_s),
                _three(1e3 * row.exchange_s),
                _three(1e3 * row.seconds),
                f"{100 * row.efficiency:.0f} %",
            ]
            for row in rows
        ],
    )


def large(rows: Sequence[Row]) -> str:
    head = ["GPUs", "compute, ms", "exchange, ms", "efficiency", "GB per GPU", "memory of one ÷"]
    return table(
        head,
        [
            [
                f"{row.devices:,}",
                _three(1e3 * row.compute_s),
                _three(1e3 * row.exchange_s),
                f"{100 * row.efficiency:.0f} %",
                _three(row.memory_bytes / 1e9),
                f"{rows[0].memory_bytes / row.memory_bytes:.0f}",
            ]
            for row in rows
        ],
    )


def engines(predictions: Iterable[tuple[str, Prediction]]) -> str:
    head = ["engine", "GPUs", "updates", "compute, ms", "exchange, ms", "efficiency"]
    return table(
        head,
        [
            [
                name,
                len(p.parts),
                p.job.updates,
                _three(1e3 * p.compute_seconds),
                _three(1e3 * float(p.traffic.seconds.sum())),
                f"{100 * p.efficiency:.0f} %",
            ]
            for name, p in predictions
        ],
    )


def six_tb(plans: Sequence[six_terabytes.Plan]) -> str:
    head = [
        "machine, probe modes", "nodes", "GPUs per projection", "GB per GPU", "iterations, s",
        "read, s", "rounds", "read / written, TB", "hours",
    ]  # fmt: skip
    return table(
        head,
        [
            [
                f"{plan.machine}, {plan.probe_modes}",
                plan.nodes,
                plan.devices,
                f"{plan.memory_bytes / 1e9:.1f}",
                _three(plan.iterations_s),
                _three(plan.read_s),
                plan.rounds,
                f"{plan.read_bytes / 1e12:.2f} / {plan.written_bytes / 1e12:.2f}",
                _three(plan.hours),
            ]
            for plan in plans
        ],
    )


def _range(row: Row) -> str:
    if row.frames_least == row.frames_most:
        return str(row.frames_most)
    return f"{row.frames_least} to {row.frames_most}"


def _three(value: float) -> str:
    """Three digits, without exponents."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"
