"""Checkpoints on disk: HDF5 with the run as a tree, and what the engine's core holds in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.checkpoint import Checkpoint, EngineStanding, Source
from exitwave.errors import ExitwaveError, FileFormatError
from exitwave.io import hdf5
from exitwave.io.atomic import new_hdf5
from exitwave.io.trees import read_tree, write_tree

MARK = "exitwave_checkpoint"
LAYOUT_VERSION = 1


def write_checkpoint(path: Path, checkpoint: Checkpoint, core: Any) -> None:
    """Write a checkpoint, and what the core of its engine holds, in the place of the last one.

    Raises
    ------
    ExitwaveError
        The operating system refuses to write; the last checkpoint stays, and nothing else.
    """
    with new_hdf5(path, overwrite=True) as file:
        file.attrs.update({MARK: LAYOUT_VERSION, "creator": "exitwave"})
        parts = {"source": asdict(checkpoint.source), "engine": asdict(checkpoint.engine)}
        write_tree(file.create_group("run"), vars(checkpoint) | parts)
        engine = file.create_group("engine")

        def write(name: str, total: int, first: int, piece: npt.NDArray[Any]) -> None:
            stored = engine.get(name)
            if stored is None:
                stored = engine.create_dataset(name, (total,), piece.dtype)
            stored[first : first + len(piece)] = piece

        core.save(write)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; what its engine's core holds is left to :func:`engine_restorer`.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or no checkpoint.
    """
    with _opened(path) as file:
        tree = read_tree(_group(file, "run"))
        tree["source"] = Source(**tree["source"])
        tree["engine"] = EngineStanding(**tree["engine"])
        return Checkpoint(**tree)


def engine_restorer(path: Path) -> Callable[[Any], None]:
    """A function that gives a core what the engine of the checkpoint held."""

    def restore(core: Any) -> None:
        with _opened(path) as file:
            engine = _group(file, "engine")

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


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with hdf5.open_file(path) as file:
            if MARK not in file.attrs:
                raise FileFormatError(
                    "the file is no checkpoint of exitwave; give the name of a checkpoint, or of "
                    "the result that it belongs to."
                )
            version = int(file.attrs[MARK])
            if version > LAYOUT_VERSION:
                raise FileFormatError(
                    f"the checkpoint has layout version {version}, but this program knows up to "
                    f"{LAYOUT_VERSION}; update exitwave."
                )
            yield file
    except ExitwaveError as error:
        raise type(error)(f"{path}: {error}") from error
    except (OSError, LookupError, RuntimeError, ValueError, TypeError) as error:
        raise FileFormatError(
            f"{path}: the checkpoint is damaged ({error}); start the run again."
        ) from error


def _group(file: h5py.File, name: str) -> h5py.Group:
    group = hdf5.find_group(file, name)
    if group is None:
        raise FileFormatError(f"the checkpoint lacks {name}; start the run again.")
    return group
