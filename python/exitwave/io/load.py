"""The one way to read a scan: detect the layout, read it, settle units, signs, crop and bin."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.errors import ExitwaveError, FileFormatError, InvalidArgument
from exitwave.geometry import Geometry, wavelength_from_energy
from exitwave.io import adorym, cxi, hdf5, plain, ptyd, ptylab, result_file
from exitwave.io.dataset import Bool, Complex64, Contents, Dataset, Float64
from exitwave.io.frames import FrameReader, chosen_frames, select
from exitwave.io.layout import Layout
from exitwave.io.options import Options
from exitwave.io.treatment import chosen_window, statistics_needed, without_bad_pixels
from exitwave.io.units import LENGTH_M
from exitwave.io.window import Window

# No object is so large; positions in a wrong unit are.
LARGEST_SPAN_PX = 1e7
LONGEST_WAVE_M = 1e-3

# The first that recognises a file reads it.
HDF5_LAYOUTS = (
    cxi.LAYOUT,
    ptyd.LAYOUT,
    ptylab.LAYOUT,
    adorym.LAYOUT,
    plain.LAYOUT,
    plain.NAMED,
)


def load(path: str | Path, **options: Any) -> Dataset:
    """Read a scan from a file, whose layout is recognised by its content.

    Parameters
    ----------
    path : str or Path
        CXI (and PyNX's and cdtools' dialects), PtyPy .ptyd, PtyLab HDF5, the layout of this
        package, npz, a result of this package (start values only), or any HDF5 whose datasets are
        named by ``data`` and ``positions``; where both are named the file counts as "hdf5".
    format : "cxi", "ptyd", "ptylab", "exitwave", "npz", "hdf5" or "result"
        Reads the file in this layout; left out: finds out.
    data, positions, mask, probe, object : str
        Names of datasets (npz: arrays) to use in place of the layout's own.
    entry : int or str
        Entry of a CXI file.
    wavelength_m, energy_ev, distance_m : float
        In place of the file's; wavelength or energy, not both.
    radiation : "photon" or "electron"
        What the energy belongs to; left out: the file's word, else photons.
    detector_pixel_m, pixel_size_m : float or (float, float)
        Pixel of the detector and of the object, (row, column), for frames that are neither cropped
        nor binned.
    regime : "far" or "near"
    focus_distance_m : float
        Cone beam of the near field: focus to sample.
    positions_unit : str
        "m", "mm", "um", "nm", ... or "px", object pixels of frames that are not cropped.
    positions_sign : (int, int)
        Factors +1 or -1 on rows and columns, after ``positions_swap``.
    positions_swap : bool
        Exchanges rows and columns.
    positions_transpose : bool
        Whether the file has one row per axis; asked for where the shape does not tell.
    mask_invert : bool
        Exchanges valid and invalid pixels.
    find_bad_pixels : bool
        Looks for dead, hot and unsteady pixels, see
        :func:`exitwave.prepare.find_bad_pixels`, and masks them.
    centre : "auto" or (float, float)
        Row and column of the far-field patterns' zero frequency, in pixels of the file; the nearest
        pixel is moved to the middle, with invalid pixels where frames end. "auto": found with
        :func:`exitwave.prepare.find_centre`. Left out: it is in the middle.
    crop : int or (int, int)
        Keeps so many detector pixels around the zero frequency.
    pad : int or (int, int)
        Surrounds the frames by invalid pixels, up to so many.
    bin : int
        Adds up ``bin`` by ``bin`` detector pixels, after the crop.
    frames : slice or str
        Frames to use, such as ``slice(0, 100)`` or "0:100"; applies to the positions too.

    Returns
    -------
    Dataset
        Closes its file with ``close()`` or as a context manager.

    Raises
    ------
    InvalidArgument
        An option is unknown (the nearest is named), malformed, or does not fit the file.
    FileFormatError
        The file is missing, damaged, or not understood; the message says what to do.
    """
    chosen = Options.parse(options)
    place = Path(path)
    file: h5py.File | None = None
    try:
        if _is_npz(place):
            dataset = _read_npz(place, chosen)
        else:
            file = hdf5.open_file(place)
            dataset = _read_hdf5(file, place, chosen)
    except ExitwaveError as error:
        _close(file)
        raise type(error)(f"{place}: {error}") from error
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        # h5py raises all of these for damage inside a file.
        _close(file)
        raise FileFormatError(
            f"{place}: the file cannot be understood ({error}); check or write it again."
        ) from error
    except BaseException:
        _close(file)
        raise
    if isinstance(dataset.data, h5py.Dataset):
        dataset._file = file
    else:
        _close(file)
    return dataset


def _close(file: h5py.File | None) -> None:
    if file is not None:
        file.close()


def _is_npz(path: Path) -> bool:
    """True for npz and False for HDF5, by the first bytes; anything else is refused."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileFormatError(f"the file {what}; give the path of a file of measured data.")
    if path.stat().st_size == 0:
        raise FileFormatError("the file is empty; copy or write it again.")
    with path.open("rb") as stream:
        if stream.read(4) == b"PK\x03\x04":
            return True
    if not h5py.is_hdf5(path):
        raise FileFormatError(
            "the file is neither HDF5 nor npz, or its beginning is lost; convert it, or copy it "
            "again."
        )
    return False


