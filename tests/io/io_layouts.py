"""Writers of every layout that is read, each in the convention of its own program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from exitwave.geometry import Geometry

HC_J_M = 1.98644586e-25
EV_J = 1.602176634e-19
ENERGY_EV = 8000.0
DISTANCE_M = 1.7
DETECTOR_PIXEL_M = 75e-6


@dataclass(frozen=True)
class Scan:
    """One scan, as it must come back from every file."""

    data: np.ndarray  # (13, 12, 20) uint16
    positions_px: np.ndarray  # (13, 2), smallest value 0
    mask: np.ndarray  # True = valid
    probe: np.ndarray  # (2, 12, 20)
    geometry: Geometry

    @property
    def positions_m(self) -> np.ndarray:
        return self.positions_px * self.geometry.pixel_size_m + (-3e-6, 2e-6)

    @property
    def translation(self) -> np.ndarray:
        """(N, 3) of CXI: row = +y, column = +x."""
        row, column = self.positions_m.T
        return np.stack([column, row, np.zeros_like(row)], axis=1)


def make_scan() -> Scan:
    rng = np.random.default_rng(7)
    positions = rng.uniform(0, 15, (13, 2)) * (1.0, 1.7)
    positions -= positions.min(axis=0)
    mask = rng.random((12, 20)) > 0.1
    probe = rng.normal(size=(2, 12, 20)) + 1j * rng.normal(size=(2, 12, 20))
    wavelength = HC_J_M / (ENERGY_EV * EV_J)
    geometry = Geometry.from_far_field(wavelength, DISTANCE_M, DETECTOR_PIXEL_M, (12, 20))
    data = rng.poisson(30 * rng.random((13, 12, 20))).astype(np.uint16)
    return Scan(data, positions, mask, probe.astype(np.complex64), geometry)


def cxi_specification(path: Path, scan: Scan) -> None:
    """CXI 1.6: (N, 3) translations, basis (2, 3), bits in the mask."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"] = scan.data
        detector["distance"] = DISTANCE_M
        detector["basis_vectors"] = [[0, -DETECTOR_PIXEL_M, 0], [-DETECTOR_PIXEL_M, 0, 0]]
        bits = np.where(scan.mask, 0, 0x200).astype(np.uint32)
        bits[::2] |= 0x1000
        detector["mask"] = bits
        file["entry_1/instrument_1/source_1/energy"] = ENERGY_EV * EV_J
        file["entry_1/sample_1/geometry_1/translation"] = scan.translation
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        file["entry_1/data_1/translation"] = h5py.SoftLink(
            "/entry_1/sample_1/geometry_1/translation"
        )


def cxi_pynx(path: Path, scan: Scan) -> None:
    """PyNX: (3, N) translations in single precision, gzip, dark and monitor."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 140
        file["entry_1/sample_1/geometry_1/translation"] = scan.translation.T.astype(np.float32)
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector.create_dataset("data", data=scan.data, compression="gzip", chunks=(1, 12, 20))
        detector["distance"] = DISTANCE_M
        detector["x_pixel_size"] = detector["y_pixel_size"] = DETECTOR_PIXEL_M
        detector["basis_vectors"] = [[0, -DETECTOR_PIXEL_M, 0], [-DETECTOR_PIXEL_M, 0, 0]]
        detector["mask"] = (~scan.mask).astype(np.int8)
        detector["dark"] = np.zeros((12, 20), np.float32)
        detector["translation"] = h5py.SoftLink("/entry_1/sample_1/geometry_1/translation")
        file["entry_1/instrument_1/source_1/energy"] = ENERGY_EV * EV_J
        file["entry_1/instrument_1/name"] = "beamline"
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        file["entry_1/data_1/monitor"] = np.ones(13)


def cxi_cdtools(path: Path, scan: Scan) -> None:
    """cdtools: basis (3, 2), wavelength, distance in the corner position."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["basis_vectors"] = np.array(
            [[0, -DETECTOR_PIXEL_M], [-DETECTOR_PIXEL_M, 0], [0, 0]]
        )
        detector["corner_position"] = [4e-4, 7e-4, DISTANCE_M]
        detector["mask"] = np.where(scan.mask, 0x1000, 1).astype(np.uint32)
        file["entry_1/instrument_1/source_1/wavelength"] = scan.geometry.wavelength_m
        file["entry_1/instrument_1/source_1/energy"] = ENERGY_EV * EV_J
        file["entry_1/data_1/data"] = scan.data
        file["entry_1/data_1/data"].attrs["axes"] = "translation:y:x"
        file["entry_1/data_1/translation"] = scan.translation


