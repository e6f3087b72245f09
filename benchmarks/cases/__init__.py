"""The cases, by group: functions from settings to measurements, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from results import Measurement

GROUPS = ("quality", "speed", "threads", "memory", "streaming", "gpu")


class CaseSkippedError(Exception):
    """A case cannot run here; the message says why."""


@dataclass(frozen=True)
class Settings:
    """``quick``: sizes and iterations that only show that a case runs; no target is applied."""

    threads: int
    quick: bool

    @property
    def device(self) -> str:
        return f"cpu:{self.threads}"

    def target(self, value: float) -> float | None:
        return None if self.quick else value


CaseFunction = Callable[[Settings], Iterator[Measurement]]


def all_cases() -> dict[str, CaseFunction]:
    """Functions of all cases by "group/name", in the order in which they run."""
    from cases import gpu, memory, multislice, physics, quality, refinement, speed, streaming

    named = {}
    for group, functions in (
        ("quality", quality.CASES | physics.CASES | multislice.CASES | refinement.CASES),
        ("speed", speed.SPEED),
        ("threads", speed.THREADS),
        ("memory", memory.CASES),
        ("streaming", streaming.CASES),
        ("gpu", gpu.CASES),
    ):
        named |= {f"{group}/{name}": function for name, function in functions.items()}
    return named


def chosen_cases(names: tuple[str, ...], group: str) -> list[str]:
    """Names of the cases to run: those given ("speed/DM", or a part of it), else a group's.

    Raises
    ------
    ValueError
        A name fits no case.
    """
    every = list(all_cases())
    if not names:
        return [case for case in every if group == "all" or case.startswith(group + "/")]
    for name in names:
        if not any(name in case for case in every):
            raise ValueError(f"no case is named {name!r}; there are {', '.join(every)}")
    return [case for case in every if any(_fits(name, case, every) for name in names)]


def _fits(name: str, case: str, every: list[str]) -> bool:
    return name == case if name in every else name in case
