"""Arrays of other libraries: on GPUs by CUDA's array interface or DLPack, on the host by DLPack.

On a GPU they are the core's ``DeviceArray``, which engines there read where it is, and which
anything else copies to the host by ``np.asarray``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.cuda_library import why_no_gpu
from exitwave.errors import ExitwaveError, InvalidArgument

# Counts become single precision on their way through the core.
LARGEST_COUNT = np.finfo(np.float32).max

# Devices of DLPack: those whose memory NumPy reads, and those of CUDA.
_HOST_KINDS = (1, 3)
_CUDA_KINDS = (2, 13)
# CUDA's default stream, on which others wait by themselves.
_DEFAULT_STREAM = 1


def on_gpu(value: Any) -> bool:
    """Whether this is an array on a GPU that the core can read."""
    from exitwave import _core

    return isinstance(value, _core.DeviceArray)


def on_host(name: str, value: Any) -> npt.NDArray[Any]:
    """A copy on the host of an array of any library; NumPy arrays stay as they are."""
    return np.asarray(taken(name, value))


def taken(name: str, value: Any) -> Any:
    """An array of another library as NumPy array or as ``DeviceArray``; other things as they are.

    Waits for the work that fills it.

    Raises
    ------
    InvalidArgument
        It is on a device that cannot be read from here, or not as it must be there.
    """
    if value is None or isinstance(value, np.ndarray | np.generic | dict | list | tuple | str):
        return value
    if on_gpu(value):
        return value
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
        if interface is not None:
            return _by_interface(name, value, dict(interface))
        if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
            return _by_dlpack(name, value)
    except ExitwaveError:
        raise
    except Exception as error:  # whatever a library says about its own array
        raise InvalidArgument(
            f"{name} is an array of {type(value).__module__} that cannot be taken "
            f"({' '.join(str(error).split())}); give a NumPy or a CuPy array."
        ) from error
    return value


def take_arguments(
    data: Any, obj: Any, probe: Any, pos: Any, mask: Any, *, stays: bool
) -> tuple[Any, Any, Any, Any, Any]:
    """Arrays of the one call, of any library.

    Counts and object stay on a GPU where the run ``stays`` there, else the object comes to the
    host at once and the counts while they are looked at. The others are small, and looked at on the
    host in any case.
    """
    data, obj = taken("data", data), taken("obj", obj)
    if on_gpu(obj) and not stays:
        obj = np.asarray(obj)
    small = []
    for name, value in (("probe", probe), ("pos", pos), ("mask", mask)):
        array = taken(name, value)
        small.append(np.asarray(array) if on_gpu(array) else array)
    return data, obj, small[0], small[1], small[2]


def _by_interface(name: str, value: Any, interface: dict[str, Any]) -> Any:
    """https://nvidia.github.io/numba-cuda/user/cuda_array_interface.html"""
    from exitwave import _core

    shape = tuple(int(n) for n in interface["shape"])
    dtype = np.dtype(interface["typestr"])
    if interface.get("mask") is not None:
        raise InvalidArgument(f"{name} has a mask of its own, but must have none; use mask.")
    if 0 in shape:
        return np.empty(shape, dtype)
    if reason := why_no_gpu():
        return _with_cupy(name, f"on a GPU, and {reason}", lambda cupy: cupy.asnumpy(value))
    if not _is_c_order(interface.get("strides"), shape, dtype.itemsize):
        ordered = _with_cupy(
            name, "on a GPU, but not in C order", lambda cupy: cupy.ascontiguousarray(value)
        )
        return taken(name, ordered)
    array = _core.DeviceArray(value, int(interface["data"][0]), dtype, shape)
    if int(interface["version"]) < 3:
        _core.wait_for_cuda_device(array.device)
    elif interface.get("stream") is not None:
        _core.wait_for_cuda_stream(array.device, int(interface["stream"]))
    return array