def _read_npz(path: Path, options: Options) -> Dataset:
    if options.format not in (None, "npz"):
        raise InvalidArgument(f"format is {options.format!r}, but the file is npz; leave it out.")
    # np.load leaves a file that it opened itself open where the archive is damaged.
    with path.open("rb") as stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
            raise FileFormatError(
                "the npz archive is damaged or still being written; copy or write it again."
            ) from error
        return _assemble(plain.read_npz(archive, options), options, path, "npz")


def _read_hdf5(file: h5py.File, path: Path, options: Options) -> Dataset:
    if options.format == "result" or (options.format is None and result_file.FILE.recognises(file)):
        used = [name for name in options.given() if name != "format"]
        if used:
            raise InvalidArgument(
                f"{used[0]} is given, but the file is a result, which has no frames to read; leave "
                "it out."
            )
        return result_file.read_start_values(file, str(path))
    layout = _choose_layout(file, options)
    if layout is not cxi.LAYOUT and options.entry is not None:
        raise InvalidArgument(
            f"entry is given, but this is a file of layout {layout.name}, not CXI; leave it out."
        )
    return _assemble(layout.read(file, options), options, path, layout.name)


def _choose_layout(file: h5py.File, options: Options) -> Layout:
    if options.format == "npz":
        raise InvalidArgument("format is 'npz', but the file is HDF5; leave it out.")
    if options.format is not None:
        return next(layout for layout in HDF5_LAYOUTS if layout.name == options.format)
    if options.data is not None and options.positions is not None:
        return plain.NAMED
    for layout in HDF5_LAYOUTS:
        if layout.recognises(file):
            return layout
    raise FileFormatError(
        f"the layout is not known; {hdf5.listing(file)[:-1]}, so name counts and positions "
        "with the options data and positions."
    )


