"""Progress of a run: a bar per engine on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exitwave.engine_run import EngineRun
    from exitwave.parameters import Parameters


class _Silent:
    def begin(self, engine: EngineRun) -> None:
        """An engine starts."""

    def advance(self, engine: EngineRun) -> None:
        """An iteration is done."""


class _Bars(_Silent):
    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task: Any = None

    def begin(self, engine: EngineRun) -> None:
        self._task = self._bars.add_task(
            engine.name, total=engine.params.iterations, completed=len(engine.errors), error=""
        )

    def advance(self, engine: EngineRun) -> None:
        self._bars.update(self._task, advance=1, error=f"Fourier error {engine.errors[-1]:.4g}")


@contextmanager
def progress_of(params: Parameters, shown: bool = True) -> Iterator[_Silent]:
    """What shows the progress of a run, as its parameters and the terminal ask for, if at all."""
    wanted = sys.stderr.isatty() if params.progress is None else params.progress
    if not wanted or not shown:
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:>5}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[error]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars)
