"""Detector counts on their way to the core: checked, in their own narrow type, never as floats.

Data are looked at in chunks of some megabytes, so that nothing of their size is made besides the
one array that the core works on - and that is the caller's own where its type allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.device_arrays import (
    LARGEST_COUNT,
    bad_count,
    counts_on_gpu,
    on_gpu,
    summary_on_gpu,
)
from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.file_watch import FileWatch
from exitwave.ranks import ALONE
from exitwave.read_ahead import ReadAhead
from exitwave.sensor import Sensor

if TYPE_CHECKING:
    from exitwave.division import Division

Index = npt.NDArray[np.int64]

# Types that the core reads as they are.
_NATIVE = (np.uint8, np.uint16, np.uint32, np.float32)
# Small, so that the allocator gives the memory back.
CHUNK_BYTES = 2 << 20


@dataclass(frozen=True)
class Counts:
    """Frames that passed all checks, and what a look at all of them told.

    Attributes
    ----------
    data : uint8, uint16, uint32 or float32, shape (N, Y, X); or what is read in pieces
        Here or, for engines on GPUs, on one of them.
    mask : bool, shape (Y, X), True = valid
    mean : float64, shape (Y, X)
        Mean frame; 0 at invalid pixels.
    largest : float
        At valid pixels.
    dtype : NumPy type
        Of the counts in the core.
    watch : FileWatch
        Of the file that the data are in.
    frames : int
        Of the scan; mean and largest are of all of them.
    held : int64 array or None
        Frames that this rank has looked at, in order; None: all.
    place : int64, shape (frames,), or None
        Of each frame in ``data``; None: they lie there as they are numbered.
    sensor : Sensor
        That made them.
    """

    data: Any
    mask: npt.NDArray[np.bool_]
    mean: npt.NDArray[np.float64]
    largest: float
    dtype: np.dtype[Any]
    watch: FileWatch
    frames: int
    held: Index | None = None
    place: Index | None = None
    sensor: Sensor = Sensor()  # noqa: RUF009  frozen

    @property
    def total(self) -> float:
        """Counts of all frames at valid pixels."""
        return float(self.mean.sum()) * self.frames

    @property
    def mean_of_waves(self) -> npt.NDArray[np.float64]:
        """Mean frame without what the detector adds; 0 at invalid pixels."""
        return self.sensor.of_waves(self.mean)

    @property
    def bytes_in_memory(self) -> int:
        """Of the host's."""
        return self.frame_bytes * len(self.data) if isinstance(self.data, np.ndarray) else 0

    def take(self, frames: Index) -> tuple[Index, npt.NDArray[Any]]:
        """Those of some frames that this rank has: their numbers, and their counts as stored."""
        if self.held is not None:
            frames = frames[np.isin(frames, self.held)]
        if len(frames) == 0:
            return frames, np.empty((0, *self.data.shape[1:]), self.data.dtype)
        return frames, _some(self.data, frames if self.place is None else self.place[frames])

    @property
    def in_memory(self) -> bool:
        """Of the host or of a GPU: nothing needs to be read."""
        return isinstance(self.data, np.ndarray) or self.on_gpu

    @property
    def on_gpu(self) -> bool:
        return on_gpu(self.data)

    @property
    def frame_bytes(self) -> int:
        return self.dtype.itemsize * int(self.data.shape[1]) * int(self.data.shape[2])

    @cached_property
    def ahead(self) -> ReadAhead:
        """Where the order in which frames will be read is told."""
        return ReadAhead(self.data, self.frame_bytes)

    def expect(self, frames: Iterable[int]) -> None:
        """The order in which frames of the scan will be read; those of other ranks are left out."""
        if self.held is None:
            self.ahead.expect(frames)
        else:
            order = np.fromiter(frames, np.int64)
            self.ahead.expect(order[np.isin(order, self.held)])

    def read(self, frames: npt.NDArray[np.int32], target: npt.NDArray[Any]) -> None:
        """Frames, by their numbers, from data that are not in memory; the core calls it."""
        self.ahead.use(len(frames))
        step = max(1, CHUNK_BYTES // self.frame_bytes)
        first = 0
        while first < len(frames):
            run = 1
            while (
                run < step
                and first + run < len(frames)
                and frames[first + run] == frames[first] + run
            ):
                run += 1
            start = int(frames[first])
            chunk = _read(self.data, slice(start, start + run))
            # What stands at invalid pixels need not fit the type.
            fits = chunk.dtype == self.dtype
            target[first : first + run] = chunk if fits else np.where(self.mask, chunk, 0)
            first += run
        self.watch.check()


def checked_data(data: Any) -> Any:
    """The data with a shape and a type, as :func:`read_counts` needs them.

    Raises
    ------
    InvalidArgument
        Wrong shape or type, or no frame.
    """
    data = _with_shape(data)
    if len(data.shape) != 3 or min(data.shape) == 0:
        raise InvalidArgument(
            f"data has shape {tuple(data.shape)}, but must be (N, Y, X) with at least one frame."
        )
    if min(data.shape[1:]) < 2:
        raise InvalidArgument(
            f"data has frames of {data.shape[1]} x {data.shape[2]}, but each side must be at "
            "least 2 pixels."
        )
    if data.dtype.kind not in "uif":
        raise InvalidArgument(
            f"data has type {data.dtype}, but must be counts: unsigned integers or float32."
        )
    return data


def read_counts(
    data: Any, mask: Any, host_bytes: int | None = None, division: Division | None = None
) -> Counts:
    """Check data and mask, and read what is not in memory yet.

    Parameters
    ----------
    data : array or h5py.Dataset, shape (N, Y, X)
        Unsigned integers or float32 are used as they are; other real types are converted to the
        narrowest of these that holds them.
    mask : bool, shape (Y, X), or None
        True = valid.
    host_bytes : int or None
        What may be used of the host's memory: counts that take more than half of it stay in their
        file.
    division : Division or None
        Each rank looks at its own frames, and all have the same statistics; None: at all frames.

    Raises
    ------
    InvalidArgument
        Wrong shape or type, no frame, no valid pixel, no counts; a valid pixel that is negative,
        not finite, or too large.
    """
    ranks = ALONE if division is None else division.ranks
    held = None if division is None else division.held_frames
    stays = division is not None and bool(division.lanes.gpus)
    own = ranks.agree(lambda: _look_at(data, mask, host_bytes, held, stays))
    total = ranks.sum(own.mean)
    ranks.agree(lambda: _check_total(total))
    return replace(own, mean=total / own.frames, largest=ranks.largest(own.largest))


def _check_total(total: npt.NDArray[np.float64]) -> None:
    if total.sum() == 0:
        raise InvalidArgument("data has no counts at valid pixels; check data and mask.")


def _look_at(
    data: Any, mask: Any, host_bytes: int | None, held: Index | None, stays_on_gpu: bool
) -> Counts:
    """The held frames; ``mean`` is their sum yet."""
    data = checked_data(data)
    valid = _checked_mask(mask, tuple(data.shape[1:]))
    watch = FileWatch(data)
    frames, *shape = data.shape
    if stays_on_gpu and on_gpu(data):
        data = counts_on_gpu(data, valid, _NATIVE)
        runs = [(0, frames)] if held is None else _runs(held)
        total, largest = summary_on_gpu(data, valid, runs)
        return Counts(data, valid, total, largest, data.dtype, watch, frames, held)
    count = frames if held is None else len(held)
    place = None
    in_memory = isinstance(data, np.ndarray) and data.flags.c_contiguous
    if in_memory and data.dtype in _NATIVE and data.dtype.isnative:
        target, dtype = data, data.dtype
    else:
        dtype = np.dtype(_target_type(data, valid, held))
        size = dtype.itemsize * count * math.prod(shape)
        stays = _stays_in_file(data, size, host_bytes)
        target = data if stays else np.empty((count, *shape), dtype)
        if held is not None and not stays:
            place = np.zeros(frames, np.int64)
            place[held] = np.arange(count)
    total = np.zeros(shape, np.float64)
    largest = 0.0
    done = 0
    for first, chunk in _chunks(data, held):
        total += _checked_sum(chunk, valid, first)
        largest = max(largest, float(np.where(valid, chunk, 0).max()))
        if target is not data:
            # What stands at invalid pixels need not fit the type, and does not matter.
            target[done : done + len(chunk)] = np.where(valid, chunk, 0)
        done += len(chunk)
    watch.check()
    return Counts(target, valid, total, largest, dtype, watch, frames, held, place)


def counts_to_plan(
    data: Any, mask: Any, host_bytes: int | None = None, *, on_gpus: bool = False
) -> Counts:
    """What :func:`read_counts` would return, with nothing read: only shape and type are right."""
    data = _with_shape(data)
    if len(data.shape) != 3 or data.dtype.kind not in "uif":
        raise InvalidArgument(
            f"data has shape {tuple(data.shape)} and type {data.dtype}, but must be counts "
            "(N, Y, X)."
        )
    mask = _checked_mask(mask, tuple(data.shape[1:]))
    native = data.dtype.newbyteorder("=")
    dtype = native if native in _NATIVE else np.dtype(np.float32 if native.kind == "f" else "u4")
    stays = _stays_in_file(data, dtype.itemsize * math.prod(data.shape), host_bytes)
    if not isinstance(data, np.ndarray) and not stays and not (on_gpus and on_gpu(data)):
        data = np.broadcast_to(dtype.type(0), data.shape)
    return Counts(data, mask, np.zeros(data.shape[1:]), 1.0, dtype, FileWatch(None), len(data))


def _stays_in_file(data: Any, size: int, host_bytes: int | None) -> bool:
    in_memory = isinstance(data, np.ndarray) or on_gpu(data)
    return not in_memory and host_bytes is not None and size > host_bytes / 2


def _with_shape(data: Any) -> Any:
    """What has a shape and a type, and is read in pieces, as it is; anything else as array."""
    try:
        return data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)
    except ValueError:
        raise InvalidArgument(
            "data is a list whose items have different lengths, but must be an array (N, Y, X)."
        ) from None
    except RuntimeError:  # what h5py raises
        raise InvalidArgument("data is a dataset of a closed file, but must be open.") from None


