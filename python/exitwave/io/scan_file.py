"""Writing of scans in the layout of this package, which ``load`` reads as "exitwave"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from exitwave.errors import InvalidArgument
from exitwave.geometry import Geometry
from exitwave.io.atomic import new_hdf5
from exitwave.io.dataset import Float64
from exitwave.io.plain import geometry_attributes


def save_scan(
    path: str | Path,
    data: npt.NDArray[Any],
    positions_px: Float64,
    mask: npt.NDArray[Any] | None = None,
    probe: npt.NDArray[Any] | None = None,
    obj: npt.NDArray[Any] | None = None,
    geometry: Geometry | None = None,
    overwrite: bool = False,
) -> None:
    """Write counts and what belongs to them, one compressed chunk per frame.

    Parameters
    ----------
    data : (N, Y, X) counts
    positions_px : (N, 2), (row, column) in object pixels
    mask : (Y, X) bool, True = valid
    probe, obj : complex, start values
    geometry : Geometry

    Raises
    ------
    InvalidArgument
        Shapes do not fit, the file exists, or its folder does not.
    ExitwaveError
        The operating system refuses to write; nothing is left behind.
    """
    if data.ndim != 3 or positions_px.shape != (data.shape[0], 2):
        raise InvalidArgument(
            f"data has shape {data.shape} and positions_px {positions_px.shape}; they must be "
            "(N, Y, X) and (N, 2)."
        )
    with new_hdf5(path, overwrite) as file:
        file.create_dataset(
            "data", data=data, chunks=(1, *data.shape[1:]), compression="gzip", shuffle=True
        )
        file["positions"] = positions_px
        file["positions"].attrs["units"] = "px"
        for name, array in (("mask", mask), ("probe", probe), ("object", obj)):
            if array is not None:
                file[name] = array
        if geometry is not None:
            file.attrs.update(geometry_attributes(geometry))
