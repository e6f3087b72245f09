#!/usr/bin/env python3
"""Runs benchmark cases, prints a table, and appends a line for each measurement to a file.

See README.md for what the numbers mean.
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cases import GROUPS, CaseSkippedError, Settings, all_cases, chosen_cases
from environment import environment, load
from exitwave.errors import ExitwaveError
from results import Measurement, append

RESULTS = Path(__file__).parent / "results"


@click.command(help=__doc__)
@click.option("--cases", "names", multiple=True, help='A name, as "speed/DM", or a part of one.')
@click.option("--group", type=click.Choice([*GROUPS, "all"]), default="all", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="Small sizes, no targets, no results file.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Results file; benchmarks/results/DATE.jsonl where it is left out.",
)
@click.option("--list", "list_only", is_flag=True, help="Print the names of the cases.")
def main(
    names: tuple[str, ...],
    group: str,
    threads: int,
    quick: bool,
    output: Path | None,
    list_only: bool,
) -> None:
    try:
        chosen = chosen_cases(names, group)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--cases") from error
    if list_only:
        click.echo("\n".join(chosen))
        return
    if output is None and not quick:
        output = RESULTS / f"{date.today().isoformat()}.jsonl"
    console = wide_console()
    facts = environment(threads, quick)
    _warn_of_load(console, facts)
    table = new_table()
    began = time.perf_counter()
    failed = 0
    for name in chosen:
        failed += _run_case(name, Settings(threads, quick), output, table, console)
    console.print(table)
    console.print(f"{time.perf_counter() - began:.0f} s; " + _summary(facts))
    if output is not None:
        console.print(f"appended to {output}")
    raise SystemExit(1 if failed else 0)


def _run_case(
    name: str, settings: Settings, output: Path | None, table: Table, console: Console
) -> int:
    """Number of measurements that miss their target; each is kept as soon as it is there."""
    missed = 0
    console.print(f"{name} ...", style="dim")
    try:
        for measurement in all_cases()[name](settings):
            table.add_row(*row(measurement))
            missed += measurement.reached is False
            if output is not None:
                append(output, measurement, environment(settings.threads, settings.quick))
    except CaseSkippedError as reason:
        table.add_row(name, f"skipped: {reason}")
    except ExitwaveError as error:
        table.add_row(name, f"failed: {error}")
        missed += 1
    return missed


def wide_console() -> Console:
    """A console whose tables are not folded where their output goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def new_table() -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "quantity"):
        table.add_column(heading)
    for heading in ("value", "target", "floor", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("")
    return table


def row(measurement: Measurement) -> tuple[str, ...]:
    """Cells of a measurement; the target is a ratio where it is marked with a cross."""
    m = measurement
    unit = f" {m.unit}" if m.unit else ""
    target = ""
    if m.target is not None:
        sign = "≥" if m.at_least else "≤"
        target = f"{sign} {m.target:.3g}" + (unit if m.judged == "value" else " ×")
    return (
        m.case,
        m.quantity,
        f"{m.value:.3g}{unit}",
        target,
        "" if m.floor is None else f"{m.floor:.3g}{unit}",
        "" if m.ratio is None else f"{m.ratio:.2f}",
        verdict(m),
    )


def verdict(measurement: Measurement) -> str:
    if not measurement.correct:
        return "[red]wrong[/red]"
    if measurement.reached is None:
        return ""
    return "[green]reached[/green]" if measurement.reached else "[red]missed[/red]"


def _summary(facts: dict[str, Any]) -> str:
    dirty = " with changes" if facts["dirty"] else ""
    return (
        f"exitwave {facts['exitwave']} at {facts['commit']}{dirty}, {facts['compiler']}, "
        f"{facts['simd']}, {facts['fft']}; {facts['cpu']}, {facts['cores']} cores, load {load()}"
    )


def _warn_of_load(console: Console, facts: dict[str, Any]) -> None:
    if facts["load"] is not None and facts["load"] > 0.5:
        console.print(
            f"the machine is not quiet: load {facts['load']} on {facts['cores']} cores; times and "
            "ratios will be too large or scatter",
            style="yellow",
        )


if __name__ == "__main__":
    main()
