"""Chunks of counts: what they cost a run that streams, and writing a file anew with better ones."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.file_watch import FileWatch
from exitwave.io import hdf5
from exitwave.io.atomic import new_hdf5

# Counts in memory at one time.
_BLOCK_BYTES = 256 << 20
_BITSHUFFLE = 32008

COMPRESSIONS = ("keep", "none", "gzip", "lzf", "bitshuffle")


def reading_factor(chunks: tuple[int, ...] | None, shape: tuple[int, ...], run: int) -> float:
    """Bytes of chunks that are read for each byte of frames.

    Parameters
    ----------
    chunks : of a dataset of this shape (N, Y, X); None: contiguous
    run : int
        Frames in a row that are wanted at a time; 1 where they lie here and there.
    """
    if chunks is None:
        return 1.0
    area = math.prod(-(-n // c) * c / n for n, c in zip(shape[1:], chunks[1:], strict=True))
    # A run begins anywhere in a chunk.
    return area * (run + chunks[0] - 1) / run


@dataclass(frozen=True)
class Rechunked:
    """What :func:`rechunk` did: the dataset, its shape, and its chunks before and after."""

    dataset: str
    shape: tuple[int, ...]
    before: tuple[int, ...] | None
    after: tuple[int, ...]
    bytes_before: int
    bytes_after: int


def rechunk(
    source: str | Path,
    target: str | Path,
    data: str | None = None,
    compression: str = "keep",
    overwrite: bool = False,
) -> Rechunked:
    """Copy an HDF5 file, its counts in chunks of one frame, so that runs can stream from it.

    Parameters
    ----------
    source, target : str or Path
    data : str, optional
        Name of the dataset of the counts; left out: the largest of three or more dimensions.
    compression : str
        "keep", "none", "gzip", "lzf" or "bitshuffle" (with LZ4), for the counts.
    overwrite : bool
        Whether an existing target may be replaced; it stays as it was if writing fails.

    Raises
    ------
    InvalidArgument
        The target exists, or is the source; the compression is unknown.
    FileFormatError
        The source is no HDF5 file, is damaged, or has no such dataset.
    ExitwaveError
        The operating system refuses to write; nothing is left behind.
    """
    source, target = Path(source), Path(target)
    if compression not in COMPRESSIONS:
        raise InvalidArgument(
            f"compression is {compression!r}, but must be one of {', '.join(COMPRESSIONS)}."
        )
    if not source.is_file():
        raise FileFormatError(f"{source}: the file does not exist; give the path of an HDF5 file.")
    if target.exists() and source.samefile(target):
        raise InvalidArgument(f"target is {str(target)!r}, the source itself; name another file.")
    try:
        with hdf5.open_file(source) as read, new_hdf5(target, overwrite) as write:
            return _Copy(read, write, source, target).run(data, compression)
    except FileFormatError as error:
        raise FileFormatError(f"{source}: {error}") from error


class _Copy:
    """A file on its way to another, link by link; what has several names keeps them."""

    def __init__(self, read: h5py.File, write: h5py.File, source: Path, target: Path) -> None:
        self._read = read
        self._write = write
        self._folders = source.resolve().parent, target.resolve().parent
        self._copied: dict[tuple[int, ...], str] = {}
        self._new: Any = None

    def run(self, data: str | None, compression: str) -> Rechunked:
        counts = _largest(self._read) if data is None else hdf5.named(self._read, "data", data)
        if counts.ndim < 3 or counts.dtype.kind not in "uif":
            raise FileFormatError(
                f"{counts.name} has shape {counts.shape} and type {counts.dtype}, but counts are "
                "numbers (N, Y, X); name another dataset in data."
            )
        hdf5.refuse_missing_sources(counts)
        self._counts = counts
        self._compression = compression
        self._copy_group(self._read, self._write)
        if self._new is None:
            raise FileFormatError(
                f"{counts.name} lies behind a link to another file; give that file instead."
            )
        self._write.flush()
        return Rechunked(
            counts.name,
            counts.shape,
            counts.chunks,
            self._new.chunks,
            counts.id.get_storage_size(),
            self._new.id.get_storage_size(),
        )

    def _copy_group(self, group: h5py.Group, to: h5py.Group) -> None:
        _copy_attributes(group, to)
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                to[name] = h5py.SoftLink(link.path)
            elif isinstance(link, h5py.ExternalLink):
                to[name] = h5py.ExternalLink(self._moved(link.filename), link.path)
            else:
                self._copy_object(group[name], to, name)

    def _copy_object(self, item: Any, to: h5py.Group, name: str) -> None:
        info = h5py.h5o.get_info(item.id)
        known = self._copied.setdefault((info.fileno, info.addr), f"{to.name}/{name}")
        if known != f"{to.name}/{name}":
            to[name] = self._write[known]
        elif isinstance(item, h5py.Group):
            self._copy_group(item, to.create_group(name))
        elif item == self._counts:
            self._copy_counts(to, name)
        else:
            self._read.copy(item, to, name=name)

    def _copy_counts(self, to: h5py.Group, name: str) -> None:
        counts = self._counts
        properties = _properties(counts, self._compression)
        space = h5py.h5s.create_simple(counts.shape)
        identity = h5py.h5d.create(
            to.id, name.encode(), counts.id.get_type(), space, dcpl=properties
        )
        self._new = new = h5py.Dataset(identity)
        _copy_attributes(counts, new)
        watch = FileWatch(counts)
        step = _frames_at_once(counts)
        for place in np.ndindex(*counts.shape[:-3]):
            for first in range(0, counts.shape[-3], step):
                piece = (*place, slice(first, first + step))
                try:
                    block = counts[piece]
                except (OSError, RuntimeError) as error:
                    raise FileFormatError(
                        f"{counts.name} cannot be read from frame {first} on "
                        f"({' '.join(str(error).split())}); the file is damaged."
                    ) from error
                watch.check()
                new[piece] = block

    def _moved(self, name: str) -> str:
        """Name of another file as the copy must give it."""
        if Path(name).is_absolute() or self._folders[0] == self._folders[1]:
            return name
        return os.path.relpath(self._folders[0] / name, self._folders[1])


def _largest(file: h5py.File) -> h5py.Dataset:
    best: list[h5py.Dataset] = []

    def look(name: str, item: Any) -> None:
        suits = isinstance(item, h5py.Dataset) and item.ndim >= 3 and item.dtype.kind in "uif"
        if suits and (not best or item.size > best[0].size):
            best[:] = [item]

    file.visititems(look)
    if not best:
        raise FileFormatError(
            "there is no dataset of three or more dimensions; name that of the counts in data."
        )
    return best[0]


def _frames_at_once(counts: h5py.Dataset) -> int:
    """Whole chunks where they fit into a block, so that none is read twice."""
    frame_bytes = int(counts.dtype.itemsize) * math.prod(counts.shape[-2:])
    most = max(1, _BLOCK_BYTES // frame_bytes)
    deep = 1 if counts.chunks is None else int(counts.chunks[-3])
    return int(most // deep * deep if most >= deep else most)


def _properties(counts: h5py.Dataset, compression: str) -> Any:
    """How the new dataset is stored: one frame per chunk, filters as wanted."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((*(1 for _ in counts.shape[:-2]), *counts.shape[-2:]))
    if compression == "keep":
        _keep_filters(counts.id.get_create_plist(), properties)
    elif compression == "gzip":
        properties.set_shuffle()
        properties.set_deflate(4)
    elif compression == "lzf":
        properties.set_shuffle()
        properties.set_filter(h5py.h5z.FILTER_LZF)
    elif compression == "bitshuffle":
        options = hdf5plugin.Bitshuffle(cname="lz4")
        properties.set_filter(_BITSHUFFLE, 0, tuple(options.filter_options))
    return properties


def _keep_filters(old: Any, new: Any) -> None:
    if old.get_layout() != h5py.h5d.CHUNKED:
        return
    for number in range(old.get_nfilters()):
        code, flags, values, _ = old.get_filter(number)
        # Bitshuffle has put its version and the size of a number before what it was asked for.
        new.set_filter(code, flags, values[3:] if code == _BITSHUFFLE else values)


def _copy_attributes(item: Any, to: Any) -> None:
    for name in item.attrs:
        identity = item.attrs.get_id(name)
        to.attrs.create(name, item.attrs[name], shape=identity.shape, dtype=identity.dtype)
