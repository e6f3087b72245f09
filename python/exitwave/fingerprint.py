"""What tells the counts of a scan from any others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from exitwave.counts import Counts

# Frames that are looked at one by one.
_FRAMES = 8


def fingerprint(counts: Counts) -> dict[str, Any]:
    """What tells these counts from any others: shape, type, digests of their mean and of frames.

    The frames are some of those that this rank has.
    """
    held = np.arange(counts.frames) if counts.held is None else counts.held
    some = np.linspace(0, len(held) - 1, _FRAMES).astype(np.int32)
    chosen = held[np.unique(some)]
    shape = tuple(int(n) for n in counts.data.shape[1:])
    frames = np.empty((len(chosen), *shape), counts.dtype)
    if counts.in_memory:
        frames[:] = counts.take(chosen)[1]
    else:
        counts.read(chosen.astype(np.int32), frames)
    frames[:, ~counts.mask] = 0
    return {
        "shape": (counts.frames, *shape),
        "dtype": str(counts.dtype),
        "mean": _digest(counts.mean),
        "frames": _digest(frames),
    }


def _digest(array: npt.NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()
