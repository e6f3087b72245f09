"""What counting noise alone leaves of a perfect model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exitwave.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from exitwave.counts import Counts

Float64 = npt.NDArray[np.float64]

# Counts above this are bright: their deviation is 1/4.
HISTOGRAM_BINS = 60
# Frames looked at for the deviation of a scan.
_FRAMES = 64


def noise_deviation(counts: Counts, ranks: Ranks = ALONE) -> float | None:
    """Squared amplitude deviation per valid pixel that Poisson noise alone leaves.

    From some frames spread over the scan. None where these hold anything but whole numbers: such
    data are no counts, and what noise they have is not known.
    """
    chosen = np.unique(np.linspace(0, counts.frames - 1, _FRAMES).astype(int))
    histogram = np.zeros(HISTOGRAM_BINS)
    whole = True
    for frame in chosen:
        for stored in counts.take(np.array([frame]))[1]:
            values = stored[counts.mask]
            whole = whole and (values.dtype.kind != "f" or bool((values == np.rint(values)).all()))
            bins = np.minimum(values, HISTOGRAM_BINS - 1).astype(np.uint8)
            histogram += np.bincount(bins, minlength=HISTOGRAM_BINS)
    if ranks.any(not whole):
        return None
    histogram = ranks.sum(histogram)
    return expected_deviation(histogram) / float(histogram.sum())


def expected_deviation(histogram: npt.ArrayLike) -> float:
    """Sum over pixels of the expected (sqrt(I) - sqrt(lambda))^2.

    For Poisson counts I of mean lambda the expectation is
    ``v = 2 lambda - 2 sqrt(lambda) E[sqrt(I)]``: near lambda in the dark, 0.46 at one count and 1/4
    where it is bright. The means are not known, so each pixel with k counts contributes g(k),
    where g is the table whose Poisson average over k is v(lambda) for every lambda (by least
    squares, to about 0.005). On simulated speckle the sum is right to 2 %; the mean pattern in
    place of each frame's own would give 10 to 40 % too much.

    Parameters
    ----------
    histogram : shape (K,)
        Number of valid pixels with 0, 1, ... counts; the last entry holds all larger counts too.
    """
    pixels = np.asarray(histogram, dtype=np.float64)
    table = np.full(max(len(pixels), HISTOGRAM_BINS), 0.25)
    table[:HISTOGRAM_BINS] = _deviation_by_counts()
    return float(pixels @ table[: len(pixels)])


@cache
def _deviation_by_counts(size: int = HISTOGRAM_BINS) -> Float64:
    """g(k) for k below ``size``; 1/4 from there on."""
    means = np.concatenate([np.geomspace(1e-3, 1, 200), np.linspace(1, 40, 400)])
    numbers = np.arange(4.0 * size)
    log_factorials = np.cumsum(np.log(np.maximum(numbers, 1)))
    exponents = np.log(means[:, None]) * numbers - means[:, None] - log_factorials
    chances = np.exp(exponents)
    noise = 2 * means - 2 * np.sqrt(means) * (chances @ np.sqrt(numbers))
    few = chances[:, :size]
    # A weak pull towards 1/4 keeps the table smooth: neighbouring counts are hard to tell apart.
    pull = 0.01
    matrix = np.concatenate([few, pull * np.eye(size)])
    wanted = np.concatenate([noise - 0.25 * (1 - few.sum(axis=1)), np.full(size, pull * 0.25)])
    return np.asarray(np.linalg.lstsq(matrix, wanted)[0])
