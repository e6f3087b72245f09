"""exitwave: ptychography for data too large, too fast or too many for other packages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exitwave import metrics, plots, prepare, probes
    from exitwave.callbacks import Change, State
    from exitwave.config import show_config
    from exitwave.errors import (
        DeviceError,
        DivergenceError,
        ExitwaveError,
        FileFormatError,
        InvalidArgument,
        OutOfMemory,
    )
    from exitwave.geometry import Geometry
    from exitwave.io import Dataset, load_result, save_result
    from exitwave.io.load import load
    from exitwave.losses import Losses, LossGradients, loss_and_gradients
    from exitwave.reconstruct import Plan, plan, ptychography
    from exitwave.restart import resume
    from exitwave.result import Result
    from exitwave.simulator import simulate
    from exitwave.topology import described_devices

__version__ = "0.1.0"

# Public name -> module that defines it; loaded on first use, so that the import stays fast.
_HOME = {
    "DeviceError": "errors",
    "DivergenceError": "errors",
    "ExitwaveError": "errors",
    "FileFormatError": "errors",
    "InvalidArgument": "errors",
    "OutOfMemory": "errors",
    "Change": "callbacks",
    "Dataset": "io",
    "Geometry": "geometry",
    "LossGradients": "losses",
    "Losses": "losses",
    "Plan": "reconstruct",
    "Result": "result",
    "State": "callbacks",
    "described_devices": "topology",
    "hooks": "hooks",
    "load": "io",
    "load_result": "io",
    "loss_and_gradients": "losses",
    "metrics": "metrics",
    "plan": "reconstruct",
    "plots": "plots",
    "prepare": "prepare",
    "probes": "probes",
    "ptychography": "reconstruct",
    "resume": "restart",
    "save_result": "io",
    "show_config": "config",
    "simulate": "simulator",
}

__all__ = [
    "Change",
    "Dataset",
    "DeviceError",
    "DivergenceError",
    "ExitwaveError",
    "FileFormatError",
    "Geometry",
    "InvalidArgument",
    "LossGradients",
    "Losses",
    "OutOfMemory",
    "Plan",
    "Result",
    "State",
    "__version__",
    "described_devices",
    "hooks",
    "load",
    "load_result",
    "loss_and_gradients",
    "metrics",
    "plan",
    "plots",
    "prepare",
    "probes",
    "ptychography",
    "resume",
    "save_result",
    "show_config",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'exitwave' has no attribute {name!r}")
    module = import_module(f"exitwave.{_HOME[name]}")
    value = module if _HOME[name] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
