"""CXI 1.6 and its dialects (PyNX, cdtools, NXcxi_ptycho).

``translation`` says where the sample is, in a frame with y up, x to the left when looking
downstream, and z downstream; ``basis_vectors`` are the steps of the detector's slow and fast axis
in that frame.
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError
from exitwave.geometry import PLANCK_TIMES_LIGHT_J_M, Pair, energy_from_wavelength
from exitwave.io import hdf5
from exitwave.io.arrays import common_mask, cxi_ideal, frame_count, points
from exitwave.io.dataset import Bool, Contents, Float64
from exitwave.io.layout import Layout
from exitwave.io.options import Options
from exitwave.io.units import ENERGY_J, LENGTH_M

FRAMES = ("data_1/data", "instrument_1/detector_1/data", "data/data")
TRANSLATION = (
    "data_1/translation",
    "sample_1/geometry_1/translation",
    "instrument_1/detector_1/translation",
    "sample_1/geometry/translation",
    "sample_1/transformations/translation",
)
UNUSED = {
    "instrument_1/detector_1/data_dark": "a dark image, which is not subtracted",
    "instrument_1/detector_1/dark": "a dark image, which is not subtracted",
    "instrument_1/detector_1/data_white": "a flat field, which is not applied",
    "instrument_1/detector_1/qe_mask": "a quantum efficiency, which is not applied",
    "instrument_1/detector_1/counts_per_joule": "counts per joule; data are taken as photons",
    "data_1/monitor": "a monitor; frames are neither scaled nor dropped by it",
    "data_1/intensities": "intensities per shot, which are not applied",
    "instrument_1/detector_1/intensities": "intensities per shot, which are not applied",
    "data_2/data": "a second set of frames, which is not read",
}


def recognises(file: h5py.File) -> bool:
    """By ``cxi_version``, or by frames where CXI or NeXus keep them."""
    if "cxi_version" in file:
        return True
    return any(hdf5.find(entry, *FRAMES) is not None for entry in _entries(file).values())


def read(file: h5py.File, options: Options) -> Contents:
    """Frames, positions and geometry of one entry."""
    notes: list[str] = []
    entry = _choose_entry(file, options.entry, notes)
    basis, pixel = _basis(entry, notes)
    regime = options.regime or ("near" if options.focus_distance_m else "far")
    data = _frames(entry, options)
    translation, positions_unit = _translation(entry, frame_count(data), options, notes)
    for name, meaning in UNUSED.items():
        if hdf5.find(entry, name) is not None:
            notes.append(f"{entry.name}/{name} holds {meaning}.")
    return Contents(
        data=data,
        positions=window_positions(translation, basis, regime),
        positions_unit=positions_unit,
        mask=_mask(entry, options, notes),
        probe=hdf5.named_start(file, "probe", options.probe),
        object=hdf5.named_start(file, "object", options.object),
        wavelength_m=None if options.wavelength_m else _wavelength(entry, notes),
        distance_m=None if options.distance_m else _distance(entry, notes),
        detector_pixel_m=pixel,
        notes=notes,
    )


def window_positions(translation: Float64, basis: Float64, regime: str) -> Float64:
    """(row, column) of the probe window in metres from the translation of the sample.

    The object's basis is ``pinv(B * shape)^T lambda z`` in the far field and ``B / M`` in the
    near field, and (row, column) = ``pinv(object basis) (-translation)``. In metres along the axes
    the lengths cancel: only the directions of the detector's axes are left.

    Parameters
    ----------
    translation : (N, 3), basis : (3, 2) with columns slow, fast
    """
    directions = basis / np.linalg.norm(basis, axis=0)
    projector = directions.T if regime == "far" else np.linalg.pinv(directions)
    return np.asarray(-translation @ projector.T)


def _entries(file: h5py.File) -> dict[str, h5py.Group]:
    found = {}
    for name in file:
        group = hdf5.find_group(file, name)
        if group is None:
            continue
        if name.startswith("entry") or hdf5.text(group.attrs.get("NX_class")) == "NXentry":
            found[name] = group
    return found


def _choose_entry(file: h5py.File, wanted: str | int | None, notes: list[str]) -> h5py.Group:
    """``entry_1``, else ``entry_last``, else the lowest number, else the root's default."""
    entries = _entries(file)
    if wanted is not None:
        name = f"entry_{wanted}" if str(wanted).isdigit() else str(wanted).strip("/")
        if name not in entries:
            raise FileFormatError(
                f"there is no entry {wanted!r}; choose one of {', '.join(entries) or 'none'}."
            )
        return entries[name]
    numbered = [name for name in entries if re.fullmatch(r"entry_\d+", name)]
    numbered.sort(key=lambda name: int(name.removeprefix("entry_")))
    default = hdf5.text(file.attrs.get("default", "")).strip("/")
    order = ["entry_1", "entry_last", *numbered, default, *entries]
    present = [name for name in order if name in entries]
    if not present:
        raise FileFormatError(
            f"there is no entry_1 as in CXI; {hdf5.listing(file)[:-1]}, so name the datasets with "
            "the options data and positions."
        )
    distinct = {group.id for group in entries.values()}
    if len(distinct) > 1:
        notes.append(f"{len(distinct)} entries are there; {present[0]} was read (option entry).")
    return entries[present[0]]


