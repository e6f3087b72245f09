"""A source of finite size: probe modes that grow along the chain, and a callback that may stop."""

import numpy as np

import exitwave

# Three incoherent probe modes are in the data; the start has one.
sample = exitwave.simulate(64, 150, counts_per_frame=1e7, probe_modes=3)
start = sample.probe[:1]


def watch(state: exitwave.State) -> bool:
    """Print now and then; stop when the error is that of the noise."""
    if state.iteration % 20 == 0:
        print(f"{state.engine:>4} {state.iteration:4d}  Fourier error {state.error:.2e}")
    return state.error < 1e-4


result = exitwave.ptychography(
    sample.data,
    probe=start,
    pos=sample.positions_px,
    params={
        "engines": [
            {"name": "DM", "iterations": 40},
            {"name": "DM", "iterations": 60, "probe_modes": 3},
            {"name": "ML", "iterations": 60},
        ],
        "propagation": sample.propagation,
        "callback": watch,
    },
)

# The result's modes are orthogonal, the strongest first.
power = (np.abs(result.probe) ** 2).sum(axis=(1, 2))
true_power = (np.abs(sample.probe) ** 2).sum(axis=(1, 2))
print("power of the modes:", np.round(power / power.sum(), 3))
print("in the simulation: ", np.round(true_power / true_power.sum(), 3))
