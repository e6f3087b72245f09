"""The processes of a run, called ranks: one that does everything, or several that share the work.

Code that runs on each rank is written against :class:`Ranks`, which is one process alone;
:mod:`exitwave.mpi` has several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy.typing as npt

from exitwave.devices import available_threads

T = TypeVar("T")
Array = npt.NDArray[Any]


class Ranks:
    """One process alone. What several ranks agree on, add up or hand on is its own.

    Every method is called by all ranks, in the same order.

    Attributes
    ----------
    rank, size : int
    cores : int
        Cores that each rank may use.
    on_node, rank_on_node : int
        Ranks of this machine, which share its memory and GPUs, and the number of this one there.
    """

    rank = 0
    size = 1
    on_node = 1
    rank_on_node = 0

    @property
    def first(self) -> bool:
        """Whether this is the rank that prints, draws and writes files."""
        return self.rank == 0

    @property
    def cores(self) -> int:
        return available_threads()

    @property
    def communicator(self) -> Any:
        """What the core sends messages with; None: it has nobody to send to."""
        return None

    def together(self) -> AbstractContextManager[None]:
        """Where an error that only some ranks meet ends all of them, so that none waits."""
        return nullcontext()

    def mark_agreed(self, error: BaseException) -> None:
        """An error that all ranks are raising need not end the others, and the first reports it."""

    def agree(self, work: Callable[[], T]) -> T:
        """Does work that needs no other rank; if it fails on any, all raise the same error."""
        return work()

    def by_first(self, work: Callable[[], T]) -> T:
        """What the first rank's work returns, on all ranks."""
        return work()

    def sum(self, values: Array) -> Array:
        """Sum over ranks, in their order, so that all have the same bits."""
        return values

    def largest(self, value: float) -> float:
        """Largest over ranks."""
        return value

    def first_given(self, value: T | None) -> T | None:
        """The value of the first rank that has one."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is true on any rank."""
        return flag

    def collect(self, pieces: Iterable[T]) -> Iterator[T]:
        """On the first rank the pieces of all, rank by rank; elsewhere none. To be used up."""
        yield from pieces

    def spread(self, array: Array | None) -> Array | None:
        """The first rank's array, on all ranks."""
        return array


ALONE = Ranks()
