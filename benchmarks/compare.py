#!/usr/bin/env python3
"""Compares two results files: for each case the last line of each, and their ratio.

With one file, its last line of each case with the one before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from results import latest, read

# Keys of the environment that may differ without making numbers incomparable.
EXPECTED_TO_DIFFER = ("date", "commit", "dirty", "exitwave", "command", "load")
Record = dict[str, Any]


@click.command(help=__doc__)
@click.argument("old", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
def main(old: Path, new: Path | None) -> None:
    console = Console()
    try:
        before, after = _pair(read(old), None if new is None else read(new))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    both = [key for key in before if key in after]
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "quantity"):
        table.add_column(heading)
    for heading in ("old", "new", "new / old", "ratio to floor"):
        table.add_column(heading, justify="right")
    for key in both:
        table.add_row(*key, *_cells(before[key], after[key]))
    console.print(table)
    for title, left_out in (
        ("only in the old file", before.keys() - after.keys()),
        ("only in the new file", after.keys() - before.keys()),
    ):
        if left_out:
            console.print(f"{title}: " + ", ".join(sorted({case for case, _ in left_out})))
    for difference in differences([(before[key], after[key]) for key in both]):
        console.print(difference, style="yellow")


def _pair(
    old: list[Record], new: list[Record] | None
) -> tuple[dict[tuple[str, str], Record], dict[tuple[str, str], Record]]:
    if new is not None:
        return latest(old), latest(new)
    after = latest(old)
    newest = {id(record) for record in after.values()}
    return latest(record for record in old if id(record) not in newest), after


def _cells(old: Record, new: Record) -> tuple[str, ...]:
    unit = f" {new['unit']}" if new.get("unit") else ""
    ratio = "" if not old["value"] or new["value"] is None else f"{new['value'] / old['value']:.3f}"
    floors = [f"{r['ratio']:.2f}" if r.get("ratio") is not None else "–" for r in (old, new)]
    return _number(old["value"], unit), _number(new["value"], unit), ratio, " → ".join(floors)


def _number(value: float | None, unit: str) -> str:
    return "not finite" if value is None else f"{value:.4g}{unit}"


def differences(pairs: list[tuple[Record, Record]]) -> list[str]:
    """Sentences on what makes the two sides incomparable."""
    found: dict[str, None] = {}
    for old, new in pairs:
        first, second = old["environment"], new["environment"]
        for key in sorted(first.keys() | second.keys()):
            if key not in EXPECTED_TO_DIFFER and first.get(key) != second.get(key):
                found[f"{key} differs: {first.get(key)} → {second.get(key)}"] = None
        for side, facts in (("old", first), ("new", second)):
            if (facts.get("load") or 0) > facts.get("cores", 1):
                found[f"the {side} side was measured on a busy machine"] = None
    return list(found)


if __name__ == "__main__":
    main()
