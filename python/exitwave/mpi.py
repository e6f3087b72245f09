"""Ranks that are processes of an MPI job, through mpi4py."""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from exitwave import _core
from exitwave.devices import available_threads
from exitwave.errors import DeviceError, ExitwaveError
from exitwave.launcher import launched_processes
from exitwave.ranks import ALONE, Array, Ranks, T

_WAY_OUT = 'or set "comm" to False to let each process work alone'


def find_ranks(wanted: Any) -> Ranks:
    """The ranks of a run, for its parameter ``comm``.

    Parameters
    ----------
    wanted : None, False, "world" or communicator of mpi4py
        None: those of the MPI job that this process was started in, if any, unless the program
        uses mpi4py itself; False: this process alone; "world": all of the job.

    Raises
    ------
    DeviceError
        mpi4py is not installed, or its library belongs to another MPI than the launcher.
    """
    started = launched_processes()
    if wanted is False or (wanted is None and (started < 2 or _used_by_others())):
        return ALONE
    if find_spec("mpi4py") is None:
        raise DeviceError(
            f"{started} processes were started as an MPI job, but mpi4py is not installed; install "
            f"exitwave[mpi], {_WAY_OUT}."
            if wanted is None
            else 'comm is "world", but mpi4py is not installed; install exitwave[mpi].'
        )
    world = _world()
    if wanted in (None, "world") and world.Get_size() == 1 and started > 1:
        raise DeviceError(
            f"{started} processes were started as an MPI job, but each finds itself alone: mpi4py "
            "uses another MPI library than the one that mpiexec belongs to; start with that "
            f"library's mpiexec, {_WAY_OUT}."
        )
    chosen = world if wanted in (None, "world") else wanted
    return ALONE if chosen.Get_size() == 1 else _ranks_of(chosen)


_ours = False


def _used_by_others() -> bool:
    """Whether the program had started MPI before this package did."""
    module = sys.modules.get("mpi4py.MPI")
    return not _ours and module is not None and bool(module.Is_initialized())


def _world() -> Any:
    global _ours
    _ours = _ours or not _used_by_others()
    from mpi4py import MPI

    return MPI.COMM_WORLD


_KEY: Any = None


def _ranks_of(comm: Any) -> MpiRanks:
    """Made once for each communicator, which keeps it."""
    global _KEY
    from mpi4py import MPI

    if _KEY is None:
        _KEY = MPI.Comm.Create_keyval()
    ranks = comm.Get_attr(_KEY)
    if ranks is None:
        # Messages of its own, apart from those of the program.
        ranks = MpiRanks(comm.Dup())
        comm.Set_attr(_KEY, ranks)
    return ranks  # type: ignore[no-any-return]


