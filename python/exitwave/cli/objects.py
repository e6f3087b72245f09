"""Objects of any file, for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError

Array = npt.NDArray[Any]


@dataclass
class ReconstructedObject:
    """An object and, where the file tells, how it was scanned; of a thick one its product.

    Attributes
    ----------
    object : complex, shape (A, B) or (K, A, B)
    positions_px : float64, shape (N, 2), or None
    probe : complex, shape (M, Y, X), or None
    pixel_size_m : (row, column) or None
    slices : int
        Whose product it is.
    """

    object: Array
    positions_px: Array | None = None
    probe: Array | None = None
    pixel_size_m: tuple[float, float] | None = None
    slices: int = 1

    def scan_region(self) -> Array | None:
        """Well-illuminated pixels; None where the scan is not known."""
        if self.positions_px is None or self.probe is None:
            return None
        from exitwave.metrics import scan_region

        rows, columns = self.object.shape[-2:]
        return scan_region(self.positions_px, self.probe.shape[-2:], (rows, columns), self.probe)

    def on_grid_of(self, other: ReconstructedObject) -> Array:
        """This object cut, or padded with zeros, to the pixels of another one.

        Where both know their scan, positions tell which pixels are the same ones; else the first
        pixels of both are. A shift that remains is left to the alignment.
        """
        offset = np.zeros(2, dtype=int)
        mine, theirs = self.positions_px, other.positions_px
        if mine is not None and theirs is not None and len(mine) == len(theirs):
            offset = np.round(np.median(mine - theirs, axis=0)).astype(int)
        shape = np.array(self.object.shape[-2:])
        size = np.array(other.object.shape[-2:])
        grid = np.zeros((*self.object.shape[:-2], *size), dtype=self.object.dtype)
        first, last = np.maximum(offset, 0), np.minimum(offset + size, shape)
        if (first < last).all():
            rows, columns = map(slice, first, last)
            to_rows, to_columns = map(slice, first - offset, last - offset)
            grid[..., to_rows, to_columns] = self.object[..., rows, columns]
        return grid


def read_object(name: str) -> ReconstructedObject:
    """The object of a result, of a simulation (its truth), or of any file that has one.

    Parameters
    ----------
    name : str
        Path, or ``PATH::DATASET`` to name the dataset (HDF5) or the array (npz) with the object.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or has no object.
    """
    from exitwave.io.named import read_named

    path, _, dataset = name.partition("::")
    if dataset:
        return ReconstructedObject(read_named(Path(path), dataset, "an object (A, B) or (K, A, B)"))
    truth = _read_truth(Path(path))
    if truth is not None:
        return truth
    from exitwave.io import load, load_result

    with load(path) as scan:
        if scan.object is None:
            raise FileFormatError(f"{path}: the file has no object; name it as {path}::DATASET.")
        pixel = None if scan.geometry is None else scan.geometry.pixel_size_m
        obj, slices = scan.object, 1
        if scan.format == "result":
            result = load_result(path)
            obj, slices = result.transmission, result.slices
        return ReconstructedObject(obj, scan.positions_px, scan.probe, pixel, slices)


def _read_truth(path: Path) -> ReconstructedObject | None:
    """What was simulated; None for files that :meth:`exitwave.Simulation.save` did not write."""
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return None
    with h5py.File(path) as file:
        if "truth/object" not in file:
            return None
        truth = file["truth"]
        pixel = np.broadcast_to(file.attrs["pixel_size_m"], 2)
        obj, slices = truth["object"][()], 1
        if "slice_distances_m" in file.attrs:
            obj, slices = obj.prod(axis=-3), obj.shape[-3]
        return ReconstructedObject(
            obj,
            truth["positions_px"][()],
            truth["probe"][()],
            (float(pixel[0]), float(pixel[1])),
            slices,
        )