def cxi_energy_in_ev(path: Path, scan: Scan) -> None:
    """A common mistake: electronvolts where CXI wants joules; (N, 2) translations, one pixel."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        file["entry_1/instrument_1/detector_1/data"] = scan.data
        file["entry_1/instrument_1/detector_1/distance"] = np.full(13, DISTANCE_M)
        file["entry_1/instrument_1/detector_1/x_pixel_size"] = DETECTOR_PIXEL_M
        file["entry_1/instrument_1/detector_1/mask"] = ~scan.mask
        file["entry_1/instrument_1/source_1/energy"] = ENERGY_EV
        file["entry_1/sample_1/geometry_1/translation"] = scan.translation[:, :2]


def cxi_with_units(path: Path, scan: Scan) -> None:
    """Units stated: micrometres, millimetres, kilo-electronvolts; a second entry."""
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"] = scan.data
        detector["mask"] = (~scan.mask).astype(np.float32)
        values = {
            "distance": (DISTANCE_M * 1e3, "mm"),
            "x_pixel_size": (DETECTOR_PIXEL_M * 1e6, "um"),
            "y_pixel_size": (DETECTOR_PIXEL_M * 1e6, "um"),
        }
        for name, (value, unit) in values.items():
            detector[name] = [value]
            detector[name].attrs["units"] = unit
        file["entry_1/beam_1/incident_energy"] = ENERGY_EV / 1e3
        file["entry_1/beam_1/incident_energy"].attrs["units"] = "keV"
        file["entry_1/sample_1/transformations/translation"] = scan.translation * 1e6
        file["entry_1/sample_1/transformations/translation"].attrs["units"] = "µm"
        file.create_group("entry_2")


def ptyd_one_chunk(path: Path, scan: Scan) -> None:
    """PtyPy, one chunk, weights per frame."""
    _ptyd(path, scan, [slice(0, 13)])


def ptyd_three_chunks(path: Path, scan: Scan) -> None:
    """PtyPy, chunks of 5, 6 and 2 frames (two frames look like transposed positions)."""
    _ptyd(path, scan, [slice(0, 5), slice(5, 11), slice(11, 13)])


def ptyd_linked(path: Path, scan: Scan) -> None:
    """PtyPy with save="link": chunks in part files beside the file."""
    _ptyd(path, scan, [slice(0, 7), slice(7, 13)], linked=True)


def ptyd_old(path: Path, scan: Scan) -> None:
    """PtyPy's older files: positions and weights in info, None as a marked dataset."""
    with h5py.File(path, "w") as file:
        file["chunks/0/data"] = scan.data.astype(np.int32)
        file["chunks/0/indices"] = np.arange(13) + 2
        for name in ("chunks/0/positions", "meta/energy", "info/positions_theory"):
            file[name] = np.zeros(1)
            file[name].attrs["type"] = "None"
        file["info/positions_scan"] = np.concatenate([np.full((2, 2), 9.0), scan.positions_m])
        file["info/weight2d"] = scan.mask.astype(np.float64)
        file["info/energy"] = ENERGY_EV / 1e3
        file["info/z"] = DISTANCE_M
        file["info/psize_det"] = DETECTOR_PIXEL_M / 2
        file["info/rebin"] = 2


def _ptyd(path: Path, scan: Scan, pieces: list[slice], linked: bool = False) -> None:
    with h5py.File(path, "w") as file:
        for number, piece in enumerate(pieces):
            where = file.create_group("chunks") if number == 0 else file["chunks"]
            if linked:
                part = path.with_name(f"{path.name}.part{number:03d}")
                where[str(number)] = h5py.ExternalLink(part.name, "/")
                with h5py.File(part, "w") as other:
                    _ptyd_chunk(other, scan, piece)
            else:
                _ptyd_chunk(where.create_group(str(number)), scan, piece)
        file["meta/energy"] = ENERGY_EV / 1e3
        file["meta/distance"] = DISTANCE_M
        file["meta/psize"] = np.full(2, DETECTOR_PIXEL_M)
        file["meta/shape"] = np.array([12, 20])
        file["meta/center"] = np.array([6.0, 10.0])
        file["meta/num_frames"] = 13
        file["info/psize"] = DETECTOR_PIXEL_M / 4


