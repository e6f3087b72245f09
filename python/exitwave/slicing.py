"""How a thick object is cut into slices, engine by engine, and what the core is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument
from exitwave.multislice import Slices

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters, Parameters

# Refinements that look at the object as if it were thin.
_ONE_SLICE = {
    "map_start": "the map is",
    "distance_start": "the distance is",
    "defocus_start": "the defocus is",
}

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


def _check_engine(number: int, engine: EngineParameters, slices: int) -> None:
    if slices == 1:
        return
    if "slices" not in type(engine).model_fields:
        raise InvalidArgument(
            f"engines[{number}] is {engine.name}, which works with one slice, but the object has "
            f"{slices} there; use ePIE, rPIE, mPIE, ML, LSQML or gradient, or an engine before it "
            "with slices = 1."
        )
    for key, what in _ONE_SLICE.items():
        value = getattr(engine, key)
        if value is not None:
            raise InvalidArgument(
                f"engines[{number}].{key} is {value}, but {what} refined with one slice only, not "
                f"with {slices}; set it to None."
            )


def stacked(obj: Complex64, slices: int) -> Complex64:
    """(K * S, A, B) as (K, S, A, B), a view."""
    return obj.reshape(-1, slices, *obj.shape[-2:])