class MpiRanks(Ranks):
    """The processes of a communicator."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm = comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.on_node = node.Get_size()
        self.rank_on_node = node.Get_rank()
        cores = set().union(*node.allgather(_own_cores()))
        node.Free()
        # Bound by the launcher or not, and the same on all, because parts are.
        self._cores = int(comm.allreduce(max(1, len(cores) // self.on_node), MPI.MIN))
        self._communicator = _Communicator(comm, crowded=len(cores) < self.on_node)

    @property
    def cores(self) -> int:
        return self._cores

    @property
    def communicator(self) -> _Communicator:
        return self._communicator

    @contextmanager
    def together(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not getattr(error, "agreed", False):
                self._end_all(error)
            raise

    def _end_all(self, error: BaseException) -> None:
        if type(error).__module__.startswith("mpi4py"):
            # Most likely another rank has failed, and will end this one with its message.
            time.sleep(2)
        if not isinstance(error, ExitwaveError | OSError | KeyboardInterrupt):
            traceback.print_exception(error)
        what = str(error) or type(error).__name__
        print(f"exitwave: rank {self.rank} of {self.size}: {what}", file=sys.stderr, flush=True)
        self._comm.Abort(1)

    def agree(self, work: Callable[[], T]) -> T:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised
        errors = self._comm.allgather(_sendable(error))
        first = next((number for number, e in enumerate(errors) if e is not None), None)
        if first is None:
            return result  # type: ignore[return-value]
        shared: Any = error if first == self.rank else errors[first]
        self.mark_agreed(shared)
        raise shared

    def mark_agreed(self, error: Any) -> None:
        error.agreed = True
        error.reported_elsewhere = not self.first

    def by_first(self, work: Callable[[], T]) -> T:
        result = self.agree(lambda: work() if self.first else None)
        return self._comm.bcast(result)  # type: ignore[no-any-return]

    def sum(self, values: Array) -> Array:
        total = np.zeros_like(values)
        for each in self._comm.allgather(values):
            total += each
        return total

    def largest(self, value: float) -> float:
        return float(max(self._comm.allgather(value)))

    def first_given(self, value: T | None) -> T | None:
        return next((each for each in self._comm.allgather(value) if each is not None), None)

    def any(self, flag: bool) -> bool:
        return any(self._comm.allgather(flag))

    def collect(self, pieces: Iterable[T]) -> Iterator[T]:
        if not self.first:
            for piece in pieces:
                self._comm.send((True, piece), 0)
            self._comm.send((False, None), 0)
            return
        yield from pieces
        for rank in range(1, self.size):
            more, piece = self._comm.recv(source=rank)
            while more:
                yield piece
                more, piece = self._comm.recv(source=rank)

    def spread(self, array: Array | None) -> Array | None:
        shape, dtype = self._comm.bcast(None if array is None else (array.shape, array.dtype))
        target = np.empty(shape, dtype) if array is None else np.ascontiguousarray(array)
        self._comm.Bcast(target)
        return target


class _Communicator(_core.Communicator):  # type: ignore[misc,name-defined]
    """What the core calls; ``sent_bytes`` and ``messages`` count what it sent.

    ``crowded``: ranks share cores, so one that waits makes room for those that work.
    """

    def __init__(self, comm: Any, crowded: bool) -> None:
        super().__init__()
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self._crowded = crowded
        self._requests: list[Any] = []
        self._reaches_devices = reaches_devices(comm)
        self.sent_bytes = 0
        self.messages = 0

    def start(self, messages: list[tuple[int, memoryview, bool]]) -> None:
        for rank, memory, sent in messages:
            begin = self._comm.Isend if sent else self._comm.Irecv
            self._requests.append(begin([memory, self._mpi.BYTE], rank))
            if sent:
                self.sent_bytes += memory.nbytes
                self.messages += 1

    def finish(self) -> None:
        while self._crowded and not self._mpi.Request.Testall(self._requests):
            time.sleep(0)
        self._mpi.Request.Waitall(self._requests)
        self._requests.clear()

    def gather(self, values: Array, counts: list[int]) -> None:
        places = [0, *np.cumsum(counts[:-1]).tolist()]
        table = [values, counts, places, self._mpi.DOUBLE]
        gathering = self._comm.Iallgatherv(self._mpi.IN_PLACE, table)
        while self._crowded and not gathering.Test():
            time.sleep(0)
        gathering.Wait()

    def reaches_devices(self) -> bool:
        return self._reaches_devices


def reaches_devices(comm: Any) -> bool:
    """Whether the MPI library says that messages may lie in the memory of CUDA devices.

    MPI 4.1 has the info key "mpi_memory_alloc_kinds" for it; Cray's library is told by a variable.
    """
    info = comm.Get_info()
    kinds = info.Get("mpi_memory_alloc_kinds") or ""
    info.Free()
    named = {kind.partition(":")[0] for kind in kinds.split(",")}
    return "cuda" in named or os.environ.get("MPICH_GPU_SUPPORT_ENABLED") == "1"


def _own_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(available_threads()))


def _sendable(error: Exception | None) -> Exception | None:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return ExitwaveError(f"{type(error).__name__}: {error}")
    return error
