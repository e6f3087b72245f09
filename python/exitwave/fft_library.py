"""Which FFT library the core uses: bound when it is first needed.

The core itself transforms frames whose lengths have no prime factors but 2, 3, 5 and 7, and the
library all others; or the library all, where EXITWAVE_FFT names it. It is bound by the FFTW3
single-precision interface: the one that is named, else the system's libfftw3f, else the one inside
the pyfftw wheel. Its plans are measured once and kept as wisdom in the user's cache folder
(EXITWAVE_CACHE names another; empty: none is kept, and plans are estimated), so that the same
machine gives the same bits.
"""

from __future__ import annotations

import ctypes.util
import os
import platform
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from exitwave.errors import DeviceError
from exitwave.library_search import find_in, package_folders

if TYPE_CHECKING:
    from exitwave.ranks import Ranks


@cache
def load_fft_library() -> str:
    """Bind the library to the core; returns its path.

    Raises
    ------
    DeviceError
        None is found, or the one that is named lacks the interface.
    """
    from exitwave import _core

    path = find_fft_library()
    _core.load_fft_library(path, _wisdom_path(path), library_is_named())
    return path


def library_is_named() -> bool:
    """Whether EXITWAVE_FFT names a library, which then makes all transforms."""
    return bool(os.environ.get("EXITWAVE_FFT"))


def share_fft_plan(ranks: Ranks, frame_shape: tuple[int, int]) -> None:
    """All ranks plan transforms as the first does, so that what they hold alike stays alike."""
    from exitwave import _core

    def plan() -> bytes:
        path = Path(_wisdom_path(load_fft_library()) or os.devnull)
        _core.plan_transforms(*frame_shape)
        return path.read_bytes() if path.is_file() else b""

    wisdom = ranks.by_first(plan)
    if ranks.first:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wisdom"
        path.write_bytes(wisdom)
        _core.load_fft_library(load_fft_library(), str(path) if wisdom else "", library_is_named())
        _core.plan_transforms(*frame_shape)


def find_fft_library() -> str:
    """Path of the library that will be used."""
    if named := os.environ.get("EXITWAVE_FFT"):
        return named
    return _system_library() or _wheel_library()


def _system_library() -> str | None:
    return ctypes.util.find_library("fftw3f")


def _wheel_library() -> str:
    folders = [
        place
        for package in package_folders("pyfftw")
        for place in (package.parent / "pyfftw.libs", package / ".dylibs", package)
    ]
    if found := find_in(folders, "libfftw3f-*", "libfftw3f.*"):
        return found
    raise DeviceError(
        "no FFT library was found; install pyfftw, or name a library with the FFTW3 "
        "single-precision interface in EXITWAVE_FFT"
    )


def _wisdom_path(library: str) -> str:
    """One file per library and machine; empty where none can be kept."""
    base = os.environ.get("EXITWAVE_CACHE")
    if base == "":
        return ""
    if base is None:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exitwave")
    folder = Path(base)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ""
    if not os.access(folder, os.W_OK):
        return ""
    return str(folder / f"fftwf-{platform.node()}-{Path(library).name}.wisdom")
