"""What real experiments do to data: blur, drift, wrong positions, background, detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import checks, scans
from exitwave.errors import InvalidArgument
from exitwave.point_spread import spread
from exitwave.probes import add_modes

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float64]

# Probes of a frame differ by combinations of this many modes beyond the first.
_CHANGES = 5
# Sub-positions per pixel of blur.
_POINTS_PER_PX = 4


@dataclass(frozen=True)
class Imperfections:
    """What is not ideal in a simulated experiment; the default is that nothing is.

    Those that belong to what is reported (positions, distance) leave the data alone; the others
    change the data. The truth is kept in :class:`exitwave.simulation.Truth`.

    Parameters
    ----------
    blur_px : float or (row, column), pixels
        Fly scan: way of the sample during a frame, centred at its position; a number goes along
        the columns.
    probe_jitter : float
        Root mean square change of the probe from frame to frame, relative to the probe: random
        combinations of five modes, see :func:`exitwave.probes.add_modes`.
    intensity_drift : float
        Root mean square change of the frames' intensity over the scan, relative; slow.
    position_scale : float or (row, column)
        Of the reported positions; see :func:`exitwave.scans.distort` for this and the next three.
    position_shear_rad, position_rotation_rad : float
    position_jitter_px : float
    distance_error : float
        The reported distance is ``1 + distance_error`` times the true one, and so are lengths that
        follow from it: the object's pixel in the far field, and the positions in pixels.
    background_counts : float or (Y, X)
        Incoherent counts per pixel and frame, added to those of the beam.
    point_spread_px : float or (row, column), pixels
        Standard deviation of the detector's Gaussian point spread.
    saturation_counts : float or None
        Largest count that a pixel can hold.

    Raises
    ------
    InvalidArgument
        A value is out of range.
    """

    blur_px: float | tuple[float, float] = 0.0
    probe_jitter: float = 0.0
    intensity_drift: float = 0.0
    position_scale: float | tuple[float, float] = 1.0
    position_shear_rad: float = 0.0
    position_rotation_rad: float = 0.0
    position_jitter_px: float = 0.0
    distance_error: float = 0.0
    background_counts: Any = 0.0
    point_spread_px: float | tuple[float, float] = 0.0
    saturation_counts: float | None = None

    @classmethod
    def parse(cls, given: Imperfections | Mapping[str, Any] | None) -> Imperfections:
        """From a dict, refusing unknown keys with the nearest known one."""
        if isinstance(given, Imperfections):
            return given
        known = [field.name for field in fields(cls)]
        for key in given or {}:
            checks.choice("imperfection", key, known)
        return cls(**dict(given or {}))

    def __post_init__(self) -> None:
        least = {"distance_error": None, "position_shear_rad": None, "position_rotation_rad": None}
        for name in ("probe_jitter", "intensity_drift", "position_jitter_px", *least):
            checks.number(name, getattr(self, name), least=least.get(name, 0.0))
        if self.distance_error <= -1:
            raise InvalidArgument(
                f"distance_error was {self.distance_error:g}, but must be above -1: it is relative."
            )
        checks.pair("position_scale", self.position_scale)
        self._point_spread()
        if self.intensity_drift >= 0.5:
            raise InvalidArgument(
                f"intensity_drift was {self.intensity_drift:g}, but must be below 0.5, or frames "
                "go dark."
            )
        if self.saturation_counts is not None:
            checks.number("saturation_counts", self.saturation_counts, above=0)
        self.path_px()

    def path_px(self) -> Float:
        """(P, 2) offsets of the sub-positions of a frame from its position; zero without blur."""
        way = np.asarray(self.blur_px, np.float64).reshape(-1)
        if way.size not in (1, 2) or not np.isfinite(way).all():
            raise InvalidArgument(
                f"blur_px was {self.blur_px!r}, but must be a number or (row, column)."
            )
        vector = np.array([0.0, way[0]]) if way.size == 1 else way
        length = float(np.hypot(*vector))
        points = 1 if length == 0 else max(2, int(np.ceil(_POINTS_PER_PX * length)))
        return ((np.arange(points) + 0.5) / points - 0.5)[:, None] * vector

    def reported_positions(self, true_px: Float, seed: int) -> Float:
        """Positions as the stage reports them; to the bit where it makes no errors."""
        ideal = Imperfections()
        names = [field.name for field in fields(self) if field.name.startswith("position_")]
        if all(getattr(self, name) == getattr(ideal, name) for name in names):
            return true_px.copy()
        return scans.distort(
            true_px,
            scale=self.position_scale,
            shear_rad=self.position_shear_rad,
            rotation_rad=self.position_rotation_rad,
            jitter_px=self.position_jitter_px,
            seed=seed,
        )

    def probe_changes(self, probe: Array, plane: str) -> Array:
        """Modes (C, M, Y, X) by which the probe (M, Y, X) changes, each of the power of its mode.

        None where the probe stands still.
        """
        count = _CHANGES if self.probe_jitter else 0
        changes = np.zeros((count, *probe.shape), np.complex128)
        for number, mode in enumerate(probe):
            if count:
                changes[:, number] = add_modes(mode, count + 1, np.ones(count + 1), plane=plane)[1:]
        return np.asarray(changes * np.sqrt(count + 1))

    def probe_weights(self, frames: int, random: np.random.Generator) -> Array:
        """Complex weights (N, C) of these modes, of mean square sum ``probe_jitter ** 2``."""
        count = _CHANGES if self.probe_jitter else 0
        noise = random.standard_normal((2, frames, count))
        scale = self.probe_jitter / np.sqrt(2 * max(count, 1))
        return np.asarray(scale * (noise[0] + 1j * noise[1]))

    def intensities(self, frames: int, random: np.random.Generator) -> Float:
        """Factor (N,) of each frame, of mean 1: two slow waves of random phase."""
        turn = 2 * np.pi * np.arange(frames) / frames
        phases = random.uniform(0, 2 * np.pi, 2)
        waves = np.sin(turn + phases[0]) + np.sin(3 * turn + phases[1])
        return np.asarray(1 + self.intensity_drift * waves)

    def background(self, frame_shape: tuple[int, int]) -> Float | None:
        """Counts (Y, X), or None."""
        given = np.asarray(self.background_counts, np.float64)
        if given.shape not in ((), frame_shape) or not (given >= 0).all():
            raise InvalidArgument(
                f"background_counts had shape {given.shape}, but must be a number or an image "
                f"{frame_shape}, nowhere negative."
            )
        return np.broadcast_to(given, frame_shape).copy() if given.any() else None

    def detected(self, intensity: Float, background: Float | None) -> Float:
        """Mean counts (Y, X) of a frame behind the detector: its point spread, then background.

        What spreads beyond the edge is lost.
        """
        intensity = spread(intensity, self._point_spread())
        return intensity if background is None else intensity + background

    def saturated(self, data: Array) -> Array:
        """Counts that no pixel exceeds."""
        if self.saturation_counts is None or self.saturation_counts >= data.max():
            return data
        return np.asarray(np.minimum(data, np.asarray(self.saturation_counts).astype(data.dtype)))

    def _point_spread(self) -> tuple[float, float]:
        values = np.asarray(self.point_spread_px, dtype=object).reshape(-1)
        if values.size not in (1, 2):
            raise InvalidArgument(
                f"point_spread_px was {self.point_spread_px!r}, but must be a number or (row, "
                "column)."
            )
        row, column = (
            checks.number("point_spread_px", each, least=0) for each in (values[0], values[-1])
        )
        return row, column
