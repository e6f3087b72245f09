"""The loss of a scan as a function that PyTorch can differentiate; PyTorch is optional.

A complex gradient of PyTorch is ``dL/dRe + i dL/dIm``, twice the one with respect to the conjugate
that :class:`exitwave.LossGradients` holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exitwave.losses import Losses

try:
    import torch
except ImportError as error:
    raise ImportError(
        "exitwave.torch needs PyTorch, which is not installed here; install exitwave[torch], or "
        "use exitwave.Losses, which needs NumPy only."
    ) from error


class _Loss(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(context: Any, obj: Any, probe: Any, losses: Losses) -> Any:
        found = losses(_numpy(obj), _numpy(probe))
        gradients = (2 * _like(found.object, obj), 2 * _like(found.probe, probe))
        context.save_for_backward(*gradients)
        return torch.tensor(found.loss, dtype=torch.float64, device=obj.device)

    @staticmethod
    def backward(context: Any, slope: Any) -> Any:
        of_object, of_probe = context.saved_tensors
        return slope * of_object, slope * of_probe, None


def loss(losses: Losses, obj: Any, probe: Any) -> Any:
    """The loss of object and probe, which may come from a network.

    Parameters
    ----------
    losses : exitwave.Losses
    obj, probe : complex tensors
        Shapes as ``losses`` was made for, on any device; the core works in complex64, on its own.

    Returns
    -------
    float64 tensor without dimensions, on the device of ``obj``
    """
    return _Loss.apply(obj, probe, losses)


def _numpy(tensor: Any) -> np.ndarray[Any, np.dtype[np.complex64]]:
    return np.asarray(np.from_dlpack(tensor.detach().cpu().contiguous()), np.complex64)


def _like(gradient: np.ndarray[Any, Any], tensor: Any) -> Any:
    return torch.from_dlpack(gradient).to(tensor.device, tensor.dtype)
