"""What the simulator returns: data, truth, geometry, and the file they are written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks, probes
from exitwave.errors import InvalidArgument
from exitwave.geometry import Geometry

Array = npt.NDArray[Any]


@dataclass
class Truth:
    """What is true where something else is reported, or where frames differ.

    Attributes
    ----------
    positions_px : float64, shape (N, 2)
        (row, column) of each window's top-left corner in the object; of the middle of the way in a
        fly scan.
    distance_m : float, metres
    pixel_size_m : (row, column), metres
    propagation : dict
    tilt_rad : float64, shape (N, 2)
        (row, column) of the beam between the slices.
    intensities : float64, shape (N,)
        Factor of each frame, of mean 1.
    probe_changes : complex128, shape (C, M, Y, X)
    probe_weights : complex128, shape (N, C)
        The probe of frame j is ``probe + sum_c probe_weights[j, c] probe_changes[c]``.
    background : float64, shape (Y, X), or None
        Incoherent counts per frame.
    """

    positions_px: npt.NDArray[np.float64]
    distance_m: float
    pixel_size_m: tuple[float, float]
    propagation: dict[str, Any]
    tilt_rad: npt.NDArray[np.float64]
    intensities: npt.NDArray[np.float64]
    probe_changes: npt.NDArray[np.complex128]
    probe_weights: npt.NDArray[np.complex128]
    background: npt.NDArray[np.float64] | None = None

    def frame_probe(self, probe: Array, frame: int) -> npt.NDArray[np.complex128]:
        """Probe (M, Y, X) of a frame, its intensity included."""
        change = np.tensordot(self.probe_weights[frame], self.probe_changes, axes=1)
        return np.asarray((probe + change) * np.sqrt(self.intensities[frame]))


@dataclass
class Simulation:
    """Data and the truth behind them.

    Where an experiment has :class:`exitwave.imperfections.Imperfections`, positions, lengths and
    ``propagation`` are what it reports, and ``truth`` has what they really are.

    Unpacks as the arguments of the one call, with the true probe as start and no start object:
    ``exitwave.ptychography(*simulation, params)``.

    Attributes
    ----------
    data : (N, Y, X), uint8/16/32 counts, or float32 without noise
    positions_px : float64, shape (N, 2)
        (row, column) of each window's top-left corner in ``object``.
    probe : complex64, shape (M, Y, X)
        Truth, square root of counts per pixel.
    object : complex64, shape (A, B) or (K, A, B); (S, A, B) or (K, S, A, B) with slices
        Truth.
    mask : bool, shape (Y, X), True = valid, or None
    regime : "far" or "near"
    wavelength_m, distance_m : float, metres
    detector_pixel_m, pixel_size_m : (row, column), metres
        Pixel of the detector, and of object and probe.
    focus_distance_m : float or None, metres
        Near field in a diverging beam: focus to sample.
    method : "angular_spectrum" or "fresnel"
    propagation : dict
        The entry "propagation" of the parameters that fits.
    overlap : float
        Linear overlap 1 - step / probe diameter.
    counts_per_frame : float
        Mean over the frames before noise.
    radiation : "photon" or "electron"
    settings : dict
        Arguments that :func:`simulate` was called with, probe settings included.
    slice_distances_m : tuple of S - 1 floats, metres, or None
        From each slice of a thick object to the next; None: the object is thin.
    truth : Truth
    """

    data: Array
    positions_px: npt.NDArray[np.float64]
    probe: npt.NDArray[np.complex64]
    object: npt.NDArray[np.complex64]
    mask: npt.NDArray[np.bool_] | None
    regime: str
    wavelength_m: float
    distance_m: float
    detector_pixel_m: tuple[float, float]
    pixel_size_m: tuple[float, float]
    focus_distance_m: float | None
    method: str
    propagation: dict[str, Any]
    overlap: float
    counts_per_frame: float
    truth: Truth
    radiation: str = "photon"
    settings: dict[str, Any] = field(default_factory=dict)
    slice_distances_m: tuple[float, ...] | None = None

    def __iter__(self) -> Iterator[Any]:
        yield self.data
        yield None
        yield self.probe
        yield self.positions_px
        yield self.mask

    @property
    def geometry(self) -> Geometry:
        """The same facts as a :class:`exitwave.Geometry`."""
        return Geometry(
            regime=self.regime,  # type: ignore[arg-type]
            pixel_size_m=self.pixel_size_m,
            wavelength_m=self.wavelength_m,
            distance_m=self.distance_m,
            detector_pixel_m=self.detector_pixel_m,
            focus_distance_m=self.focus_distance_m,
            radiation=self.radiation,  # type: ignore[arg-type]
        )

    def start_probe(self, **factors: float) -> npt.NDArray[np.complex64]:
        """A wrong start: the coherent probe with some of its settings multiplied.

        ``simulation.start_probe(numerical_aperture=1.1, defocus_m=1.2)`` has an aperture 10 % too
        large and a defocus 20 % off; the power is that of the truth.

        Parameters
        ----------
        **factors : float
            Factor for each setting of the probe that is to be wrong.

        Returns
        -------
        complex64, shape (1, Y, X)

        Raises
        ------
        InvalidArgument
            The probe was given as an array, or does not have such a setting.
        """
        kind, settings = self.settings["probe"], dict(self.settings["probe_settings"])
        if kind == "given":
            raise InvalidArgument(
                "probe was given as an array and has no settings to change: distort the array."
            )
        for key, factor in factors.items():
            checks.choice("factor", key, settings)
            changed = np.multiply(settings[key], checks.number(key, factor))
            settings[key] = float(changed) if changed.ndim == 0 else tuple(changed.tolist())
        frame_shape = (self.probe.shape[1], self.probe.shape[2])
        wave = probes.make_probe(kind, frame_shape, self.pixel_size_m, self.wavelength_m, settings)
        power = np.sum(np.abs(self.probe.astype(np.complex128)) ** 2)
        return np.asarray((wave * np.sqrt(power))[None], dtype=np.complex64)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an HDF5 file with data, positions (metres), mask, probe, and the truth.

        Layout: ``/data, /positions, /mask, /probe``, attributes ``wavelength_m, distance_m,
        detector_pixel_m, pixel_size_m, regime, radiation`` (and ``focus_distance_m, method,
        slice_distances_m``), and ``/truth/object, /truth/probe, /truth/positions_px`` and the other
        fields of :class:`Truth`. ``/probe`` is the true one.
        """
        import h5py

        facts: dict[str, Any] = {
            "kind": "simulated",
            "regime": self.regime,
            "radiation": self.radiation,
            "wavelength_m": self.wavelength_m,
            "distance_m": self.distance_m,
            "detector_pixel_m": _scalar_if_equal(self.detector_pixel_m),
            "pixel_size_m": _scalar_if_equal(self.pixel_size_m),
            "method": self.method,
        }
        if self.focus_distance_m is not None:
            facts["focus_distance_m"] = self.focus_distance_m
        if self.slice_distances_m is not None:
            facts["slice_distances_m"] = self.slice_distances_m
        mask = np.ones(self.data.shape[1:], dtype=bool) if self.mask is None else self.mask
        # Written beside its place and moved, so that a full disk leaves no broken file behind.
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        try:
            with h5py.File(partial, "w") as file:
                chunks = (1, *self.data.shape[1:])
                file.create_dataset("data", data=self.data, chunks=chunks, compression="gzip")
                file["positions"] = self.positions_px * np.array(self.pixel_size_m)
                file["mask"] = mask
                file["probe"] = self.probe
                file["truth/object"] = self.object
                file["truth/probe"] = self.probe
                for name in _TRUTH_ARRAYS:
                    value = getattr(self.truth, name)
                    if value is not None:
                        file[f"truth/{name}"] = value
                file.attrs.update(facts)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


_TRUTH_ARRAYS = (
    "positions_px",
    "distance_m",
    "pixel_size_m",
    "tilt_rad",
    "intensities",
    "probe_changes",
    "probe_weights",
    "background",
)


def _scalar_if_equal(values: tuple[float, float]) -> float | tuple[float, float]:
    return values[0] if values[0] == values[1] else values
