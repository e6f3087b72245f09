"""Whether GPUs can be used, and which cuFFT: bound to the core when a GPU is first asked for.

cuFFT is the library that EXITWAVE_CUFFT names, else what cuda-pathfinder finds, else the one in the
nvidia-cufft wheel, in a CUDA toolkit, or where the build found it.
"""

from __future__ import annotations

import ctypes.util
import os
from functools import cache
from pathlib import Path

from exitwave.errors import DeviceError
from exitwave.library_search import find_in, package_folders


def why_no_gpu() -> str:
    """Why no GPU can be used, in words that follow "because"; empty where one can."""
    from exitwave import _core

    reason = str(_core.build_info()["cuda"])
    if reason:
        return reason
    try:
        load_cufft_library()
    except DeviceError as error:
        return str(error)
    return ""


def has_cuda_module() -> bool:
    """Whether this build has the CUDA backend, GPU or not."""
    from exitwave import _core

    return bool(_core.build_info()["cuda_runtime"])


@cache
def load_cufft_library() -> str:
    """Bind cuFFT to the core; returns its path.

    Raises
    ------
    DeviceError
        None is found, or the one that is named cannot be used.
    """
    from exitwave import _core

    path = find_cufft_library()
    _core.load_cufft_library(path)
    return path


def find_cufft_library() -> str:
    """Path of the library that will be used."""
    if named := os.environ.get("EXITWAVE_CUFFT"):
        return named
    for look in (_stand_in, _by_pathfinder, _in_folders, _system_library, _of_the_build):
        if found := look():
            return found
    raise DeviceError(
        "cuFFT was not found; install nvidia-cufft, or name cuFFT's library in EXITWAVE_CUFFT"
    )


def _stand_in() -> str | None:
    """Of a build for tests, in which the host takes the place of GPUs."""
    from exitwave import _core

    library = Path(_core.__file__).parent / "libcuda_on_host.so"
    return str(library) if library.exists() else None


def _by_pathfinder() -> str | None:
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib
    except ImportError:
        return None
    try:
        return str(load_nvidia_dynamic_lib("cufft").abs_path)
    except Exception:  # whatever it does not find, others may
        return None


def _in_folders() -> str | None:
    folders = package_folders("nvidia")
    places = [folder / kind / "lib" for folder in folders for kind in ("cu13", "cufft")]
    places += [
        Path(os.environ[name]) / "lib64"
        for name in ("CUDA_HOME", "CUDA_PATH")
        if name in os.environ
    ]
    return find_in(places, "libcufft.so*")


def _system_library() -> str | None:
    return ctypes.util.find_library("cufft")


def _of_the_build() -> str | None:
    from exitwave import _core

    path = str(_core.build_info()["cufft_path"])
    return path if path and Path(path).exists() else None
