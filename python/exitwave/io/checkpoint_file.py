"""Checkpoints on disk: HDF5 with the run as a tree, and what the engine's core holds in pieces.

Of several ranks each writes what it alone has into a companion, ``NAME.TOKEN.rankN``. The file of
the name itself is written when all of these are on disk, and says which belong to it: renaming it
into its place exchanges the whole set at once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.checkpoint import Checkpoint, EngineStanding, Source
from exitwave.errors import ExitwaveError, FileFormatError
from exitwave.io import hdf5
from exitwave.io.atomic import new_hdf5, remove_temporaries
from exitwave.io.marked import MarkedFile
from exitwave.io.trees import read_tree, write_tree
from exitwave.ranks import ALONE, Ranks
from exitwave.start import StartObject

FILE = MarkedFile(
    "checkpoint",
    "exitwave_checkpoint",
    version=2,
    advice="give the name of a checkpoint, or of the result that it belongs to",
    remedy="start the run again",
)
COMPANION = MarkedFile(
    "rank's part of a checkpoint",
    "exitwave_checkpoint_of_rank",
    version=1,
    advice="remove it, and start the run again",
    remedy="start the run again",
)
# What each rank has for itself.
_OWN = ("object", "fingerprint")
_TOKEN = r"[0-9a-f]{8}"


def write_checkpoint(
    place: Path, checkpoint: Checkpoint, core: Any, ranks: Ranks = ALONE
) -> Checkpoint:
    """Write a checkpoint, and what the core of its engine holds, in the place of the last one.

    All ranks call it. Returned is the checkpoint with what names its files.

    Raises
    ------
    ExitwaveError
        The operating system refuses to write, to any rank; the last checkpoint stays, and nothing
        else.
    """
    if ranks.size == 1:
        _write_named(place, checkpoint, core)
        return checkpoint
    token = ranks.by_first(lambda: secrets.token_hex(4))
    checkpoint = replace(checkpoint, ranks=ranks.size, token=token)
    try:
        ranks.agree(lambda: _write_companion(place, checkpoint, core, ranks))
        ranks.by_first(lambda: _write_named(place, checkpoint, core))
    except Exception:
        # The new name may be there although it is not known to be on disk.
        if ranks.by_first(lambda: _token_of(place)) != token:
            companion(place, token, ranks.rank).unlink(missing_ok=True)
        raise
    return checkpoint


def companion(place: Path, token: str, rank: int) -> Path:
    """Where a rank writes what it alone has."""
    return place.with_name(f"{place.name}.{token}.rank{rank}")


def _write_companion(place: Path, checkpoint: Checkpoint, core: Any, ranks: Ranks) -> None:
    try:
        with new_hdf5(companion(place, checkpoint.token, ranks.rank), overwrite=True) as file:
            COMPANION.stamp(file)
            write_tree(file.create_group("run"), {name: vars(checkpoint)[name] for name in _OWN})
            _write_engine(file, core)
    except ExitwaveError as error:
        raise type(error)(f"rank {ranks.rank} of {ranks.size}: {error}") from error


def _write_named(place: Path, checkpoint: Checkpoint, core: Any) -> None:
    """All of a rank alone, else what all ranks have alike."""
    parts: dict[str, Any] = {
        "source": asdict(checkpoint.source),
        "engine": asdict(checkpoint.engine),
        "start_object": checkpoint.start_object.values(),
    }
    if checkpoint.ranks > 1:
        parts |= dict.fromkeys(_OWN)
    with new_hdf5(place, overwrite=True) as file:
        FILE.stamp(file)
        write_tree(file.create_group("run"), vars(checkpoint) | parts)
        if checkpoint.ranks == 1:
            _write_engine(file, core)


def _write_engine(file: h5py.File, core: Any) -> None:
    engine = file.create_group("engine")

    def write(name: str, total: int, first: int, piece: npt.NDArray[Any]) -> None:
        stored = engine.get(name)
        if stored is None:
            stored = engine.create_dataset(name, (total,), piece.dtype)
        stored[first : first + len(piece)] = piece

    core.save(write)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; what its engine's core holds is left to :func:`engine_restorer`.

    Of one that several ranks wrote :func:`read_own` reads the rest.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or no checkpoint.
    """
    with FILE.opened(path) as file:
        tree = read_tree(FILE.group(file, "run"))
        tree["source"] = Source(**tree["source"])
        tree["engine"] = EngineStanding(**tree["engine"])
        tree["start_object"] = StartObject(**tree["start_object"])
        return Checkpoint(**tree)


def read_own(path: Path, checkpoint: Checkpoint, rank: int) -> Checkpoint:
    """The checkpoint with what this rank alone had.

    Raises
    ------
    FileFormatError
        The rank's file is missing or damaged.
    """
    if checkpoint.ranks == 1:
        return checkpoint
    with COMPANION.opened(companion(path, checkpoint.token, rank)) as file:
        return replace(checkpoint, **read_tree(COMPANION.group(file, "run")))


def engine_restorer(path: Path, checkpoint: Checkpoint, rank: int = 0) -> Callable[[Any], None]:
    """A function that gives a core what the engine of the checkpoint held."""
    kind, place = FILE, path
    if checkpoint.ranks > 1:
        kind, place = COMPANION, companion(path, checkpoint.token, rank)

    def restore(core: Any) -> None:
        with kind.opened(place) as file:
            engine = kind.group(file, "engine")

            def read(name: str, total: int, first: int, piece: npt.NDArray[Any]) -> None:
                stored = hdf5.find(engine, name)
                if stored is None or stored.shape != (total,) or stored.dtype != piece.dtype:
                    raise FileFormatError(
                        f"{name} has another size there than here; resume on the kind of device "
                        "that the checkpoint was made on, with the same version of exitwave."
                    )
                stored.read_direct(piece, np.s_[first : first + len(piece)])

            core.restore(read)

    return restore


def remove_leftovers(place: Path, token: str = "") -> None:
    """Remove files beside a checkpoint that do not belong to it.

    They are what processes that were killed while they wrote it have left there, and companions
    with another token.
    """
    name = re.escape(place.name)
    remove_temporaries(place.parent, rf"{name}(\.{_TOKEN}\.rank\d+)?")
    companions = re.compile(rf"{name}\.({_TOKEN})\.rank\d+")
    for other in place.parent.iterdir():
        match = companions.fullmatch(other.name)
        if match and match[1] != token:
            other.unlink(missing_ok=True)


def _token_of(place: Path) -> str:
    """Of the companions of a checkpoint; "" where there is none."""
    return read_checkpoint(place).token if place.exists() else ""