def _by_dlpack(name: str, value: Any) -> Any:
    """https://dmlc.github.io/dlpack/latest/python_spec.html"""
    from exitwave import _core

    kind, number = (int(n) for n in value.__dlpack_device__())
    if kind in _HOST_KINDS:
        return np.from_dlpack(value)
    if kind not in _CUDA_KINDS:
        raise InvalidArgument(
            f"{name} is on a device of DLPack's kind {kind}, but must be on the host or on an "
            "NVIDIA GPU; copy it there."
        )
    if reason := why_no_gpu():
        return _with_cupy(
            name,
            f"on a GPU, and {reason}",
            lambda cupy: cupy.asnumpy(cupy.from_dlpack(value)),
        )
    array = _core.DeviceArray.from_dlpack(value.__dlpack__(stream=_DEFAULT_STREAM))
    _core.wait_for_cuda_stream(number, _DEFAULT_STREAM)
    return array


def _is_c_order(strides: Any, shape: tuple[int, ...], itemsize: int) -> bool:
    if strides is None:
        return True
    step = itemsize
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


def _with_cupy(name: str, trouble: str, convert: Callable[[Any], Any]) -> Any:
    try:
        import cupy
    except ImportError:
        raise InvalidArgument(
            f"{name} is {trouble}; convert it before the call, or install CuPy, which does it here."
        ) from None
    return convert(cupy)


def field_on_gpu(name: str, array: Any) -> Any:
    """Start values on a GPU, (rows, columns) or (modes, rows, columns), as the core takes them.

    Raises
    ------
    InvalidArgument
        They are not finite, or of another type and there is no CuPy to convert them.
    """
    if array.dtype != np.complex64:
        trouble = f"on a GPU with type {array.dtype}, but must be complex64 there"
        array = taken(
            name, _with_cupy(name, trouble, lambda cupy: cupy.asarray(array).astype("complex64"))
        )
    if not array.is_finite:
        raise InvalidArgument(
            f"{name} has values that are not finite in single precision, but all must be; start "
            "from other values."
        )
    shape = tuple(array.shape)
    return array.reshape(shape if len(shape) == 3 else (1, *shape))


def counts_on_gpu(array: Any, valid: npt.NDArray[np.bool_], native: tuple[Any, ...]) -> Any:
    """Counts on a GPU in a type of the core's; others are converted by CuPy, 0 where invalid.

    Raises
    ------
    InvalidArgument
        They do not fit, or there is no CuPy to convert them.
    """
    if array.dtype in native:
        return array
    target = np.dtype(np.float32 if array.dtype.kind == "f" else np.uint32)
    most = np.iinfo(np.uint32).max

    def convert(cupy: Any) -> Any:
        values = cupy.where(cupy.asarray(valid), cupy.asarray(array), 0)
        low, high = float(values.min()), float(values.max())
        if target.kind == "u" and (low < 0 or high > most):
            raise InvalidArgument(
                f"data has counts from {low:g} to {high:g}, but must have 0 to "
                f"{most}; mark such pixels invalid in the mask."
            )
        return values.astype(target)

    trouble = f"on a GPU with type {array.dtype}, but must be unsigned integers or float32 there"
    return taken("data", _with_cupy("data", trouble, convert))


Summary = tuple[npt.NDArray[np.float64], float]


def summary_on_gpu(
    array: Any, valid: npt.NDArray[np.bool_], runs: list[tuple[int, int]]
) -> Summary:
    """Sum over the frames of some runs, 0 at invalid pixels, and the largest valid count.

    Raises
    ------
    InvalidArgument
        A valid pixel is negative or not finite.
    """
    total = np.zeros(valid.shape)
    largest = 0.0
    for first, end in runs:
        sums, most, bad = array.summary(first, end - first)
        wrong = np.argwhere((bad >= 0) & valid)
        if len(wrong):
            row, column = (int(i) for i in wrong[0])
            frame = int(bad[row, column])
            value = array.images([frame])[0, row, column]
            raise bad_count(value, frame, row, column)
        total += np.where(valid, sums, 0.0)
        largest = max(largest, float(np.where(valid, most, 0.0).max()))
    return total, largest


def bad_count(value: Any, frame: int, row: int, column: int) -> InvalidArgument:
    """What is said of a pixel that holds no counts."""
    return InvalidArgument(
        f"data has {value} in frame {frame} at pixel ({row}, {column}), but counts must be finite, "
        f"not negative and at most {LARGEST_COUNT:.2g}; mark the pixel invalid in the mask or set "
        "it to 0."
    )
