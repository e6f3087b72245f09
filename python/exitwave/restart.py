"""Going on with a run from its checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import exitwave
from exitwave.checkpoint import Checkpoint, Resumed, Source, find_checkpoint, remove_checkpoint
from exitwave.errors import InvalidArgument
from exitwave.parameters import Parameters, call_keys, validate_params
from exitwave.ranks import ALONE, Ranks
from exitwave.reconstruct import ranks_of, reconstruct
from exitwave.result import Result

if TYPE_CHECKING:
    from exitwave.io import Dataset

# What a resumed run may be told anew. The parts stay as they are: more or fewer of them add in
# another order; and so does the file.
_FREE = {key.name for key in call_keys() if not key.changes_result} - {
    "parts",
    "deterministic",
    "checkpoint",
}


def resume(path: str | Path, data: Any = None, params: dict[str, Any] | None = None) -> Result:
    """Go on with a run that was stopped or killed.

    The result is that of a run that was never stopped, to the bit, where device and parts are the
    same. What several MPI processes began as many must go on with.

    Parameters
    ----------
    path : str or Path
        Checkpoint, or the result file beside which it stands with the ending ".checkpoint".
    data : array, shape (N, Y, X), h5py.Dataset, or path, optional
        The counts of the run: needed where they were an array in memory, or where their file is in
        another place now.
    params : dict, optional
        Parameters that do not change the result, in place of those of the run: "callback", which
        no file holds, "time_limit", "checkpoint_every", "memory_limit", ...

    Raises
    ------
    InvalidArgument
        There is no checkpoint, the data are not those of the run, or a parameter may not change.
    FileFormatError
        The checkpoint is damaged.
    DivergenceError
        An engine diverged; the error holds the state so far.
    """
    ranks = ranks_of(params)
    with ranks.together(), ExitStack() as stack:
        place = ranks.by_first(lambda: find_checkpoint(path))
        checkpoint, checked = read_run(place, params, ranks)
        source = checkpoint.source
        counts, _ = ranks.agree(lambda: stack.enter_context(opened_data(source, data)))
        result = continue_run(place, checkpoint, checked, counts, ranks)
        remove_checkpoint(checked, result.stopped, ranks)
    return result


def read_run(
    place: Path, params: dict[str, Any] | None, ranks: Ranks = ALONE
) -> tuple[Checkpoint, Parameters]:
    """A checkpoint, and the parameters of its run with some replaced; it goes on to the same file.

    Raises
    ------
    InvalidArgument
        One of ``params`` would change the result, or the run had another number of ranks.
    """
    from exitwave.io.checkpoint_file import read_checkpoint, read_own

    common = ranks.by_first(lambda: read_checkpoint(place))

    def complete() -> tuple[Checkpoint, Parameters]:
        _check_ranks(place, common, ranks)
        checked = _replaced(place, common, params)
        return read_own(place, common, ranks.rank), checked

    checkpoint, checked = ranks.agree(complete)
    if checkpoint.version != exitwave.__version__ and ranks.first:
        warnings.warn(
            f"{place} was written by exitwave {checkpoint.version}, and this is "
            f"{exitwave.__version__}; the result may differ in its last digits from that of a run "
            "that was never stopped.",
            stacklevel=3,
        )
    return checkpoint, checked


def _check_ranks(place: Path, checkpoint: Checkpoint, ranks: Ranks) -> None:
    if checkpoint.ranks == ranks.size:
        return
    were, way = "one process", "one alone"
    if checkpoint.ranks > 1:
        were, way = f"{checkpoint.ranks} MPI processes", f"mpiexec -n {checkpoint.ranks}"
    here = "this is one" if ranks.size == 1 else f"here are {ranks.size}"
    raise InvalidArgument(
        f"{place} was written by {were}, and {here}; each goes on with what it held, so use {way}."
    )


def _replaced(place: Path, checkpoint: Checkpoint, params: dict[str, Any] | None) -> Parameters:
    given = dict(params or {})
    for name in given:
        if name not in _FREE:
            raise InvalidArgument(
                f"params has {name!r}, but a resumed run keeps what could change its result; leave "
                f"it out, or give some of {', '.join(sorted(_FREE))}."
            )
    changed = {"checkpoint": str(place)} | given
    return validate_params(checkpoint.params | changed)


@contextmanager
def opened_data(source: Source, data: Any) -> Iterator[tuple[Any, Dataset | None]]:
    """The counts of a run, from where they came or from where the user says that they are.

    With them comes the scan where its file was read with :func:`exitwave.load`.
    """
    data = source.path if data is None else data
    if data is None:
        raise InvalidArgument(
            "data is None, but the run had its counts in memory; give the same counts again."
        )
    if not isinstance(data, str | Path):
        yield data, None
        return
    path = Path(data)
    if not path.exists():
        raise InvalidArgument(
            f"the counts of the run came from {path}, which does not exist; give the data, or the "
            "path where they are now."
        )
    if source.dataset is not None:
        from exitwave.io import hdf5

        with hdf5.open_file(path) as file:
            yield hdf5.named(file, "data", source.dataset), None
        return
    from exitwave.io import load

    with load(path, **source.load) as dataset:
        yield dataset.data, dataset


def continue_run(
    place: Path, checkpoint: Checkpoint, params: Parameters, counts: Any, ranks: Ranks = ALONE
) -> Result:
    """Run what is left; the checkpoint stays."""
    from exitwave.io.checkpoint_file import engine_restorer

    return reconstruct(
        counts,
        checkpoint.start_object.whole(),
        checkpoint.start["probe"],
        checkpoint.start["positions"],
        checkpoint.mask,
        params,
        checkpoint.source,
        Resumed(checkpoint, engine_restorer(place, checkpoint, ranks.rank)),
        ranks,
    )
