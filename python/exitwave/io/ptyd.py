"""PtyPy's prepared data (.ptyd): ``/chunks/N`` with frames, positions and weights, and ``/meta``.

Positions are metres, (row, column), where the probe lies on the object. Energies are keV. ``None``
is stored as a dataset with the attribute ``type`` = "None".
"""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError
from exitwave.geometry import Pair, wavelength_from_energy
from exitwave.io import hdf5
from exitwave.io.arrays import common_mask, frame_count, nonzero, row_column
from exitwave.io.dataset import Bool, Contents, Float64
from exitwave.io.layout import Layout
from exitwave.io.options import Options
from exitwave.io.units import LENGTH_M

REGIMES = {"farfield": "far", "nearfield": "near"}


def recognises(file: h5py.File) -> bool:
    """By the group ``chunks`` with numbered members."""
    chunks = hdf5.find_group(file, "chunks")
    return chunks is not None and any(name.isdigit() for name in chunks)


def read(file: h5py.File, options: Options) -> Contents:
    """Frames of all chunks in the order of the chunks' numbers."""
    notes: list[str] = []
    chunks = _chunks(file)
    if options.data is not None:
        data: h5py.Dataset | list[h5py.Dataset] = hdf5.named(file, "data", options.data)
    else:
        frames = [_member(chunk, "data") for chunk in chunks]
        data = frames[0] if len(frames) == 1 else frames
    _note_centre(file, notes)
    return Contents(
        data=data,
        positions=_positions(file, chunks, frame_count(data), options, notes),
        mask=_mask(file, chunks, options, notes),
        probe=hdf5.named_start(file, "probe", options.probe),
        object=hdf5.named_start(file, "object", options.object),
        wavelength_m=None if options.wavelength_m else _wavelength(file, notes),
        distance_m=None if options.distance_m else _distance(file, notes),
        detector_pixel_m=None if options.detector_pixel_m else _pixel(file, notes),
        regime=_regime(file),
        notes=notes,
    )


def _chunks(file: h5py.File) -> list[h5py.Group]:
    """All chunks by number; a gap or a dead link would drop frames and is refused."""
    group = file["chunks"]
    numbers = sorted(int(name) for name in group if name.isdigit())
    if not numbers:
        raise FileFormatError("there is no chunk of frames in /chunks; prepare the file again.")
    chunks = []
    for number in range(numbers[-1] + 1):
        chunk = hdf5.find_group(group, str(number))
        if chunk is None:
            raise FileFormatError(
                f"/chunks/{number} is missing or a link to a missing file; put the part files "
                "beside this file."
            )
        chunks.append(chunk)
    return chunks


def _present(group: h5py.Group, *names: str) -> h5py.Dataset | None:
    """The first of ``names`` that is a dataset and not PtyPy's way to write None."""
    for name in names:
        found = hdf5.find(group, name)
        if found is not None and hdf5.text(found.attrs.get("type", "")) != "None":
            return found
    return None


def _member(chunk: h5py.Group, name: str) -> h5py.Dataset:
    found = _present(chunk, name)
    if found is None:
        raise FileFormatError(
            f"{chunk.name} has no {name}; prepare the file again or name datasets with the options "
            "data and positions."
        )
    return found


def _numbers(
    file: h5py.File, names: Sequence[str], scales: dict[str, float], notes: list[str]
) -> npt.NDArray[np.float64] | None:
    """From ``/meta``, which has rebinning applied, else from ``/info``."""
    for place in ("meta", "info"):
        for name in names:
            found = _present(file, f"{place}/{name}")
            if found is not None:
                return hdf5.read_quantity(found, scales, notes)
    return None


def _wavelength(file: h5py.File, notes: list[str]) -> float | None:
    energy_kev = _numbers(file, ("energy",), {"kev": 1.0, "ev": 1e-3}, notes)
    if energy_kev is None:
        return None
    if energy_kev[0] <= 0:
        raise FileFormatError(
            f"the energy is {energy_kev[0]:g} keV, but must be positive; give the option energy_ev."
        )
    return wavelength_from_energy(1e3 * float(energy_kev[0]))


