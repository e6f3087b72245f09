"""Arrays as other libraries have them, on the host and on GPUs.

On the stand-in for GPUs they lie in its memory, by its own calls; on GPUs they are CuPy's.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from exitwave import _core

_TO_DEVICE, _TO_HOST = 1, 2
_NON_BLOCKING = 1


@cache
def stand_in() -> ctypes.CDLL | None:
    """The library that stands in for GPUs; None where there are GPUs."""
    if "stand-in" not in _core.build_info()["cuda_runtime"]:
        return None
    return ctypes.CDLL(_core.build_info()["cufft_path"])


def _call(name: str, *arguments: Any) -> None:
    library = stand_in()
    assert library is not None
    assert getattr(library, name)(*arguments) == 0, name


def break_gpu(number: int, broken: bool) -> None:
    """Every call that concerns it fails from now on, or no longer."""
    library = stand_in()
    assert library is not None
    library._ZN12cuda_on_host12break_deviceEib(ctypes.c_int(number), ctypes.c_bool(broken))


class _Attributes(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("device", ctypes.c_int))


def is_pinned(array: np.ndarray) -> bool:
    """Whether GPUs copy from it without waiting."""
    found = _Attributes()
    _call("cudaPointerGetAttributes", ctypes.byref(found), ctypes.c_void_p(array.ctypes.data))
    return found.type == 1


class ForeignArray:
    """Tells where it is by CUDA's array interface, and nothing else.

    ``queued``: what it holds is still on its way, in the stream that the interface names.
    ``strides`` and ``shape`` as others may see the same memory.
    """

    def __init__(
        self,
        values: np.ndarray,
        device: int = 0,
        *,
        queued: bool = False,
        shape: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.values = np.ascontiguousarray(values)
        self._pointer = ctypes.c_void_p()
        self._stream = ctypes.c_void_p()
        _call("cudaSetDevice", ctypes.c_int(device))
        _call("cudaMalloc", ctypes.byref(self._pointer), ctypes.c_size_t(self.values.nbytes))
        _call("cudaStreamCreateWithFlags", ctypes.byref(self._stream), _NON_BLOCKING)
        self._copy(self._pointer, self.values.ctypes.data_as(ctypes.c_void_p), _TO_DEVICE)
        if not queued:
            _call("cudaStreamSynchronize", self._stream)
        _call("cudaSetDevice", ctypes.c_int(0))
        self.__cuda_array_interface__ = {
            "shape": shape or self.values.shape,
            "typestr": self.values.dtype.str,
            "data": (self._pointer.value, False),
            "strides": strides,
            "stream": self._stream.value if queued else None,
            "version": 3,
        }

    def _copy(self, target: Any, source: Any, kind: int) -> None:
        size = ctypes.c_size_t(self.values.nbytes)
        _call("cudaMemcpyAsync", target, source, size, ctypes.c_int(kind), self._stream)

    def on_host(self) -> np.ndarray:
        """What is there now."""
        found = np.empty_like(self.values)
        self._copy(found.ctypes.data_as(ctypes.c_void_p), self._pointer, _TO_HOST)
        _call("cudaStreamSynchronize", self._stream)
        return found

    def prod(self, axis: int) -> ForeignArray:
        """As CuPy's arrays have it: where they are."""
        return ForeignArray(self.values.prod(axis))

    def __array__(self, *_: Any, **__: Any) -> None:
        raise TypeError("it is on a GPU, and does not leave it unasked, as CuPy's do not")

    def __del__(self) -> None:
        library = stand_in()
        if library is not None and self._pointer.value:
            library.cudaFree(self._pointer)
            library.cudaStreamDestroy(self._stream)


def to_gpu(values: np.ndarray, device: int = 0) -> Any:
    """An array of another library on a GPU."""
    if stand_in() is not None:
        return ForeignArray(values, device, queued=True)
    import cupy

    with cupy.cuda.Device(device):
        return cupy.asarray(values)


def from_gpu(array: Any) -> np.ndarray:
    """Copy on the host of an array that another library could read by the array interface."""
    interface = array.__cuda_array_interface__
    assert interface["strides"] is None
    found = np.empty(interface["shape"], interface["typestr"])
    if stand_in() is None:
        import cupy

        return cupy.asnumpy(cupy.asarray(array))
    stream = ctypes.c_void_p()
    _call("cudaStreamCreateWithFlags", ctypes.byref(stream), _NON_BLOCKING)
    _call(
        "cudaMemcpyAsync",
        found.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_void_p(interface["data"][0]),
        ctypes.c_size_t(found.nbytes),
        ctypes.c_int(_TO_HOST),
        stream,
    )
    _call("cudaStreamSynchronize", stream)
    _call("cudaStreamDestroy", stream)
    return found


# DLPack


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (
        ("tensor", _Tensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    )


class ForeignTensor:
    """Tells where it is by DLPack, and nothing else; counts how often it was let go."""

    def __init__(self, values: np.ndarray, device: int = 0) -> None:
        self._array = ForeignArray(values, device)
        self._device = device
        self.let_go = 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        values, interface = self._array.values, self._array.__cuda_array_interface__

        def let_go(_: Any) -> None:
            self.let_go += 1

        self._kept = (ctypes.c_int64 * values.ndim)(*values.shape)
        codes = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
        tensor = _Tensor(
            interface["data"][0], 2, self._device, values.ndim, codes[values.dtype.kind],
            8 * values.dtype.itemsize, 1, self._kept, None, 0,
        )  # fmt: skip
        self._managed = _Managed(tensor, None, _Managed._fields_[2][1](let_go))
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self._managed), b"dltensor", None)


class HostTensor:
    """An array on the host that is known by DLPack only."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._values.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self._values.__dlpack__(**options)