def _checked_mask(mask: Any, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    if mask is None:
        return np.ones(shape, np.bool_)
    array = np.ascontiguousarray(mask)
    if array.shape != shape:
        raise InvalidArgument(
            f"mask has shape {array.shape}, but must have the shape {shape} of a frame."
        )
    if array.dtype != np.bool_:
        raise InvalidArgument(
            f"mask has type {array.dtype}, but must be bool with True = valid; convert it, for "
            "example with mask == 0 where 0 means good."
        )
    if not array.any():
        raise InvalidArgument(
            "mask has no valid pixel (True = valid), but needs one; perhaps it must be inverted."
        )
    return array


def _chunks(data: Any, held: Index | None = None) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Frames that follow each other, some at a time, with the number of the first."""
    frame_bytes = data.dtype.itemsize * data.shape[1] * data.shape[2]
    step = max(1, CHUNK_BYTES // frame_bytes)
    for begin, end in [(0, data.shape[0])] if held is None else _runs(held):
        for first in range(begin, end, step):
            yield first, _read(data, slice(first, min(first + step, end)))


def _runs(frames: Index) -> list[tuple[int, int]]:
    """First and last + 1 of frames that follow each other."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(frames, breaks)]


def _read(data: Any, frames: slice) -> npt.NDArray[Any]:
    try:
        if on_gpu(data):
            return np.asarray(data.images(range(frames.start, frames.stop)))
        return np.asarray(data[frames])
    except (OSError, RuntimeError) as error:  # h5py raises both
        of_h5py = type(data).__module__.startswith("h5py")
        file = f" in {data.file.filename}" if of_h5py else ""
        raise FileFormatError(
            f"frames {frames.start} to {frames.stop - 1} of data{file} cannot be read "
            f"({' '.join(str(error).split())}); the file is damaged, or its disk has gone."
        ) from error


def _some(data: Any, frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Frames, by their numbers, of data in memory."""
    return np.asarray(data.images(frames) if on_gpu(data) else data[frames])


def _checked_sum(
    chunk: npt.NDArray[Any], valid: npt.NDArray[np.bool_], first: int
) -> npt.NDArray[np.float64]:
    """Sum over the chunk's frames, 0 at invalid pixels."""
    if chunk.dtype.kind == "u":
        total = chunk.sum(axis=0, dtype=np.uint64).astype(np.float64)
    else:
        values = np.where(valid, chunk, 0)
        # Written so that NaN is bad.
        bad = ~((values >= 0) & (values <= LARGEST_COUNT))
        if bad.any():
            frame, row, column = (int(i) for i in np.argwhere(bad)[0])
            raise bad_count(values[frame, row, column], first + frame, row, column)
        total = values.sum(axis=0, dtype=np.float64)
    return np.where(valid, total, 0.0)


def _target_type(data: Any, valid: npt.NDArray[np.bool_], held: Index | None) -> Any:
    """Narrowest type of the core that holds all valid counts."""
    if data.dtype.kind == "f":
        return np.float32
    if data.dtype.newbyteorder("=") in _NATIVE:
        return data.dtype.newbyteorder("=")
    largest = max(int(np.where(valid, chunk, 0).max()) for _, chunk in _chunks(data, held))
    if largest > np.iinfo(np.uint32).max:
        raise InvalidArgument(
            f"data has a pixel with {largest} counts, but at most {np.iinfo(np.uint32).max} fit; "
            "mark it invalid in the mask."
        )
    return np.min_scalar_type(largest)