def _assemble(contents: Contents, options: Options, path: Path, name: str) -> Dataset:
    """Everything that is the same for all layouts."""
    notes = contents.notes
    reader = FrameReader(contents.data)
    shape = reader.frame_shape
    regime = _regime(contents, options, notes)
    geometry = _geometry(contents, options, regime, shape, notes)
    wanted = chosen_frames(reader.count, options.frames)
    mask = _mask(contents.mask, options, shape, notes)
    seen = statistics_needed(reader, wanted, options)
    if options.find_bad_pixels and seen is not None:
        mask = without_bad_pixels(seen, mask, notes)
    window = chosen_window(shape, seen, mask, options, regime, notes)
    crop = window.shape
    # Pixels of positions scale as the geometry's do, also where the lengths are unknown.
    before = geometry or Geometry(regime, (1.0, 1.0))
    after = before.cropped(shape, crop).binned(options.bin)

    positions = _positions(contents, options, wanted, reader.count)
    unit = options.positions_unit or contents.positions_unit
    if unit in LENGTH_M:
        if geometry is None:
            raise FileFormatError(
                "positions are lengths, but the object pixel is not known; give pixel_size_m, or "
                "wavelength_m (or energy_ev), distance_m and detector_pixel_m."
            )
        positions *= LENGTH_M[unit] / np.asarray(before.pixel_size_m)
    positions *= np.asarray(before.pixel_size_m) / np.asarray(after.pixel_size_m)
    span = float(np.ptp(positions, axis=0).max())
    if not span < LARGEST_SPAN_PX:
        raise FileFormatError(
            f"the positions span {span:.3g} object pixels; check their unit (option "
            "positions_unit) and the object pixel (option pixel_size_m)."
        )

    probe = _probe(contents.probe, shape)
    start = contents.object
    if (crop, options.bin) != (shape, 1):
        probe = None if probe is None else _resampled(probe, crop, options.bin, regime)
        if start is not None:
            notes.append(
                "the start object was left out, since frames were cropped, padded or binned."
            )
            start = None
    data, mask = select(reader, mask, wanted, window, options.bin)
    if mask is not None and not mask.any():
        raise FileFormatError(
            "the mask leaves no valid pixel; check it, or invert it with mask_invert=True."
        )
    if start is None:
        positions -= positions.min(axis=0)
    known = None if geometry is None else after
    return Dataset(data, positions, mask, probe, start, known, str(path), name, notes)


def _regime(contents: Contents, options: Options, notes: list[str]) -> Any:
    if options.regime is None and options.focus_distance_m is not None:
        return "near"
    stated = options.regime or contents.regime
    if stated is not None:
        return stated
    notes.append("the file does not say far or near field; far was assumed (option regime).")
    return "far"


def _geometry(
    contents: Contents, options: Options, regime: Any, shape: tuple[int, int], notes: list[str]
) -> Geometry | None:
    """Geometry of the whole frames from options, else the file; None without an object pixel."""
    lengths = {
        name: getattr(options, name) or getattr(contents, name)
        for name in ("wavelength_m", "distance_m", "detector_pixel_m", "focus_distance_m")
    }
    for name in ("wavelength_m", "distance_m", "detector_pixel_m"):
        if lengths[name] is None:
            notes.append(f"{name} is not known (option {name}).")
    if regime == "far" and lengths["focus_distance_m"] is not None:
        notes.append("the focus distance of the file was left out, since the regime is far.")
        lengths["focus_distance_m"] = None
    radiation: Any = options.radiation or contents.radiation or "photon"
    if options.energy_ev is not None:
        lengths["wavelength_m"] = wavelength_from_energy(options.energy_ev, radiation)
    wavelength = lengths["wavelength_m"]
    if wavelength is not None and wavelength > LONGEST_WAVE_M:
        raise FileFormatError(
            f"the wavelength is {wavelength:g} m, perhaps in another unit; give it in metres with "
            "the option wavelength_m, or energy_ev."
        )
    try:
        computed = _from_lengths(regime, lengths, shape, radiation)
        stated = options.pixel_size_m or contents.pixel_size_m
        if stated is None:
            return computed
        if options.pixel_size_m is None and computed is not None and _overrides(options):
            return computed
        geometry = Geometry(regime, stated, **lengths, radiation=radiation)
    except InvalidArgument as error:
        raise FileFormatError(f"{str(error)[:-1]}; give the right value as an option.") from error
    if computed is not None and not np.allclose(computed.pixel_size_m, stated, rtol=0.01, atol=0):
        notes.append(
            f"the object pixel {stated} m was used, but the lengths give {computed.pixel_size_m} m."
        )
    return geometry


def _overrides(options: Options) -> bool:
    """Whether the user replaced a length that a stated object pixel may depend on."""
    names = ("wavelength_m", "distance_m", "detector_pixel_m", "focus_distance_m", "regime")
    return any(getattr(options, name) is not None for name in names)