def _frames(entry: h5py.Group, options: Options) -> h5py.Dataset:
    data = hdf5.choose(entry, "data", options.data, *FRAMES)
    if data is None:
        raise FileFormatError(
            f"{entry.name} has no frames in {' or '.join(FRAMES)}; {hdf5.listing(entry)[:-1]}, so "
            "name one with the option data."
        )
    return data


def _translation(
    entry: h5py.Group, frames: int, options: Options, notes: list[str]
) -> tuple[Float64, str]:
    """(N, 3) translations and their unit: metres, or pixels where the file says so."""
    found = hdf5.choose(entry, "positions", options.positions, *TRANSLATION)
    if found is None:
        raise FileFormatError(
            f"{entry.name} has no translation beside the data or in sample_1/geometry_1; "
            f"{hdf5.listing(entry)[:-1]}, so name the positions with the option positions."
        )
    if options.positions is not None:
        notes.append(f"{found.name} was read as a translation (x, y) of the sample.")
    rows = points(hdf5.read_array(found), frames, options.positions_transpose, found.name)
    in_space = np.zeros((len(rows), 3))
    in_space[:, : rows.shape[1]] = rows
    return in_space, hdf5.position_unit(found, notes)


def _basis(entry: h5py.Group, notes: list[str]) -> tuple[Float64, Pair | None]:
    """(3, 2) basis with columns slow and fast, and the detector pixel (row, column)."""
    detector = hdf5.find_group(entry, "instrument_1/detector_1", "data_1")
    pixel = _pixel_size(detector, notes)
    found = hdf5.find(detector, "basis_vectors")
    if found is None:
        height, width = pixel or (1.0, 1.0)
        return np.array([[0.0, -width], [-height, 0.0], [0.0, 0.0]]), pixel
    basis = _columns(hdf5.read_array(found), found.name, notes) * hdf5.unit(found, LENGTH_M, notes)
    lengths = np.linalg.norm(basis, axis=0)
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        raise FileFormatError(
            f"{found.name} has an axis of length {lengths.min():g}; repair it or remove it."
        )
    if pixel is not None and not np.allclose(lengths, pixel, rtol=0.01, atol=0):
        notes.append(
            f"{found.name} has steps of {_micrometres(lengths)}, but the pixel sizes are "
            f"{_micrometres(pixel)}; the basis vectors were used."
        )
    return basis, (float(lengths[0]), float(lengths[1]))


