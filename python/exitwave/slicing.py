"""How a thick object is cut into slices, engine by engine, and what the core is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument
from exitwave.multislice import Slices
from exitwave.propagate import frequencies

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters, Parameters

# What can be refined between slices; each has an iteration at which it starts.
OF_GAPS = ("slice_distance", "tilt")

Complex64 = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class Slicing:
    """A thick object: its depth, and how many slices it has in each engine of a chain.

    Attributes
    ----------
    distances_m : tuple of floats
        From slice to slice, as described; other numbers of slices share the same depth equally.
    start : int
        Slices of the start object.
    of_engine : tuple of int
    """

    distances_m: tuple[float, ...]
    start: int
    of_engine: tuple[int, ...]
    frame_shape: tuple[int, int]
    wavelength_m: float
    pixel_size_m: tuple[float, float]
    tilt_rad: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, params: Parameters, obj: Any, frame_shape: tuple[int, int], frames: int
    ) -> Slicing | None:
        """What parameters and start object say; None: the object is thin.

        Raises
        ------
        InvalidArgument
            They do not fit each other.
        """
        known = params.propagation
        given = known.slice_distances_m
        shape = np.shape(obj)
        if given is None:
            if len(shape) == 4:
                raise InvalidArgument(
                    f"obj has shape {shape}, modes and slices, but propagation has no "
                    "slice_distances_m; give these, or (modes, rows, columns)."
                )
            return None
        first = None if obj is None else (shape[-3] if len(shape) > 2 else 1)
        asked = [getattr(engine, "slices", None) for engine in params.engines]
        wanted = [count for count in asked if count is not None]
        if isinstance(given, tuple):
            described: int | None = len(given) + 1
            distances = given
        else:
            described = first if first is not None and first > 1 else None
            finest = max([first or 1, *wanted])
            if not wanted and finest == 1:
                raise InvalidArgument(
                    f"propagation.slice_distances_m is {given}, but nothing says how many slices "
                    "there are; give slices in an engine, a list of distances, or obj as (slices, "
                    "rows, columns)."
                )
            distances = (given,) * (finest - 1)
        count = described or (max(wanted) if obj is None else 1)
        of_engine = []
        for number, engine in enumerate(params.engines):
            count = asked[number] or count
            _check_engine(number, engine, count)
            of_engine.append(count)
        start = of_engine[0] if first is None else first
        _check_depth(distances, (start, *of_engine))
        _check_gaps(distances, params)
        # Checked with the parameters.
        assert known.wavelength_m is not None
        assert known.pixel_size_m is not None
        tilt = np.asarray(known.beam_tilt_rad, np.float64)
        if tilt.ndim == 2 and len(tilt) != frames:
            raise InvalidArgument(
                f"propagation.beam_tilt_rad has shape {tilt.shape}, but must be a pair, or "
                f"({frames}, 2) for {frames} frames."
            )
        return cls(
            distances,
            start,
            tuple(of_engine),
            frame_shape,
            known.wavelength_m,
            known.pixel_size_m,
            tilt,
        )

    @property
    def most(self) -> int:
        """Slices where there are most."""
        return max(self.start, *self.of_engine)

    def distances(self, slices: int) -> tuple[float, ...]:
        """From slice to slice, where there are so many; a slice is as thick as the way to the
        next."""
        given = self.distances_m
        if slices == len(given) + 1 or not given:
            return given if slices == len(given) + 1 else (0.0,) * (slices - 1)
        depth = sum(given) + (given[0] + given[-1]) / 2
        return (depth / slices,) * (slices - 1)

    def refined(self, found: Mapping[str, Any]) -> Slicing:
        """With the distances and the tilt that a run has come to, of those that it refined."""
        distances = found.get("slice_distances_m", self.distances_m)
        tilt = np.asarray(found.get("beam_tilt_rad", self.tilt_rad), np.float64)
        return replace(self, distances_m=tuple(map(float, distances)), tilt_rad=tilt)

    def set_slices(self, options: Any, slices: int) -> None:
        """Tell the core's options of an engine."""
        if slices > 1:
            options.set_slices(*self.between(slices))

    def between(self, slices: int) -> tuple[Complex64, npt.NDArray[np.float32]]:
        """Transfer functions (S - 1, Y, X), and moves (S - 1, N, 2) in pixels of each frame's beam,
        of size 0 where the tilt is that of the whole scan, which the functions have then."""
        kernels, shift_px = _gaps(
            self.frame_shape, self.wavelength_m, self.distances(slices), self.pixel_size_m
        )
        slope = np.tan(self.tilt_rad)
        if slope.ndim == 2:
            return kernels.astype(np.complex64), (shift_px[:, None] * slope).astype(np.float32)
        none = np.zeros((slices - 1, 0, 2), np.float32)
        if not slope.any():
            return kernels.astype(np.complex64), none
        from exitwave.propagate import shift_phase

        moved = [
            kernel * shift_phase(self.frame_shape, shift * slope)
            for kernel, shift in zip(kernels, shift_px, strict=True)
        ]
        return np.array(moved, np.complex64), none

    def with_distance(self, slices: int, gap: int) -> Complex64:
        """What a change of the distance of one gap does, per metre: factors on the spectra of the
        waves that meet the slices behind the gaps, (S - 1, Y, X).

        The derivative of exp(i z (kz - k - q slope)), divided by it.
        """
        k = 2 * np.pi / self.wavelength_m
        qy, qx = (2 * np.pi * q for q in frequencies(self.frame_shape, self.pixel_size_m))
        q2 = qy**2 + qx**2
        slope = np.tan(self.tilt_rad)
        # Evanescent waves are beyond the band limit, or gone.
        along = -q2 / (k + np.sqrt(np.maximum(k**2 - q2, 0.0))) - qy * slope[0] - qx * slope[1]
        return self._factors(slices, {gap: along})

    def with_tilt(self, slices: int, axis: int) -> Complex64:
        """The same of the tilt along rows (0) or columns (1), per radian."""
        q = 2 * np.pi * frequencies(self.frame_shape, self.pixel_size_m)[axis]
        slope = 1 / np.cos(self.tilt_rad[axis]) ** 2
        return self._factors(
            slices, {gap: -z * slope * q for gap, z in enumerate(self.distances(slices))}
        )

    def _factors(self, slices: int, phases: dict[int, npt.NDArray[np.float64]]) -> Complex64:
        """i times the changes of phase (Y, X) of gaps; 0 of others."""
        factors = np.zeros((slices - 1, *self.frame_shape), np.complex64)
        for gap, phase in phases.items():
            factors[gap] = 1j * phase
        return factors


