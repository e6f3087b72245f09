"""Reading of frames in chunks: slices, windows and binning in the counts' own type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.file_watch import FileWatch
from exitwave.io.dataset import Bool, Frames
from exitwave.io.window import Window

CHUNK_BYTES = 8 << 20
Counts = npt.NDArray[Any]


@dataclass(frozen=True)
class _Part:
    """Some consecutive frames; ``read(frames, rows, columns)`` fetches a piece of them."""

    count: int
    read: Callable[[range, slice, slice], Counts]


class FrameReader:
    """The frames of a file as one stack (N, Y, X), read piece by piece.

    Parameters
    ----------
    data : dataset or array (N, Y, X) or (rows, columns, Y, X), or several datasets (n, Y, X)

    Raises
    ------
    FileFormatError
        It is not a stack of frames of real numbers, or parts differ in shape.
    """

    def __init__(self, data: Frames | Sequence[h5py.Dataset]) -> None:
        self.whole = None if isinstance(data, Sequence) else data
        stacks = list(data) if isinstance(data, Sequence) else [data]
        for stack in stacks:
            _check_stack(stack, stacks[0])
        self.dtype = np.result_type(*(stack.dtype for stack in stacks)).newbyteorder("=")
        self.frame_shape: tuple[int, int] = tuple(stacks[0].shape[-2:])
        self._parts = [part for stack in stacks for part in _split(stack)]
        self.count = sum(part.count for part in self._parts)

    def blocks(
        self, wanted: range, rows: slice = slice(None), columns: slice = slice(None)
    ) -> Iterator[Counts]:
        """The wanted frames in order, a block of some CHUNK_BYTES at a time."""
        height, width = self.frame_shape
        frame_bytes = len(range(height)[rows]) * len(range(width)[columns]) * self.dtype.itemsize
        most = max(1, CHUNK_BYTES // frame_bytes)
        offset = 0
        for part in self._parts:
            skipped = max(0, -((wanted.start - offset) // wanted.step))
            first = wanted.start + skipped * wanted.step - offset
            local = range(first, min(part.count, wanted.stop - offset), wanted.step)
            for start in range(0, len(local), most):
                yield part.read(local[start : start + most], rows, columns)
            offset += part.count


def _check_stack(stack: Frames, first: Frames) -> None:
    name = getattr(stack, "name", None) or "data"
    if stack.dtype.kind == "c":
        raise FileFormatError(
            f"{name} is complex, but frames are counts; name the dataset of the counts (option "
            "data)."
        )
    if stack.dtype.kind not in "uif":
        raise FileFormatError(
            f"{name} has type {stack.dtype}, but counts are integers or floating-point numbers; "
            "name the dataset of the counts (option data)."
        )
    if stack.ndim not in (3, 4) or stack.shape[-2:] != first.shape[-2:]:
        raise FileFormatError(
            f"{name} has shape {stack.shape}, but frames must be (N, Y, X) or a raster "
            "(rows, columns, Y, X); name another dataset (option data)."
        )
    if min(stack.shape) == 0:
        raise FileFormatError(
            f"{name} has shape {stack.shape}: there is no frame in it; name another dataset "
            "(option data)."
        )


def _split(stack: Frames) -> Iterator[_Part]:
    watch = FileWatch(stack)

    def reader(*index: int) -> Callable[[range, slice, slice], Counts]:
        def read(frames: range, rows: slice, columns: slice) -> Counts:
            chosen = slice(frames.start, frames.stop, frames.step)
            piece: tuple[Any, ...] = (*index, chosen, rows, columns)
            try:
                block = np.asarray(stack[piece])
            except OSError as error:
                raise FileFormatError(
                    f"frames {frames[0]} to {frames[-1]} of {getattr(stack, 'name', 'data')} "
                    "cannot be read; the file is damaged or lacks a decompression filter "
                    f"({error})."
                ) from error
            watch.check()
            return block

        return read

    if stack.ndim == 3:
        yield _Part(stack.shape[0], reader())
    else:
        for row in range(stack.shape[0]):
            yield _Part(stack.shape[1], reader(row))


def select(
    reader: FrameReader,
    mask: Bool | None,
    wanted: range,
    window: Window,
    bin: int,
) -> tuple[Frames, Bool | None]:
    """Chosen frames, cropped or padded to a window and binned, with the mask treated alike.

    Where nothing is to be done the dataset itself is handed on. Otherwise the result is an array in
    the type of the counts, or, with bin, an unsigned type that holds every sum; a binned pixel is
    valid where all of its pixels are, and 0 where it is not.

    Raises
    ------
    InvalidArgument
        bin does not divide the window.
    """
    mask = window.mask(mask)
    untouched = len(wanted) == reader.count and window.whole and bin == 1
    if untouched and reader.whole is not None and reader.whole.ndim == 3:
        return reader.whole, mask
    if bin == 1:
        return _collect(reader, wanted, window, window.shape, reader.dtype), mask
    if window.shape[0] % bin or window.shape[1] % bin:
        near = tuple(size - size % bin for size in window.shape)
        raise InvalidArgument(
            f"bin is {bin}, which does not divide frames of {window.shape}; give crop={near} as "
            "well."
        )
    shape = (window.shape[0] // bin, window.shape[1] // bin)
    binned_mask = None if mask is None else np.asarray(_bins(mask, bin).all(axis=(-3, -1)))
    counts = _collect(
        reader,
        wanted,
        window,
        shape,
        _sum_type(reader.dtype, bin),
        lambda block: _binned(block, mask, binned_mask, bin),
    )
    return counts, binned_mask


def chosen_frames(count: int, frames: slice | None) -> range:
    """Numbers of the frames that a slice chooses; one that chooses none is refused."""
    wanted = range(count)[frames or slice(None)]
    if len(wanted) == 0:
        raise InvalidArgument(f"frames is {frames}, which leaves none of {count} frames; widen it.")
    return wanted


def _collect(
    reader: FrameReader,
    wanted: range,
    window: Window,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    treat: Callable[[Counts], Counts] = lambda block: block,
) -> Counts:
    result = np.empty((len(wanted), *shape), dtype)
    done = 0
    for block in reader.blocks(wanted, *window.source):
        result[done : done + len(block)] = treat(window.placed(block))
        done += len(block)
    return result


def _bins(frames: Counts, bin: int) -> Counts:
    """(..., Y, X) as (..., Y / bin, bin, X / bin, bin)."""
    *rest, height, width = frames.shape
    return frames.reshape(*rest, height // bin, bin, width // bin, bin)


def _sum_type(dtype: np.dtype[Any], bin: int) -> np.dtype[Any]:
    """Narrowest of uint16, uint32 that holds the sum; larger sums are checked one by one."""
    if dtype.kind == "f":
        return np.dtype(np.float32)
    largest = int(np.iinfo(dtype).max) * bin * bin
    return np.dtype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)


def _binned(block: Counts, mask: Bool | None, binned_mask: Bool | None, bin: int) -> Counts:
    """Sums of bin by bin pixels; invalid ones are 0, whatever the detector wrote there."""
    if mask is not None:
        block = np.where(mask, block, 0)
    if block.dtype.kind == "i" and block.min() < 0:
        raise FileFormatError(
            f"valid counts are negative (down to {block.min()}), so they cannot be binned; give a "
            "mask that covers them."
        )
    wide = np.float64 if block.dtype.kind == "f" else np.uint64
    sums = _bins(block, bin).sum(axis=(-3, -1), dtype=wide)
    if binned_mask is not None:
        sums[..., ~binned_mask] = 0
    if wide is np.uint64 and sums.max() > np.iinfo(np.uint32).max:
        raise FileFormatError(
            f"a binned pixel holds {sums.max()} counts, more than 32 bits; give a mask that covers "
            "saturated pixels or a smaller bin."
        )
    return np.asarray(sums)