def _columns(basis: npt.NDArray[Any], name: str, notes: list[str]) -> Float64:
    if basis.ndim == 3:
        if not np.allclose(basis, basis[0], rtol=1e-6, atol=0):
            notes.append(f"{name} differs from frame to frame; that of the first frame was used.")
        basis = basis[0]
    if basis.shape == (2, 3):
        basis = basis.T
    if basis.shape != (3, 2):
        raise FileFormatError(
            f"{name} has shape {basis.shape}, but a basis is (2, 3) or (3, 2); repair or remove it."
        )
    return np.asarray(basis, dtype=np.float64)


def _pixel_size(detector: h5py.Group | None, notes: list[str]) -> Pair | None:
    sizes = {
        axis: hdf5.read_quantity(hdf5.find(detector, f"{axis}_pixel_size"), LENGTH_M, notes)
        for axis in "yx"
    }
    found = {axis: abs(float(size.mean())) for axis, size in sizes.items() if size is not None}
    if not found:
        return None
    if len(found) == 1:
        notes.append(f"only {next(iter(found))}_pixel_size is given; it was used for both axes.")
    first = next(iter(found.values()))
    return found.get("y", first), found.get("x", first)


def _wavelength(entry: h5py.Group, notes: list[str]) -> float | None:
    source = "instrument_1/source_1/"
    beams = ("instrument_1/beam_1/", "beam_1/", "sample_1/beam_1/")
    wavelength = hdf5.read_quantity(
        hdf5.find(entry, f"{source}wavelength", *(f"{b}incident_wavelength" for b in beams)),
        LENGTH_M,
        notes,
    )
    dataset = hdf5.find(
        entry, f"{source}energy", *(f"{b}incident{n}energy" for b in beams for n in ("_", "_beam_"))
    )
    energy = hdf5.read_quantity(dataset, ENERGY_J, notes)
    from_energy = None
    if energy is not None and dataset is not None:
        joules = float(energy.mean())
        if joules > 1:
            notes.append(
                f"{dataset.name} is {joules:g}, which cannot be joules; electronvolts were assumed."
            )
            joules *= ENERGY_J["ev"]
        if joules <= 0:
            raise FileFormatError(
                f"{dataset.name} is {joules:g}, but must be positive; repair it or give energy_ev."
            )
        from_energy = PLANCK_TIMES_LIGHT_J_M / joules
    if wavelength is None:
        return from_energy
    found = float(wavelength.mean())
    if from_energy is not None and not np.isclose(found, from_energy, rtol=0.005, atol=0):
        notes.append(
            f"the wavelength {found:g} m and the energy "
            f"{energy_from_wavelength(from_energy):g} eV contradict; the wavelength was used."
        )
    return found


def _distance(entry: h5py.Group, notes: list[str]) -> float | None:
    detector = hdf5.find_group(entry, "instrument_1/detector_1")
    distance = hdf5.read_quantity(hdf5.find(detector, "distance"), LENGTH_M, notes)
    if distance is None:
        corner = hdf5.read_quantity(hdf5.find(detector, "corner_position"), LENGTH_M, notes)
        if corner is None or corner.size % 3:
            return None
        notes.append("the distance was taken from the detector's corner_position.")
        distance = np.abs(corner.reshape(-1, 3)[:, 2])
    if np.ptp(distance) > 1e-6 * abs(distance.mean()):
        notes.append("the distance differs from frame to frame; the mean was used.")
    return float(distance.mean())


def _mask(entry: h5py.Group, options: Options, notes: list[str]) -> Bool | None:
    places = ("instrument_1/detector_1/mask", "data_1/mask")
    found = hdf5.choose(entry, "mask", options.mask, *places)
    return None if found is None else common_mask([found], cxi_ideal, options, notes)


def _micrometres(lengths_m: Any) -> str:
    return " x ".join(f"{1e6 * length:.4g}" for length in lengths_m) + " µm"


LAYOUT = Layout("cxi", recognises, read)
