"""Where the zero frequency of far-field patterns lies."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from exitwave import checks
from exitwave.errors import InvalidArgument

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

METHODS = ("symmetry", "mass")
# Part of the pattern's power that a point of symmetry must have around it.
_OVERLAP = 0.5


class Centre(NamedTuple):
    """(row, column) of the zero frequency, with fractions of a pixel.

    ``agreement`` is how well the pattern equals its own inversion about it: the correlation of
    amplitudes over pixels that are valid on both sides, 1 for a symmetric pattern.
    """

    row: float
    column: float
    agreement: float


def find_centre(pattern: Any, mask: Any = None, method: str = "symmetry") -> Centre:
    """Centre of far-field patterns from their mean.

    "symmetry": the point about which the mean pattern, inverted, correlates best with itself. The
    mean over a scan is symmetric where the pupil and the spectrum of the object are. Only pixels
    that are valid on both sides count, so that gaps and beam stops do not pull at it (masked
    normalised correlation: Padfield, IEEE Trans. Image Process. 21, 2706 (2012)).
    "mass": the centre of mass, which gaps and background do pull at.

    Parameters
    ----------
    pattern : array, shape (Y, X), or (N, Y, X) frames, also as h5py.Dataset
        Frames are averaged.
    mask : bool, shape (Y, X), True = valid, or None
    method : "symmetry" or "mass"

    Returns
    -------
    Centre
        Whole numbers are pixel centres, as ``(Y // 2, X // 2)`` is where it belongs.

    Raises
    ------
    InvalidArgument
        Shapes do not fit, or the pattern has no counts.
    """
    checks.choice("method", method, METHODS)
    if len(np.shape(pattern)) == 3:
        from exitwave.prepare.statistics import pixel_statistics

        known = pixel_statistics(pattern)
        pattern, usable = known.mean, known.usable
    else:
        pattern = checks.image("pattern", pattern).astype(np.float64)
        usable = pattern >= 0
    valid = usable if mask is None else usable & checks.mask("mask", mask, pattern.shape)
    # Amplitudes: the few brightest pixels shall not decide alone.
    amplitude = np.sqrt(np.where(valid, pattern, 0.0))
    if not amplitude.any():
        raise InvalidArgument("pattern has no counts in valid pixels, but needs some for a centre.")
    score = _symmetry(amplitude, valid)
    if method == "mass":
        power = amplitude**2
        centre = [
            float((power.sum(axis=1 - axis) * np.arange(n)).sum() / power.sum())
            for axis, n in enumerate(power.shape)
        ]
        twice = [round(2 * c) for c in centre]
        return Centre(centre[0], centre[1], float(score[twice[0], twice[1]]))
    best = np.unravel_index(int(np.argmax(score)), score.shape)
    row, column = (_vertex(score, (int(best[0]), int(best[1])), axis) / 2 for axis in (0, 1))
    return Centre(row, column, float(score[best]))


def _symmetry(amplitude: Float, valid: Mask) -> Float:
    """Correlation of a pattern with its inversion x -> s - x, at [s]; -1 where too little is left.

    The centre is s / 2, so that neighbours in s are half a pixel apart.
    """
    weight = valid.astype(np.float64)
    shape = [fft.next_fast_len(2 * n - 1, real=True) for n in amplitude.shape]
    spectra = [fft.rfft2(a, shape) for a in (weight, amplitude, amplitude**2)]

    def paired(first: int, second: int) -> Float:
        """sum_x first(x) second(s - x)."""
        full = fft.irfft2(spectra[first] * spectra[second], shape)
        return np.asarray(full[: 2 * amplitude.shape[0] - 1, : 2 * amplitude.shape[1] - 1])

    pixels = np.maximum(np.rint(paired(0, 0)), 0)
    first, power, product = paired(1, 0), paired(2, 0), paired(1, 1)
    total = float((amplitude**2).sum())
    enough = (power > _OVERLAP * total) & (pixels > 8)
    square_of_mean = first**2 / np.maximum(pixels, 1)
    variance = power - square_of_mean
    usable = enough & (variance > 1e-9 * total)
    return np.where(usable, (product - square_of_mean) / np.where(usable, variance, 1.0), -1.0)


def _vertex(score: Float, best: tuple[int, int], axis: int) -> float:
    """Maximum of the parabola through the best point and its neighbours along an axis."""
    index = best[axis]
    if not 0 < index < score.shape[axis] - 1:
        return float(index)
    line = score[:, best[1]] if axis == 0 else score[best[0]]
    left, middle, right = line[index - 1 : index + 2]
    bend = left - 2 * middle + right
    if bend >= 0 or min(left, right) == -1:
        return float(index)
    return index + float(0.5 * (left - right) / bend)