def _distance(file: h5py.File, notes: list[str]) -> float | None:
    distance = _numbers(file, ("distance", "z"), LENGTH_M, notes)
    return None if distance is None else float(distance[0])


def _pixel(file: h5py.File, notes: list[str]) -> Pair | None:
    """Detector pixel after rebinning, which ``/meta`` has applied and ``/info`` has not."""
    pixel = _numbers(file, ("psize", "psize_det"), LENGTH_M, notes)
    if pixel is None:
        return None
    if _present(file, "meta/psize") is None:
        rebin = _numbers(file, ("rebin",), {}, notes)
        pixel = pixel if rebin is None else pixel * rebin[0]
    return float(pixel[0]), float(pixel[-1])


def _regime(file: h5py.File) -> str | None:
    for place in ("meta/propagation", "info/propagation"):
        found = _present(file, place)
        if found is not None:
            return REGIMES.get(hdf5.text(found[()]))
    return None


def _positions(
    file: h5py.File,
    chunks: list[h5py.Group],
    frames: int,
    options: Options,
    notes: list[str],
) -> Float64:
    if options.positions is not None:
        named = hdf5.named(file, "positions", options.positions)
        table = hdf5.read_array(named)
        return row_column(table, frames, options.positions_transpose, named.name)
    found = [_present(chunk, "positions") for chunk in chunks]
    stored = [positions for positions in found if positions is not None]
    if len(stored) == len(chunks):
        # The layout has one frame per row, so a chunk of two frames is no riddle.
        transpose = bool(options.positions_transpose)
        tables = [row_column(hdf5.read_array(p), 0, transpose, p.name) for p in stored]
        return np.concatenate(tables)
    scan = _present(file, "info/positions_theory", "info/positions_scan")
    if scan is None:
        raise FileFormatError("the chunks have no positions; name them with the option positions.")
    notes.append(f"positions were taken from {scan.name}, since chunks have none.")
    indices = [hdf5.read_array(_member(chunk, "indices")).astype(int) for chunk in chunks]
    wanted = np.concatenate(indices)
    transpose = bool(options.positions_transpose)
    table = row_column(hdf5.read_array(scan), 0, transpose, scan.name)
    if wanted.size and (wanted.min() < 0 or wanted.max() >= len(table)):
        raise FileFormatError(
            f"{scan.name} has {len(table)} positions, but chunks ask for number {wanted.max()}; "
            "name positions with the option positions."
        )
    return np.asarray(table[wanted])


def _mask(
    file: h5py.File, chunks: list[h5py.Group], options: Options, notes: list[str]
) -> Bool | None:
    """Pixels of non-zero weight in all frames."""
    if options.mask is not None:
        return common_mask([hdf5.named(file, "mask", options.mask)], nonzero, options, notes)
    stored = [_present(chunk, "weights", "mask") for chunk in chunks]
    weights = [w for w in stored if w is not None and w.ndim >= 2 and min(w.shape) > 0]
    if len(weights) not in (0, len(chunks)):
        notes.append("some chunks have no weights; their frames were taken as valid everywhere.")
    if not weights:
        common = _present(file, "info/weight2d", "meta/weight2d")
        weights = [common] if common is not None and common.ndim == 2 else []
    return common_mask(weights, nonzero, options, notes) if weights else None


def _note_centre(file: h5py.File, notes: list[str]) -> None:
    centre = _numbers(file, ("center",), {}, notes)
    shape = _numbers(file, ("shape",), {}, notes)
    if centre is None or shape is None or _present(file, "meta/center") is None:
        return
    if np.abs(centre - shape // 2).max() > 1:
        notes.append(
            f"/meta/center is {tuple(centre.tolist())}, but the zero frequency is taken to be at "
            f"{tuple((shape // 2).tolist())}."
        )


LAYOUT = Layout("ptyd", recognises, read)
