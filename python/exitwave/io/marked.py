"""Files that this program writes for itself: known by a mark in their root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from exitwave.errors import ExitwaveError, FileFormatError
from exitwave.io import hdf5


@dataclass(frozen=True)
class MarkedFile:
    """A kind of file, its place in messages included.

    Attributes
    ----------
    kind : str
        What it is called.
    mark : str
        Attribute of the root that holds the version of the layout.
    version : int
        That is written; files of later ones are refused.
    advice : str
        What to do with a file that is none.
    remedy : str
        What to do with one that is damaged.
    """

    kind: str
    mark: str
    version: int
    advice: str
    remedy: str

    def stamp(self, file: h5py.File) -> None:
        """Mark a new file."""
        file.attrs.update({self.mark: self.version, "creator": "exitwave"})

    def recognises(self, file: h5py.File) -> bool:
        return self.mark in file.attrs

    def check(self, file: h5py.File) -> None:
        """Refuse a file without the mark, and one of a later layout."""
        if not self.recognises(file):
            raise FileFormatError(f"the file is no {self.kind} of exitwave; {self.advice}.")
        version = int(file.attrs[self.mark])
        if version > self.version:
            raise FileFormatError(
                f"the {self.kind} has layout version {version}, but this program knows up to "
                f"{self.version}; update exitwave."
            )

    @contextmanager
    def opened(self, path: Path) -> Iterator[h5py.File]:
        """A file to read; every error names it.

        Raises
        ------
        FileFormatError
            It is missing, of another kind, or damaged.
        """
        try:
            if not path.is_file():
                raise FileFormatError(f"the file does not exist; give the path of a {self.kind}.")
            with hdf5.open_file(path) as file:
                self.check(file)
                yield file
        except ExitwaveError as error:
            raise type(error)(f"{path}: {error}") from error
        except (OSError, LookupError, RuntimeError, ValueError, TypeError) as error:
            raise FileFormatError(
                f"{path}: the {self.kind} is damaged ({error}); {self.remedy}."
            ) from error

    def group(self, parent: h5py.Group, name: str) -> h5py.Group:
        """A group that must be there."""
        group = hdf5.find_group(parent, name)
        if group is None:
            raise FileFormatError(
                f"the {self.kind} lacks the group {name}; it is damaged, {self.remedy}."
            )
        return group

    def array(self, group: h5py.Group, name: str) -> npt.NDArray[Any]:
        """An array of numbers that must be there."""
        found = hdf5.find(group, name)
        if found is None:
            raise FileFormatError(
                f"the {self.kind} lacks {group.name}/{name}; it is damaged, {self.remedy}."
            )
        return hdf5.read_array(found, complex_values=True)