@lru_cache(maxsize=4)
def _gaps(
    frame_shape: tuple[int, int],
    wavelength_m: float,
    distances_m: tuple[float, ...],
    pixel_size_m: tuple[float, float],
) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.float64]]:
    gaps = Slices.make(frame_shape, wavelength_m, distances_m, pixel_size_m)
    return gaps.kernels, gaps.shift_px


def _check_depth(distances_m: tuple[float, ...], counts: tuple[int, ...]) -> None:
    """Slices at one place cannot be told apart, so they can become one, but not more or fewer."""
    for before, after in pairwise(counts):
        if 1 < after != before and not any(distances_m):
            raise InvalidArgument(
                f"propagation.slice_distances_m is 0, but {before} slices are to become {after}, "
                "which must lie apart to differ; give distances above 0, or the same slices "
                "throughout."
            )


def _check_gaps(distances_m: tuple[float, ...], params: Parameters) -> None:
    """A distance is refined in steps of a share of it."""
    for number, engine in enumerate(params.engines):
        refined = getattr(engine, "slice_distance_start", None)
        if refined is not None and not all(distances_m):
            raise InvalidArgument(
                f"engines[{number}].slice_distance_start is {refined}, but one of "
                f"propagation.slice_distances_m, {distances_m}, is 0 and would stay so; give "
                "distances above 0."
            )


def _check_engine(number: int, engine: EngineParameters, slices: int) -> None:
    if slices == 1:
        for unknown in OF_GAPS:
            value = getattr(engine, f"{unknown}_start", None)
            if value is not None:
                raise InvalidArgument(
                    f"engines[{number}].{unknown}_start is {value}, but the object has one slice "
                    "there, with nothing behind it to refine; set it to None, or slices to 2 or "
                    "more."
                )
        return
    if "slices" not in type(engine).model_fields:
        raise InvalidArgument(
            f"engines[{number}] is {engine.name}, which works with one slice, but the object has "
            f"{slices} there; use ePIE, rPIE, mPIE, ML, LSQML or gradient, or an engine before it "
            "with slices = 1."
        )


def stacked(obj: Complex64, slices: int) -> Complex64:
    """(K * S, A, B) as (K, S, A, B), a view."""
    return obj.reshape(-1, slices, *obj.shape[-2:])
