"""PtyLab's HDF5 input: datasets in the root, metres, positions (row, column)."""

from __future__ import annotations

import h5py
import numpy as np

from exitwave.errors import FileFormatError
from exitwave.io import hdf5
from exitwave.io.arrays import common_mask, frame_count, nonzero, row_column
from exitwave.io.dataset import Contents
from exitwave.io.layout import Layout
from exitwave.io.options import Options
from exitwave.io.units import LENGTH_M

UNUSED = {
    "entrancePupilDiameter": "a size of the beam, which is not used",
    "emptyBeam": "a pattern of the empty beam, which is not used",
    "theta": "an angle of reflection; the object is reconstructed in the tilted plane",
    "binningFactor": "a binning that PtyLab ignores, too",
}


def recognises(file: h5py.File) -> bool:
    """By the dataset ``ptychogram``."""
    return "ptychogram" in file


def read(file: h5py.File, options: Options) -> Contents:
    """Frames, encoder positions and lengths."""
    notes: list[str] = []
    if "zled" in file or "NA" in file:
        raise FileFormatError(
            "this is a Fourier ptychography file (it has zled or NA), which exitwave does not "
            "reconstruct; load a file of scanning ptychography."
        )
    data = hdf5.choose(file, "data", options.data, "ptychogram")
    encoder = hdf5.choose(file, "positions", options.positions, "encoder")
    if data is None or encoder is None:
        raise FileFormatError(
            "ptychogram or encoder is no dataset; name frames and positions with the options data "
            "and positions."
        )
    _note_oddities(file, data, notes)
    mask = hdf5.choose(file, "mask", options.mask)
    pixel = None if options.detector_pixel_m else _number(file, "dxd", notes)
    positions = row_column(
        hdf5.read_array(encoder), frame_count(data), options.positions_transpose, encoder.name
    )
    return Contents(
        data=data,
        positions=positions,
        positions_unit=hdf5.position_unit(encoder, notes),
        mask=None if mask is None else common_mask([mask], nonzero, options, notes),
        probe=hdf5.named_start(file, "probe", options.probe),
        object=hdf5.named_start(file, "object", options.object),
        wavelength_m=None if options.wavelength_m else _number(file, "wavelength", notes),
        distance_m=None if options.distance_m else _number(file, "zo", notes),
        detector_pixel_m=None if pixel is None else (pixel, pixel),
        notes=notes,
    )


def _number(file: h5py.File, name: str, notes: list[str]) -> float | None:
    values = hdf5.read_quantity(hdf5.find(file, name), LENGTH_M, notes)
    return None if values is None else float(values[0])


def _note_oddities(file: h5py.File, data: h5py.Dataset, notes: list[str]) -> None:
    for name, meaning in UNUSED.items():
        if hdf5.find(file, name) is not None:
            notes.append(f"/{name} holds {meaning}.")
    orientation = _number(file, "orientation", notes)
    if orientation:
        notes.append(f"/orientation is {orientation:g}; frames were not transposed or flipped.")
    spectrum = hdf5.find(file, "spectralDensity")
    if spectrum is not None and np.size(hdf5.read_array(spectrum)) > 1:
        notes.append("/spectralDensity lists several wavelengths; only /wavelength is used.")
    if "MATLAB_class" in data.attrs:
        notes.append(
            "the file was written by MATLAB, which stores columns first: frames may be transposed "
            "against the positions (option positions_swap)."
        )


LAYOUT = Layout("ptylab", recognises, read)
