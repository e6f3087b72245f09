"""Results on disk: one HDF5 file that is CXI and NeXus at once.

``/entry_1`` holds ``image_1`` (the object, complex), views of amplitude and phase as NXdata with
default plots, the probe, positions, errors, ``process_1`` with all parameters and versions, and
``start``. ``save_result`` and ``load_result`` return what a run returned, to the bit.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

import exitwave
from exitwave.errors import InvalidArgument
from exitwave.geometry import ELEMENTARY_CHARGE_C, Geometry, Pair
from exitwave.io import hdf5
from exitwave.io.atomic import new_hdf5
from exitwave.io.dataset import Dataset
from exitwave.io.marked import MarkedFile
from exitwave.io.plain import geometry_attributes, geometry_entries
from exitwave.io.refined import read_refined, write_refined
from exitwave.io.trees import read_tree, write_tree
from exitwave.result import Result
from exitwave.start import Box

FILE = MarkedFile(
    "result",
    "exitwave_result",
    version=1,
    advice="read measured data with exitwave.load",
    remedy="write it again",
)
CXI_VERSION = 160
_BAND_VALUES = 1 << 21
Tile = tuple[Box, npt.NDArray[np.complex64]]


def save_result(
    path: str | Path,
    result: Result,
    dataset: Dataset | None = None,
    geometry: Geometry | None = None,
    overwrite: bool = False,
) -> None:
    """Write a result as HDF5 that CXI and NeXus readers open, with default plots.

    Parameters
    ----------
    path : str or Path
    result : Result
    dataset : Dataset, optional
        The measured scan: gives geometry, mask, the notes of the reader, and the source file
        where the result has none.
    geometry : Geometry, optional
        In place of the dataset's.
    overwrite : bool
        Whether an existing file may be replaced; it stays as it was if writing fails.

    Notes
    -----
    Under MPI the first process writes. Where no process has the whole object all must call this,
    and the object is written part by part; else the others need not, and it does nothing there.

    Raises
    ------
    InvalidArgument
        The file exists, its folder does not, or a parameter cannot be written.
    ExitwaveError
        The operating system refuses to write; nothing is left behind.
    """
    result = result.on_host()
    parts = result.parts
    if parts is None or parts.gathered is not False:
        if parts is None or parts.ranks.first:
            _write(path, result, dataset, geometry, overwrite, iter(()))
        return
    tiles = parts.collect(result.object)

    def write() -> None:
        try:
            if parts.ranks.first:
                _write(path, result, dataset, geometry, overwrite, tiles)
        finally:
            for _ in tiles:  # the other ranks send them, whatever happens here
                pass

    with parts.ranks.together():
        parts.ranks.agree(write)


def _write(
    path: str | Path,
    result: Result,
    dataset: Dataset | None,
    geometry: Geometry | None,
    overwrite: bool,
    tiles: Iterator[Tile],
) -> None:
    """``tiles``: of the object, where it is not whole."""
    known = geometry or (dataset.geometry if dataset is not None else None)
    with new_hdf5(path, overwrite) as file:
        FILE.stamp(file)
        file.attrs["file_time"] = datetime.now(UTC).isoformat(timespec="seconds")
        file.attrs.update({"NX_class": "NXroot", "default": "entry_1"})
        file["cxi_version"] = CXI_VERSION
        entry = _group(file, "entry_1", "NXentry", default="object_phase")
        entry["title"] = (
            f"Ptychographic reconstruction ({', '.join(result.engines) or 'no engine'})"
        )
        entry["program_name"] = "exitwave"
        pixel = result.pixel_size_m or (known.pixel_size_m if known is not None else None)
        _write_images(entry, result, pixel, tiles)
        _write_sample(entry, result, pixel)
        _write_errors(entry, result)
        write_refined(entry, result.refined)
        _write_process(entry, result, dataset)
        _write_instrument(entry, known, dataset)
        for name in ("intensities", "background"):
            if getattr(result, name) is not None:
                entry[name] = getattr(result, name)
        start = _group(entry, "start", "NXcollection")
        for name, array in result.start.items():
            if name == "object" and _in_tiles(result):
                _fill_with_start(start, name, result, grown=False)
            else:
                start[name] = array


def load_result(path: str | Path) -> Result:
    """Read a result that :func:`save_result` wrote.

    Its object, probe and positions are what ``exitwave.ptychography`` takes to go on.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or no result.
    """
    with FILE.opened(Path(path)) as file:
        return _read_result(file)


def read_start_values(file: h5py.File, source: str) -> Dataset:
    """A result as start values of a run: object, probe, positions, geometry, and no frames."""
    FILE.check(file)
    result = _read_result(file)
    stored = geometry_entries(FILE.group(file, "entry_1/geometry_1").attrs)
    known = stored["regime"] is not None and stored["pixel_size_m"] is not None
    stored["radiation"] = stored["radiation"] or "photon"
    geometry = Geometry(**stored) if known else None
    mask = hdf5.find(file, "entry_1/instrument_1/detector_1/mask")
    origin = result.source or "unknown"
    return Dataset(
        data=np.empty((0, *result.probe.shape[-2:]), np.uint16),
        positions_px=result.positions,
        mask=None if mask is None else hdf5.read_array(mask) == 0,
        probe=result.probe,
        object=result.object,
        geometry=geometry,
        source=source,
        format="result",
        notes=[f"a result holds start values and no counts; those came from {origin}."],
    )


def _group(parent: h5py.Group, name: str, kind: str, default: str | None = None) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    if default is not None:
        group.attrs["default"] = default
    return group


def _plot(
    parent: h5py.Group,
    name: str,
    title: str,
    signal: tuple[str, npt.NDArray[Any] | None],
    axes: dict[str, tuple[npt.NDArray[Any], str]],
) -> h5py.Group:
    """NXdata: one signal over named axes, each with values and a unit; None: to be written yet."""
    group = _group(parent, name, "NXdata")
    group["title"] = title
    if signal[1] is not None:
        group[signal[0]] = signal[1]
    group.attrs["signal"] = signal[0]
    group.attrs["axes"] = list(axes)
    for axis, (values, unit) in axes.items():
        group[axis] = values
        group[axis].attrs["units"] = unit
    return group


def _image_axes(
    shape: tuple[int, ...], pixel: Pair | None
) -> dict[str, tuple[npt.NDArray[Any], str]]:
    size, unit = (pixel, "m") if pixel is not None else ((1.0, 1.0), "px")
    axes: dict[str, tuple[npt.NDArray[Any], str]] = {
        name: (np.arange(length), "")
        for name, length in zip(("mode", "slice"), shape[:-2], strict=False)
    }
    axes["y"] = (np.arange(shape[-2]) * size[0], unit)
    axes["x"] = (np.arange(shape[-1]) * size[1], unit)
    return axes


def _write_images(
    entry: h5py.Group, result: Result, pixel: Pair | None, tiles: Iterator[Tile]
) -> None:
    for number, (name, array) in enumerate(
        (("object", result.object), ("probe", result.probe)), start=1
    ):
        whole = name == "probe" or not _in_tiles(result)
        shape = array.shape if whole else _whole_shape(result)
        axes = _image_axes(shape, pixel)
        image = _plot(entry, f"image_{number}", name, ("data", array if whole else None), axes)
        if not whole:
            _fill_with_start(image, "data", result, grown=True)
            for (y0, x0, y1, x1), values in tiles:
                image["data"][..., y0:y1, x0:x1] = values
        views: list[tuple[str, Callable[..., Any], str]]
        views = [("phase", np.angle, "rad"), ("amplitude", np.abs, "")]
        for view, of, unit in views:
            plot = _plot(entry, f"{name}_{view}", f"{name}, {view}", (view, None), axes)
            stored = plot.create_dataset(view, shape, np.float32)
            for rows in _bands(shape):
                stored[..., rows, :] = of(image["data"][..., rows, :])
            stored.attrs["units"] = unit
        image["data_type"] = "complex"
        image["data_space"] = "real"
        image["is_fft_shifted"] = 0
        if pixel is not None:
            extent = [shape[-1] * pixel[1], shape[-2] * pixel[0], 0.0]
            image["image_size"] = extent
        entry[name] = h5py.SoftLink(f"{entry.name}/image_{number}/data")
    # CXI readers look for data_1/data.
    data = _group(entry, "data_1", "NXdata")
    data["data"] = h5py.SoftLink(f"{entry.name}/image_1/data")
    data.attrs["signal"] = "data"


def _in_tiles(result: Result) -> bool:
    return result.parts is not None and result.parts.gathered is False


def _whole_shape(result: Result) -> tuple[int, ...]:
    assert result.parts is not None
    return (*result.object.shape[:-2], *result.parts.start.shape)


def _fill_with_start(group: h5py.Group, name: str, result: Result, *, grown: bool) -> None:
    """The start object, of which no process has all pixels, as a dataset; some rows at a time."""
    assert result.parts is not None
    start = result.parts.start
    modes = len(start.cut((0, 0, 1, 1), grown=grown))
    shape = (modes, *start.shape)
    dataset = group.create_dataset(name, _whole_shape(result) if grown else shape, np.complex64)
    for rows in _bands(shape):
        values = start.cut((rows.start, 0, rows.stop, shape[-1]), grown=grown)
        dataset[..., rows, :] = values.reshape(*dataset.shape[:-2], *values.shape[-2:])


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of an image, some megabytes at a time."""
    row_values = math.prod(shape) // shape[-2]
    step = max(1, _BAND_VALUES // row_values)
    for first in range(0, shape[-2], step):
        yield slice(first, min(first + step, shape[-2]))


def _write_sample(entry: h5py.Group, result: Result, pixel: Pair | None) -> None:
    rows, columns = result.positions.T
    plot = _group(entry, "positions", "NXdata")
    plot["row_px"], plot["column_px"] = rows, columns
    plot["positions_px"] = result.positions
    plot["title"] = "corner of the probe window in the object"
    plot.attrs.update({"signal": "row_px", "axes": ["column_px"]})
    for name in ("row_px", "column_px", "positions_px"):
        plot[name].attrs["units"] = "px"
    sample = _group(entry, "sample_1", "NXsample")
    sample["name"] = "sample"
    if pixel is not None:
        geometry = _group(sample, "geometry_1", "NXcollection")
        metres = (columns * pixel[1], rows * pixel[0], np.zeros_like(rows))
        geometry["translation"] = np.stack(metres, axis=1)
        geometry["translation"].attrs["units"] = "m"


def _write_errors(entry: h5py.Group, result: Result) -> None:
    if len(result.engines) != len(result.errors):
        raise InvalidArgument(
            f"result has {len(result.engines)} engines, but {len(result.errors)} error curves; "
            "give one curve per engine."
        )
    curve = np.concatenate([np.zeros(0), *result.errors]).astype(np.float64)
    axes = {"iteration": (np.arange(len(curve)), "")}
    group = _plot(entry, "errors", "Fourier error", ("fourier_error", curve), axes)
    group["iterations_per_engine"] = np.array([len(each) for each in result.errors], np.int64)
    group["final"] = result.error


def _write_process(entry: h5py.Group, result: Result, dataset: Dataset | None) -> None:
    process = _group(entry, "process_1", "NXprocess")
    process["program"] = "exitwave"
    process["version"] = exitwave.__version__
    process["date"] = process.file.attrs["file_time"]
    process["seconds"] = result.seconds
    process["seconds"].attrs["units"] = "s"
    process["engines"] = np.array(result.engines, dtype=h5py.string_dtype())
    source = result.source or (dataset.source if dataset is not None else None)
    for name, text in (("stopped", result.stopped), ("source", source)):
        if text is not None:
            process[name] = text
    if result.pixel_size_m is not None:
        process["pixel_size_m"] = result.pixel_size_m
    notes = [] if dataset is None else dataset.notes
    process["notes"] = np.array(notes, dtype=h5py.string_dtype())
    versions = _group(process, "versions", "NXcollection")
    versions["exitwave"] = exitwave.__version__
    versions["python"] = platform.python_version()
    versions["numpy"] = np.__version__
    versions["h5py"] = h5py.__version__
    versions["hdf5"] = h5py.version.hdf5_version
    versions["platform"] = platform.platform()
    write_tree(process, result.params)


def _write_instrument(
    entry: h5py.Group, geometry: Geometry | None, dataset: Dataset | None
) -> None:
    instrument = _group(entry, "instrument_1", "NXinstrument")
    source = _group(instrument, "source_1", "NXsource")
    detector = _group(instrument, "detector_1", "NXdetector")
    stored = _group(entry, "geometry_1", "NXcollection")
    if geometry is not None:
        stored.attrs.update(geometry_attributes(geometry))
        if geometry.energy_ev is not None:
            _quantity(source, "energy", geometry.energy_ev * ELEMENTARY_CHARGE_C, "J")
            _quantity(source, "wavelength", geometry.wavelength_m, "m")
        if geometry.distance_m is not None:
            _quantity(detector, "distance", geometry.distance_m, "m")
        if geometry.detector_pixel_m is not None:
            _quantity(detector, "y_pixel_size", geometry.detector_pixel_m[0], "m")
            _quantity(detector, "x_pixel_size", geometry.detector_pixel_m[1], "m")
    if dataset is not None and dataset.mask is not None:
        # CXI counts defects: 0 is an ideal pixel, bit 1 an invalid one.
        detector["mask"] = (~dataset.mask).astype(np.uint32)


def _quantity(group: h5py.Group, name: str, value: float | None, unit: str) -> None:
    group[name] = value
    group[name].attrs["units"] = unit


def _read_result(file: h5py.File) -> Result:
    entry = FILE.group(file, "entry_1")
    process = FILE.group(entry, "process_1")
    curve = FILE.array(entry, "errors/fourier_error")
    ends = np.cumsum(FILE.array(entry, "errors/iterations_per_engine").astype(np.int64))
    pixel = hdf5.find(process, "pixel_size_m")
    start = FILE.group(entry, "start")
    return Result(
        object=FILE.array(entry, "image_1/data"),
        probe=FILE.array(entry, "image_2/data"),
        positions=FILE.array(entry, "positions/positions_px"),
        errors=np.split(curve, ends[:-1]) if len(ends) else [],
        error=float(FILE.array(entry, "errors/final")),
        engines=[hdf5.text(name) for name in _strings(process, "engines")],
        params=read_tree(process),
        seconds=float(FILE.array(process, "seconds")),
        stopped=_string(process, "stopped"),
        pixel_size_m=None if pixel is None else (float(pixel[0]), float(pixel[1])),
        source=_string(process, "source"),
        start={name: FILE.array(start, name) for name in start},
        intensities=FILE.array(entry, "intensities") if "intensities" in entry else None,
        background=FILE.array(entry, "background") if "background" in entry else None,
        refined=read_refined(entry),
    )


def _strings(group: h5py.Group, name: str) -> list[Any]:
    found = hdf5.find(group, name)
    return [] if found is None else list(found[()])


def _string(group: h5py.Group, name: str) -> str | None:
    found = hdf5.find(group, name)
    return None if found is None else hdf5.text(found[()])
