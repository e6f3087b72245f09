"""A scan as the core has it: counts, positions, parts, and how a device works on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave import partition, start
from exitwave.counts import Counts
from exitwave.devices import Lanes
from exitwave.errors import InvalidArgument
from exitwave.poisson import noise_deviation

Complex64 = npt.NDArray[np.complex64]


@dataclass
class Problem:
    """What all engines of a chain work on.

    ``scan`` is the core's, ``order`` the spatial order of the frames, ``energy`` the sum of the
    valid counts, by which the Fourier error is divided.
    """

    scan: Any
    settings: Any
    order: npt.NDArray[np.int64]
    frame_shape: tuple[int, int]
    energy: float
    random: np.random.Generator
    counts: Counts

    @cached_property
    def noise_deviation(self) -> float | None:
        """Squared amplitude deviation per pixel that counting noise leaves; None: not counts."""
        return noise_deviation(self.counts)


def make_problem(
    counts: Counts,
    positions: npt.NDArray[np.float64],
    object_shape: tuple[int, int],
    kernel: npt.NDArray[Any] | None,
    lanes: Lanes,
    seed: int,
) -> Problem:
    """Hands a scan to the core.

    Parameters
    ----------
    counts : Counts, borrowed by the core
    positions : float64, shape (N, 2), pixels of the object
    object_shape : (int, int)
    kernel : complex, shape (Y, X), or None
        Near-field propagator, zero frequency first; None: far field.
    lanes : Lanes
        Parts and device.
    seed : int
        Of the order of the groups.
    """
    from exitwave import _core
    from exitwave.fft_library import load_fft_library

    load_fft_library()
    corner, fraction = start.corners_and_fractions(positions)
    frame_shape = counts.data.shape[1], counts.data.shape[2]
    parts = partition.split_in_parts(positions, lanes.parts, frame_shape=frame_shape)
    scan = _core.Scan(
        counts.data,
        counts.mask,
        corner,
        fraction,
        object_shape,
        None if kernel is None else kernel.astype(np.complex64),
        [part.tolist() for part in parts],
    )
    return Problem(
        scan,
        lanes.settings,
        partition.spatial_order(positions),
        frame_shape,
        counts.total,
        np.random.default_rng(seed),
        counts,
    )


def scaled_probe(problem: Problem, obj: Complex64, probe: Complex64) -> Complex64:
    """The probe with the power at which model and data have equal counts at valid pixels."""
    from exitwave import _core

    options = _core.EngineOptions()
    # Any engine has the model; this one keeps no waves.
    options.name = "ePIE"
    options.object_modes, options.probe_modes = len(obj), len(probe)
    power = _core.Engine(problem.scan, options, obj, probe, problem.settings).model_power()
    if not power > 0:
        raise InvalidArgument(
            "probe or obj has no power at valid pixels, so the probe cannot be scaled; give other "
            "start values or set scale_start to False."
        )
    return np.asarray(probe * np.float32(np.sqrt(problem.energy / power)))
