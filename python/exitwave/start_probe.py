"""The probe that a run starts from: an array, a description of the optics, a file, or the data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks, start
from exitwave.counts import Counts
from exitwave.errors import InvalidArgument
from exitwave.first_probe import Taken, find_probe
from exitwave.geometry import Geometry, wavelength_from_energy
from exitwave.parameters.text import assignments, plain_value

Complex64 = npt.NDArray[np.complex64]

# Optics that can be described, functions of exitwave.probes; nothing about them is guessed.
OPTICS = ("lens", "zone_plate", "kb", "electron", "aperture", "gaussian", "diffuser")
KINDS = (*OPTICS, "data", "file")
_MODES = ("modes", "mode_powers")
_GRID = ("pixel_size_m", "wavelength_m", "energy_ev")


def make_start_probe(
    probe: Any,
    counts: Counts,
    positions: npt.NDArray[np.float64],
    kernel: npt.NDArray[np.complex128] | None,
    propagation: Mapping[str, Any],
    middle: list[Taken] | None = None,
) -> Complex64:
    """Start probe (M, Y, X) of a run from what the user gave.

    Parameters
    ----------
    probe : array (Y, X) or (M, Y, X), dict, or None
        None: from the data. A dict describes it: ``kind`` is "lens", "zone_plate", "kb",
        "electron", "aperture", "gaussian" or "diffuser" (the functions of
        :mod:`exitwave.probes`, whose keyword arguments are the other keys), "data" or "file"
        (with ``path``, and ``dataset`` where the file does not tell). ``modes`` and
        ``mode_powers`` (relative) make it partially coherent, see
        :func:`exitwave.probes.add_modes`. ``pixel_size_m`` of the object, and ``wavelength_m`` or
        ``energy_ev``, where neither the data's file nor the propagation tells them.
    counts, positions, kernel, middle
        As in :func:`exitwave.first_probe.find_probe`.
    propagation : dict
        The run's; in the near field it knows pixel and wavelength.

    Raises
    ------
    InvalidArgument
        A key is unknown, missing or wrong, or the optics do not fit the window.
    """
    frame_shape = (counts.data.shape[1], counts.data.shape[2])
    if probe is None:
        return find_probe(counts, positions, kernel, middle)
    if not isinstance(probe, Mapping):
        return start.checked_probe(probe, frame_shape)
    kind, settings = checked_description(probe)
    modes = {key: settings.pop(key, None) for key in _MODES}
    grid = {key: settings.pop(key, None) for key in _GRID}
    wave: npt.NDArray[Any]
    if kind == "data":
        wave = find_probe(counts, positions, kernel, middle)
    elif kind == "file":
        wave = start.checked_probe(read_probe(**settings), frame_shape)
    else:
        pixel, wavelength = _pixel_and_wavelength(kind, grid, propagation)
        wave = _optics(kind)(frame_shape, pixel, wavelength, **settings)[None]
    return np.array(_with_modes(wave, kind, **modes), np.complex64, order="C")


def _optics(kind: str) -> Callable[..., npt.NDArray[np.complex128]]:
    # Imported where it is needed: what it needs itself takes tens of megabytes.
    from exitwave import probes

    function: Callable[..., npt.NDArray[np.complex128]] = getattr(probes, kind)
    return function


def uses_data(probe: Any) -> bool:
    """Whether a start probe is found from the frames."""
    return probe is None or (isinstance(probe, Mapping) and probe.get("kind") == "data")


def placeholder(probe: Any, frame_shape: tuple[int, int]) -> Complex64:
    """An array of the shape that the start probe will have, for plans; an array stays itself.

    Raises
    ------
    InvalidArgument
        As :func:`make_start_probe`, where that can be told without making the probe.
    """
    if probe is not None and not isinstance(probe, Mapping):
        return start.checked_probe(probe, frame_shape)
    count = 1
    if probe is not None:
        kind, settings = checked_description(probe)
        modes = {key: settings.pop(key, None) for key in _MODES}
        wave = np.ones((1, 1, 1), np.complex64)
        if kind == "file":
            wave = start.checked_probe(read_probe(**settings), frame_shape)[:, :1, :1]
        count = len(wave) if modes == dict.fromkeys(_MODES) else _mode_count(**modes)
    return np.ones((count, *frame_shape), np.complex64)


def checked_description(probe: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind and the other keys; unknown and missing ones are refused."""
    settings = dict(probe)
    if "kind" not in settings:
        raise InvalidArgument(
            f"probe has no key 'kind', but must say one of {', '.join(KINDS)} in it."
        )
    kind = checks.choice("kind of the probe", settings.pop("kind"), KINDS)
    known: dict[str, Any] = {}
    if kind in OPTICS:
        from exitwave import probes

        known = probes.setting_names(_optics(kind)) | dict.fromkeys(_GRID)
    elif kind == "file":
        known = {"path": inspect.Parameter.empty, "dataset": None}
    known |= dict.fromkeys(_MODES)
    for key in settings:
        checks.choice(f"setting of probe {kind!r}", key, known)
    missing = [k for k, v in known.items() if v is inspect.Parameter.empty and k not in settings]
    if missing:
        raise InvalidArgument(
            f"probe {kind!r} lacks {', '.join(missing)}, but cannot be made without: add it."
        )
    return kind, settings


