"""Tells the system which frames of a file will be read next, so that it reads them meanwhile.

Engines that take frames in groups read them from all over the file. One after the other, each would
wait for the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

# Bytes that are asked for ahead; disks are busy with less, and memory is not.
_AHEAD_BYTES = 64 << 20


class ReadAhead:
    """For one dataset; does nothing where frames have no place of their own in the file."""

    def __init__(self, data: Any, frame_bytes: int) -> None:
        self._ahead = max(1, _AHEAD_BYTES // frame_bytes)
        self._places = _places(data)
        self._expected = np.empty(0, np.int64)
        self._asked = self._used = 0
        self._file: int | None = None
        if self._places is not None:
            self._file = os.open(data.file.filename, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            os.close(file)

    def expect(self, frames: Iterable[int]) -> None:
        """Frames in the order in which they will be read from now on."""
        self._expected = np.fromiter(frames, np.int64)
        self._asked = self._used = 0
        self._ask()

    def use(self, count: int) -> None:
        """So many have been read."""
        self._used += count
        self._ask()

    def _ask(self) -> None:
        if self._places is None or self._file is None:
            return
        until = min(self._used + self._ahead, len(self._expected))
        for frame in self._expected[self._asked : until]:
            offset, size = self._places[frame]
            os.posix_fadvise(self._file, int(offset), int(size), os.POSIX_FADV_WILLNEED)
        self._asked = max(self._asked, until)


def _places(data: Any) -> npt.NDArray[np.int64] | None:
    """(offset, size) in the file of each frame, shape (N, 2); None where it has none."""
    import h5py

    if not isinstance(data, h5py.Dataset) or not hasattr(os, "posix_fadvise"):
        return None
    frames = data.shape[0]
    frame_bytes = data.dtype.itemsize * int(np.prod(data.shape[1:]))
    if data.chunks is None:
        first = data.id.get_offset()
        if first is None or data.file.driver != "sec2":
            return None
        starts = first + frame_bytes * np.arange(frames)
        return np.stack([starts, np.full(frames, frame_bytes)], axis=1)
    if (
        data.chunks[0] != 1
        or data.id.get_num_chunks() != frames
        or data.chunks
        != (
            1,
            *data.shape[1:],
        )
    ):
        return None
    places = np.empty((frames, 2), np.int64)
    for index in range(frames):
        chunk = data.id.get_chunk_info(index)
        places[chunk.chunk_offset[0]] = chunk.byte_offset, chunk.size
    return places
