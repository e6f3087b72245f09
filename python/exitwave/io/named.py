"""One array of any file, named by its user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError, InvalidArgument


def read_named(path: Path, dataset: str, expected: str) -> npt.NDArray[Any]:
    """A dataset of an HDF5 file or an array of an npz file, which must be an image or a stack.

    ``expected`` says in the message what it must be, such as "a probe (Y, X) or (M, Y, X)".

    Raises
    ------
    FileFormatError
        The file is missing, neither HDF5 nor npz, or has no such dataset.
    InvalidArgument
        The dataset is no image or stack of numbers.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: the file does not exist; give the path of a file.")
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                found = file.get(dataset)
                values = found[()] if isinstance(found, h5py.Dataset) else None
        else:
            with np.load(path, allow_pickle=False) as archive:
                values = archive.get(dataset)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise FileFormatError(f"{path}: the file is neither HDF5 nor npz ({error}).") from None
    if values is None:
        raise FileFormatError(f"{path}: the file has no dataset {dataset}; name another one.")
    if values.ndim not in (2, 3) or values.dtype.kind not in "iufc":
        raise InvalidArgument(
            f"{path}::{dataset} has shape {values.shape} and type {values.dtype}; it must be "
            f"{expected}."
        )
    return np.asarray(values, dtype=np.complex128)