def with_geometry(probe: Any, geometry: Geometry | None) -> Any:
    """A description completed by pixel and wavelength of the data's file; else as it is."""
    if not isinstance(probe, Mapping) or geometry is None or probe.get("kind") not in OPTICS:
        return probe
    known: dict[str, Any] = {"pixel_size_m": geometry.pixel_size_m}
    if geometry.wavelength_m is not None and "energy_ev" not in probe:
        known["wavelength_m"] = geometry.wavelength_m
    return known | dict(probe)


def parse_probe(text: str) -> dict[str, Any]:
    """Description from text: ``zone_plate:diameter_m=1e-4,outer_zone_m=5e-8,modes=3``, or a file.

    Anything that does not begin with a kind is a path, as ``PATH`` or ``PATH::DATASET``.

    Raises
    ------
    InvalidArgument
        It is neither, or a key is unknown or missing.
    """
    kind, _, keys = text.partition(":")
    if kind in KINDS and kind != "file":
        probe = {"kind": kind}
        for key, value in assignments("start-probe", keys, text):
            probe[key.strip().replace("-", "_")] = plain_value(value)
    else:
        path, _, dataset = text.partition("::")
        if not Path(path).exists():
            raise InvalidArgument(
                f"start-probe is {text!r}, but must be a file, or one of {', '.join(OPTICS)} and "
                "data with its settings, such as lens:numerical_aperture=1e-3,defocus_m=1e-3."
            )
        probe = {"kind": "file", "path": path} | ({"dataset": dataset} if dataset else {})
    checked_description(probe)
    return probe


def read_probe(path: str | Path, dataset: str | None = None) -> npt.NDArray[Any]:
    """Probe (M, Y, X) of a result or a scan, or a named dataset of any HDF5 or npz file.

    Raises
    ------
    FileFormatError
        The file is missing or damaged, or has no probe.
    """
    from exitwave.errors import FileFormatError
    from exitwave.io import load
    from exitwave.io.named import read_named

    if dataset is not None:
        return read_named(Path(path), dataset, "a probe (Y, X) or (M, Y, X)")
    with load(path) as scan:
        if scan.probe is None:
            raise FileFormatError(f"{path}: the file has no probe; name its dataset.")
        return scan.probe


def _pixel_and_wavelength(
    kind: str, grid: dict[str, Any], propagation: Mapping[str, Any]
) -> tuple[Any, float]:
    """Object pixel and wavelength from the description, else the propagation."""
    pixel, wavelength, energy = (grid[key] for key in _GRID)
    if energy is not None:
        if wavelength is not None:
            raise InvalidArgument(
                "energy_ev and wavelength_m of the probe are both given, but say the same thing; "
                "leave one out."
            )
        radiation = "electron" if kind == "electron" else "photon"
        wavelength = wavelength_from_energy(energy, radiation)
    pixel = propagation.get("pixel_size_m") if pixel is None else pixel
    wavelength = propagation.get("wavelength_m") if wavelength is None else wavelength
    if pixel is None or wavelength is None:
        raise InvalidArgument(
            f"probe {kind!r} needs the object's pixel and the wavelength, which the data do not "
            "tell: add pixel_size_m, and wavelength_m or energy_ev, to it."
        )
    return pixel, checks.number("wavelength_m", wavelength, above=0)


def _with_modes(
    wave: npt.NDArray[Any], kind: str, modes: int | None, mode_powers: Any
) -> npt.NDArray[Any]:
    if modes is None and mode_powers is None:
        return wave
    if len(wave) > 1:
        raise InvalidArgument(
            f"modes of the probe are given, but the file has {len(wave)} of them: leave them out."
        )
    count = _mode_count(modes, mode_powers)
    from exitwave import probes

    plane = probes.mode_plane(kind) if kind in OPTICS else "sample"
    return probes.add_modes(wave[0], count, mode_powers, plane=plane)


def _mode_count(modes: int | None, mode_powers: Any) -> int:
    return len(np.atleast_1d(mode_powers)) if modes is None else checks.whole("modes", modes)
