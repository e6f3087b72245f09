"""SciPy's L-BFGS on object and probe, with loss and gradients from the core."""

import numpy as np
from scipy.optimize import minimize

import exitwave

sample = exitwave.simulate(64, 100, counts_per_frame=1e7)
start = sample.start_probe(defocus_m=1.1)

# Some iterations of an engine find the valley.
obj, probe = exitwave.ptychography(
    sample.data,
    probe=start,
    pos=sample.positions_px,
    params={"engines": [{"name": "rPIE", "iterations": 10}], "propagation": sample.propagation},
)

losses = exitwave.Losses(
    sample.data,
    obj,
    probe,
    sample.positions_px,
    params={"noise": "amplitude", "propagation": sample.propagation},
)

# Real numbers of like size: the probe in units of its rms amplitude.
unit = np.sqrt(np.mean(np.abs(probe) ** 2))


def split(x):
    """Object and probe from the optimiser's real vector."""
    both = x.view(np.complex128)
    return both[: obj.size].reshape(obj.shape), unit * both[obj.size :].reshape(probe.shape)


def loss(x):
    """Loss, and its gradient with respect to real and imaginary parts."""
    found = losses(*split(x))
    gradient = 2 * np.concatenate([found.object.ravel(), unit * found.probe.ravel()])
    return found.loss, gradient.astype(np.complex128).view(np.float64)


x = np.concatenate([obj.ravel(), probe.ravel() / unit]).astype(np.complex128).view(np.float64)
print(f"loss after rPIE   {loss(x)[0]:.4e}")
found = minimize(loss, x, jac=True, method="L-BFGS-B", options={"maxiter": 100})
print(f"loss after L-BFGS {found.fun:.4e} in {found.nfev} evaluations")

region = exitwave.metrics.scan_region(
    sample.positions_px, probe.shape[-2:], sample.object.shape, sample.probe
)
for name, image in (("rPIE", obj), ("L-BFGS", split(found.x)[0])):
    error = exitwave.metrics.relative_error(image, sample.object, region)
    print(f"{name:>6}: relative error of the object {error:.3f}")
