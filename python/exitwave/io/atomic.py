"""Files that are there in full or not at all."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    check_place(place, "path")
    if place.exists() and not overwrite:
        raise InvalidArgument(
            f"path is {str(place)!r}, which exists already; choose another name or say "
            "overwrite=True."
        )
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _Stream(temporary) as stream:
            try:
                with h5py.File(stream, "w") as file:
                    yield file
            finally:
                stream.check()  # what HDF5 says after a refusal is no more than a consequence
            stream.finish()
        temporary.replace(place)
        _sync_folder(place.parent)
    except (OSError, RuntimeError) as error:  # h5py raises both
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ExitwaveError(
            f"{place} cannot be written ({reason}); free space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_place(place: Path, argument: str) -> None:
    """Refuse a path that is a folder, or in a folder that does not exist."""
    if place.is_dir() or not place.name:
        raise InvalidArgument(
            f"{argument} is {str(place)!r}, a folder; give the name of a file in it."
        )
    if not place.parent.is_dir():
        raise InvalidArgument(
            f"{argument} is {str(place)!r}, but the folder {str(place.parent)!r} does not exist; "
            "make it first."
        )


def remove_temporaries(folder: Path, name: str) -> None:
    """Remove what processes that were killed while they wrote files there have left.

    ``name``: regular expression that the names of these files match.
    """
    pattern = re.compile(rf"\.{name}\.[0-9a-f]{{8}}\.tmp")
    for other in folder.iterdir():
        if pattern.fullmatch(other.name):
            other.unlink(missing_ok=True)


class _Stream(io.RawIOBase):
    """A new file as HDF5 writes to it.

    HDF5 cannot close a file whose last bytes the disk refuses, and may take the process with it.
    So it never learns of a refusal: the rest goes nowhere, and :meth:`finish` tells.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(path, flags, 0o666)
        self._at = 0
        self._end = 0
        self._refusal: BaseException | None = None

    def check(self) -> None:
        """Raise the first refusal of the operating system."""
        if self._refusal is not None:
            raise self._refusal

    def finish(self) -> None:
        """Put all of it on disk."""
        self.check()
        os.fsync(self._file)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = os.preadv(self._file, [view], self._at)
        # What went nowhere reads as zeros, not as what was in memory before.
        view[count:] = bytes(len(view) - count)
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self._refusal is None and done < len(view):
                done += os.pwrite(self._file, view[done:], self._at + done)
        except BaseException as error:  # an interruption in the midst of HDF5 is as bad
            self._refusal = error
        self._at += len(view)
        self._end = max(self._end, self._at)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        try:
            os.ftruncate(self._file, size)
        except OSError as error:
            self._refusal = self._refusal or error
        self._end = size
        return size

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()


def _sync_folder(folder: Path) -> None:
    """A new name is on disk when its folder is."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
