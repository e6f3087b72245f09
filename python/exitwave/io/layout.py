"""What a layout is: a name, a test for it, and a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import h5py

from exitwave.io.dataset import Contents
from exitwave.io.options import Options


@dataclass(frozen=True)
class Layout:
    """A layout of HDF5 files.

    Attributes
    ----------
    name : str
        As in ``Dataset.format`` and the option ``format``; for messages.
    recognises : callable
        ``recognises(file)`` is True where the file's content has this layout.
    read : callable
        ``read(file, options)`` returns what the file holds.
    """

    name: str
    recognises: Callable[[h5py.File], bool]
    read: Callable[[h5py.File, Options], Contents]
