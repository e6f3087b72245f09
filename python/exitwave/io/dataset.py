"""What a measured scan is in memory, and what a reader found in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.geometry import Geometry, Pair

Bool = npt.NDArray[np.bool_]
Complex64 = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]
Frames: TypeAlias = "h5py.Dataset | npt.NDArray[Any]"


@dataclass
class Dataset:
    """A scan: counts, positions and what else is known; closes its file as a context manager.

    Attributes
    ----------
    data : h5py.Dataset or array, shape (N, Y, X)
        Detector counts in the type of the file, not converted; read from the file when used,
        unless crop, bin, frames, a raster or several chunks made a copy necessary.
    positions_px : float64, shape (N, 2)
        (row, column) of the probe window's top-left corner, pixels of the object; the smallest
        value of each axis is 0, unless an object came with the file.
    mask : bool, shape (Y, X), or None
        True where the pixel is valid; None where the file has no mask.
    probe : complex64, shape (M, Y, X), or None
        Start probe.
    object : complex64, shape (A, B) or more, or None
        Start object.
    geometry : Geometry or None
        None where the file and the options do not tell an object pixel.
    source : str
        Path of the file.
    format : str
        "cxi", "ptyd", "ptylab", "exitwave", "npz", "hdf5" (datasets named by the user) or
        "result" (start values only: ``data`` has no frames).
    notes : list of str
        What was missing, guessed or odd, one sentence each.
    """

    data: Frames
    positions_px: Float64
    mask: Bool | None
    probe: Complex64 | None
    object: Complex64 | None
    geometry: Geometry | None
    source: str
    format: str
    notes: list[str] = field(default_factory=list)
    _file: h5py.File | None = field(default=None, repr=False, compare=False)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(Y, X) of a frame."""
        return self.data.shape[1], self.data.shape[2]

    def close(self) -> None:
        """Close the file; ``data`` that still lies in it can no longer be read."""
        if isinstance(self.data, h5py.Dataset) and self.data:
            self.data.file.close()  # another file where the dataset is behind an external link
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass
class Contents:
    """What a layout's reader found, before units, signs, crop and bin are settled.

    Attributes
    ----------
    data : dataset or array of shape (N, Y, X) or (rows, columns, Y, X), or a sequence of (n, Y, X)
    positions : float64, shape (N, 2)
        (row, column) in ``positions_unit``.
    mask : bool, shape (Y, X), or None
        True where the pixel is valid.
    pixel_size_m : (float, float) or None
        Object pixel where the file states it; else it follows from the lengths.
    """

    data: Frames | Sequence[h5py.Dataset]
    positions: Float64
    positions_unit: str = "m"
    mask: Bool | None = None
    probe: npt.NDArray[Any] | None = None
    object: npt.NDArray[Any] | None = None
    wavelength_m: float | None = None
    distance_m: float | None = None
    detector_pixel_m: Pair | None = None
    pixel_size_m: Pair | None = None
    focus_distance_m: float | None = None
    regime: str | None = None
    radiation: str | None = None
    notes: list[str] = field(default_factory=list)