def _ptyd_chunk(group: h5py.Group, scan: Scan, piece: slice) -> None:
    group["data"] = scan.data[piece].astype(np.int32)
    group["positions"] = scan.positions_m[piece]
    group["indices"] = np.arange(13)[piece]
    group["weights"] = np.broadcast_to(scan.mask, scan.data[piece].shape)


def ptylab(path: Path, scan: Scan) -> None:
    """PtyLab: everything in the root, (row, column) in metres."""
    with h5py.File(path, "w") as file:
        file["ptychogram"] = scan.data.astype(np.float32)
        file["encoder"] = scan.positions_m
        file["wavelength"] = scan.geometry.wavelength_m
        file["dxd"] = DETECTOR_PIXEL_M
        file["zo"] = DISTANCE_M
        file["orientation"] = 0


def ptylab_transposed(path: Path, scan: Scan) -> None:
    """PtyLab from MATLAB: scalars as (1, 1), encoder (2, N)."""
    with h5py.File(path, "w") as file:
        file["ptychogram"] = scan.data.astype(np.float64)
        file["ptychogram"].attrs["MATLAB_class"] = np.bytes_("double")
        file["encoder"] = scan.positions_m.T
        for name, value in (
            ("wavelength", scan.geometry.wavelength_m),
            ("dxd", DETECTOR_PIXEL_M),
            ("zo", DISTANCE_M),
            ("orientation", 3),
            ("entrancePupilDiameter", 3e-6),
        ):
            file[name] = [[float(value)]]


def exitwave_metres(path: Path, scan: Scan) -> None:
    """The layout of this package, as measured data have it."""
    with h5py.File(path, "w") as file:
        file["data"] = scan.data
        file["positions"] = scan.positions_m
        file["mask"] = scan.mask
        file["probe"] = scan.probe
        _attributes(file, scan)


def exitwave_pixels(path: Path, scan: Scan) -> None:
    """The same with positions in pixels."""
    exitwave_metres(path, scan)
    with h5py.File(path, "r+") as file:
        file["positions"][...] = scan.positions_px - 40
        file["positions"].attrs["units"] = "px"


def npz(path: Path, scan: Scan) -> None:
    """numpy.savez with the names of the layout."""
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            data=scan.data,
            positions_px=scan.positions_px,
            mask=scan.mask,
            probe=scan.probe,
            energy_ev=ENERGY_EV,
            distance_m=DISTANCE_M,
            detector_pixel_m=DETECTOR_PIXEL_M,
            regime="far",
        )


def _attributes(file: h5py.File, scan: Scan) -> None:
    file.attrs["wavelength_m"] = scan.geometry.wavelength_m
    file.attrs["distance_m"] = DISTANCE_M
    file.attrs["detector_pixel_m"] = DETECTOR_PIXEL_M
    file.attrs["regime"] = "far"


Writer = Callable[[Path, Scan], None]
WRITERS: dict[str, list[Writer]] = {
    "cxi": [cxi_specification, cxi_pynx, cxi_cdtools, cxi_energy_in_ev, cxi_with_units],
    "ptyd": [ptyd_one_chunk, ptyd_three_chunks, ptyd_linked, ptyd_old],
    "ptylab": [ptylab, ptylab_transposed],
    "exitwave": [exitwave_metres, exitwave_pixels],
    "npz": [npz],
}
CASES = [(name, writer) for name, writers in WRITERS.items() for writer in writers]
WITHOUT_MASK = (ptylab, ptylab_transposed)
WITH_PROBE = (exitwave_metres, exitwave_pixels, npz)
LAZY = tuple(writer for _, writer in CASES if writer not in (npz, ptyd_three_chunks, ptyd_linked))