def _from_lengths(
    regime: str, lengths: dict[str, Any], shape: tuple[int, int], radiation: Any
) -> Geometry | None:
    wavelength, distance = lengths["wavelength_m"], lengths["distance_m"]
    pixel = lengths["detector_pixel_m"]
    if pixel is None or wavelength is None or distance is None:
        return None
    if regime == "far":
        geometry = Geometry.from_far_field(wavelength, distance, pixel, shape)
    else:
        focus = lengths["focus_distance_m"]
        geometry = Geometry.from_near_field(wavelength, distance, pixel, focus)
    return replace(geometry, radiation=radiation)


def _positions(contents: Contents, options: Options, wanted: range, frames: int) -> Float64:
    """(row, column) of the chosen frames, after swap and sign; one for each frame or refused."""
    positions = contents.positions[options.frames or slice(None)]
    if len(positions) != len(wanted):
        common = min(len(contents.positions), frames)
        raise FileFormatError(
            f"there are {frames} frames, but {len(contents.positions)} positions; repair the file, "
            f"or use those that have both with frames=slice(0, {common})."
        )
    if not np.isfinite(positions).all():
        bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
        raise FileFormatError(
            f"positions of {len(bad)} frames are not finite (first: frame {bad[0]}); choose frames "
            "with the option frames, or repair the file."
        )
    if options.positions_swap:
        positions = positions[:, ::-1]
    return positions * np.asarray(options.positions_sign, dtype=np.float64)


def _mask(
    mask: Bool | None, options: Options, shape: tuple[int, int], notes: list[str]
) -> Bool | None:
    if mask is None:
        if options.mask_invert:
            raise InvalidArgument("mask_invert is given, but the file has no mask; leave it out.")
        return None
    if mask.shape != shape:
        raise FileFormatError(
            f"the mask has shape {mask.shape}, but frames are {shape}; name another one (option "
            "mask)."
        )
    share = 1 - mask.mean()
    if share > 0.5:
        notes.append(f"the mask removes {share:.0%} of the pixels; mask_invert=True inverts it.")
    return mask


def _probe(probe: npt.NDArray[Any] | None, shape: tuple[int, int]) -> Complex64 | None:
    if probe is None:
        return None
    if probe.ndim not in (2, 3) or probe.shape[-2:] != shape:
        raise FileFormatError(
            f"the start probe has shape {probe.shape}, but frames are {shape}; name another "
            "dataset (option probe) or write the probe again."
        )
    return np.asarray(probe.reshape(-1, *shape), dtype=np.complex64)


def _resampled(probe: Complex64, crop: tuple[int, int], bin: int, regime: str) -> Complex64:
    """Start probe for cropped or padded, and binned frames.

    In the far field a crop of the frames is a coarser probe in the same window and a bin a smaller
    window of it; in the near field it is the other way round.
    """
    shape = (crop[0] // bin, crop[1] // bin)
    window, spectrum = (crop, shape) if regime == "near" else (shape, crop)
    if regime == "near":
        return _coarser(_middle(probe, window), spectrum)
    return _middle(_coarser(probe, spectrum), window)


def _middle(probe: Complex64, shape: tuple[int, int]) -> Complex64:
    return np.ascontiguousarray(Window.around((probe.shape[-2], probe.shape[-1]), shape).cut(probe))


def _coarser(probe: Complex64, shape: tuple[int, int]) -> Complex64:
    """The middle of the unitary spectrum, transformed back: larger pixels, the same window."""
    axes = (-2, -1)
    spectrum = np.fft.fftshift(
        np.fft.fft2(np.fft.ifftshift(probe, axes=axes), norm="ortho"), axes=axes
    )
    kept = np.fft.ifftshift(_middle(spectrum.astype(np.complex64), shape), axes=axes)
    return np.fft.fftshift(np.fft.ifft2(kept, norm="ortho"), axes=axes).astype(np.complex64)
