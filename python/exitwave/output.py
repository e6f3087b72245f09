"""Where results are: NumPy arrays, or CuPy arrays on the GPU of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exitwave.devices import Lanes, is_gpu
from exitwave.errors import DeviceError, InvalidArgument


def checked_output(output: str, device: str, processes: int) -> None:
    """Refuses results on a GPU where there can be none.

    Raises
    ------
    InvalidArgument
        The run is not on GPUs, or has several processes.
    """
    if output == "host":
        return
    if not is_gpu(device):
        raise InvalidArgument(
            f"output is 'device', but the run is on {device!r}; set device to 'cuda', or output to "
            "'host'."
        )
    if processes > 1:
        raise InvalidArgument(
            f"output is 'device', but runs over several MPI processes ({processes}) return NumPy "
            "arrays; set output to 'host'."
        )


def cupy_for(output: str) -> Any:
    """CuPy, where results are to be its arrays, else None.

    Raises
    ------
    DeviceError
        It is not installed.
    """
    if output == "host":
        return None
    try:
        import cupy
    except ImportError:
        raise DeviceError(
            "output is 'device', but CuPy is not installed; install it (cupy-cuda13x), or set "
            "output to 'host'."
        ) from None
    return cupy


@dataclass(frozen=True)
class Output:
    """Takes arrays from an engine of the core, and hands them out.

    ``gpu``: number of the GPU that they stay on, None: they come to the host.
    """

    gpu: int | None

    @classmethod
    def of(cls, output: str, lanes: Lanes) -> Output:
        return cls(lanes.gpus[0] if output == "device" and lanes.gpus else None)

    def take(self, core: Any) -> tuple[Any, Any]:
        """Object and probe, copies."""
        if self.gpu is None:
            return core.object, core.probe
        return core.object_on(self.gpu), core.probe_on(self.gpu)

    def show(self, core: Any, name: str) -> Any:
        """ "object" or "probe" as it is while the engine works, to be read only."""
        if self.gpu is not None:
            return self.hand_out(getattr(core, f"{name}_view_on")(self.gpu))
        return read_only(getattr(core, f"{name}_view"))

    def hand_out(self, array: Any) -> Any:
        """What was taken, as the user gets it."""
        return np.asarray(array) if self.gpu is None else cupy_for("device").asarray(array)

    def finish(self) -> None:
        """Waits for what a reader of shown arrays has given to the GPU."""
        if self.gpu is not None:
            from exitwave import _core

            _core.wait_for_cuda_device(self.gpu)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array itself, which is not to be written to from now on."""
    array.flags.writeable = False
    return array
