"""What a detector does beside counting the photons of the waves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exitwave.errors import InvalidArgument
from exitwave.parameters import Parameters
from exitwave.parameters.messages import show

if TYPE_CHECKING:
    from exitwave.counts import Counts


@dataclass(frozen=True)
class Sensor:
    """Background and end of the counts.

    Attributes
    ----------
    background : float32, shape (Y, X), counts, or None
        Incoherent counts in each frame, zero frequency at (Y // 2, X // 2).
    saturation : float
        Counts from here on stand for as many or more; infinite: none do.
    """

    background: npt.NDArray[np.float32] | None = None
    saturation: float = np.inf

    @classmethod
    def of(cls, params: Parameters, frame_shape: tuple[int, int]) -> Sensor:
        """The one that the parameters tell of."""
        background = None
        refined = any(getattr(e, "background_start", None) is not None for e in params.engines)
        if params.background is not None or refined:
            background = np.zeros(frame_shape, np.float32)
            if params.background is not None:
                background += np.asarray(params.background, np.float32)
        saturation = np.inf if params.saturation is None else params.saturation
        return cls(background, saturation)

    def of_waves(self, mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What a mean frame (Y, X) says of the waves."""
        return mean if self.background is None else np.maximum(mean - self.background, 0)

    def for_core(self, *, near_field: bool) -> npt.NDArray[np.float32] | None:
        """The background with its first pixel where the waves have theirs."""
        if self.background is None or near_field:
            return self.background
        return np.fft.ifftshift(self.background)


def with_sensor(counts: Counts, params: Parameters, planning: bool) -> Counts:
    """The counts of the detector that the parameters tell of."""
    rows, columns = counts.data.shape[1:]
    counts = replace(counts, sensor=Sensor.of(params, (rows, columns)))
    if params.background is not None and not planning and not counts.mean_of_waves.any():
        raise InvalidArgument(
            f"background is {show(params.background)}, which leaves nothing of the mean frame; it "
            "must be in counts per pixel and frame."
        )
    return counts
