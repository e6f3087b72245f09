"""How commands print."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Two columns: wrapped within the second one on a terminal, one line per row elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console(markup=False, highlight=False).print(table)
        return
    width = max(len(label) for label, _ in rows) + 2
    for label, value in rows:
        print(f"{label:<{width}}{value}")


def lengths(pair_m: tuple[float, float]) -> str:
    """Two lengths with units that suit them, or one where both print alike."""
    from exitwave.io.describe import length

    row, column = map(length, pair_m)
    return row if row == column else f"{row} × {column}"
