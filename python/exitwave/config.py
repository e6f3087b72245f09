"""What this installation computes with: compiler, SIMD level, threads, FFT library, GPUs, MPI."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module, metadata
from typing import Any

_NO_CORE = "unknown: the compiled core exitwave._core is missing, install with pip install ."


def configuration() -> dict[str, str]:
    """The facts that :func:`show_config` prints, one line each.

    Returns
    -------
    dict
        "exitwave", "Python", "compiler", "SIMD", "threads", "FFT", "GPU", "MPI", and versions of
        the libraries that data pass through.
    """
    import exitwave

    build = _build_info()
    return {
        "exitwave": exitwave.__version__,
        "Python": f"{platform.python_version()} on {platform.platform()}",
        "libraries": ", ".join(
            f"{name} {_version(name)}" for name in ("numpy", "h5py", "pydantic")
        ),
        "compiler": _text(build, "compiler"),
        "SIMD": _text(build, "simd"),
        "threads": _threads(),
        "FFT": _fft(build),
        "GPU": _gpu(build),
        "MPI": _mpi(),
    }


def show_config() -> None:
    """Print version, compiler, SIMD level, threads, FFT library and version, GPUs and MPI."""
    facts = configuration()
    width = max(map(len, facts)) + 2
    for name, fact in facts.items():
        print(f"{name:<{width}}{fact}")


def _build_info() -> dict[str, Any] | str:
    """What the compiled core says about itself, or why it cannot be used."""
    try:
        core = import_module("exitwave._core")
    except ModuleNotFoundError:
        return _NO_CORE
    except ImportError as error:
        return f"unknown: {error}"
    return dict(core.build_info())


def _text(build: dict[str, Any] | str, key: str) -> str:
    return build if isinstance(build, str) else str(build.get(key) or "unknown")


def _threads() -> str:
    from exitwave.devices import available_threads

    usable = available_threads()
    return f"{usable} of {os.cpu_count() or usable} processors usable"


def _fft(build: dict[str, Any] | str) -> str:
    if isinstance(build, str):
        return build
    from exitwave.errors import ExitwaveError
    from exitwave.fft_library import library_is_named, load_fft_library

    try:
        library = load_fft_library()
    except ExitwaveError as error:
        return f"none: {error}"
    # Asked again: the version is known once the library is bound.
    bound = f"{_text(_build_info(), 'fft_version')} ({library})"
    own = build["own_fft"] and not library_is_named()
    return f"own for lengths with no prime factor above 7, else {bound}" if own else bound


def _gpu(build: dict[str, Any] | str) -> str:
    if isinstance(build, str):
        return build
    from exitwave import _core
    from exitwave.cuda_library import load_cufft_library, why_no_gpu
    from exitwave.devices import choose_device

    automatic = f"; device 'auto' is {choose_device('auto')!r}"
    if reason := why_no_gpu():
        return f"none: {reason}{automatic}"
    devices = ", ".join(
        f"{gpu.name} {gpu.bytes / 1e9:.0f} GB{_trouble(number)}"
        for number, gpu in enumerate(_core.cuda_devices())
    )
    cufft = f"cuFFT {_core.build_info()['cufft_version']} ({load_cufft_library()})"
    return f"{devices}, by {build['cuda_runtime']}, {cufft}{automatic}"


def _trouble(gpu: int) -> str:
    from exitwave import _core

    reason = _core.why_not_cuda_device(gpu)
    return f" (cannot be used: {reason})" if reason else ""


def _mpi() -> str:
    """mpi4py and, where the program has loaded it already, its library; MPI is never started."""
    try:
        version = metadata.version("mpi4py")
    except metadata.PackageNotFoundError:
        return "none: mpi4py is not installed"
    loaded = sys.modules.get("mpi4py.MPI")
    if loaded is None:
        return f"mpi4py {version}"
    return f"mpi4py {version}, {loaded.Get_library_version().strip().splitlines()[0]}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
