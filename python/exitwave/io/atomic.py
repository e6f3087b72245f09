"""Files that are there in full or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from exitwave.errors import ExitwaveError, InvalidArgument


@contextmanager
def new_hdf5(path: str | Path, overwrite: bool) -> Iterator[h5py.File]:
    """An HDF5 file to write, which takes its name only when all of it is on disk.

    Raises
    ------
    InvalidArgument
        The file exists and ``overwrite`` is False, or its folder does not exist.
    ExitwaveError
        The operating system refuses to write; nothing is left behind.
    """
    place = Path(path)
    if place.is_dir() or not place.name:
        raise InvalidArgument(f"path is {str(place)!r}, a folder; give the name of a file in it.")
    if place.exists() and not overwrite:
        raise InvalidArgument(
            f"path is {str(place)!r}, which exists already; choose another name or say "
            "overwrite=True."
        )
    if not place.parent.is_dir():
        raise InvalidArgument(
            f"path is {str(place)!r}, but the folder {str(place.parent)!r} does not exist; make it "
            "first."
        )
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        with h5py.File(temporary, "x") as file:
            yield file
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(place)
    except (OSError, RuntimeError) as error:  # h5py raises both when a disk is full
        raise ExitwaveError(
            f"{place} cannot be written ({error}); free space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
