"""A constraint of one's own: a callback that returns other values for the object."""

import numpy as np

import exitwave
from exitwave import Change, State

# Islands of one thickness on an empty support, which shift the phase by 0.8 rad, and few photons.
thickness = np.zeros((160, 160))
rows, columns = np.indices(thickness.shape)
random = np.random.default_rng(1)
for y, x, radius in zip(*random.uniform(0, 160, (2, 80)), random.uniform(3, 8, 80), strict=True):
    thickness[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = 1
sample = exitwave.simulate(
    64, 150, counts_per_frame=3000, phase_image=thickness, phase_range_rad=(0, 0.8),
    amplitude_image=thickness, amplitude_range=(1, 1),
)  # fmt: skip


def two_levels(state: State) -> Change:
    """Pulls the object some of the way to the nearer of two phases, and to the amplitude 1.

    Data leave the phase of the empty support open: it is the commonest one here.
    """
    phase = np.angle(state.object)
    counts, edges = np.histogram(phase, bins=100)
    empty = edges[counts.argmax()]
    relative = np.angle(state.object * np.exp(-1j * empty))
    level = np.where(relative > 0.4, 0.8, 0.0)
    target = np.exp(1j * (empty + level))
    return Change(object=state.object + 0.3 * (target - state.object))


region = exitwave.metrics.scan_region(
    sample.positions_px, sample.probe.shape[-2:], sample.object.shape, sample.probe
)
for callback in (None, two_levels):
    result = exitwave.ptychography(
        sample.data,
        probe=sample.probe,
        pos=sample.positions_px,
        params={
            "engines": [{"name": "ML", "iterations": 60, "probe_start": None}],
            "propagation": sample.propagation,
            "callback": callback,
        },
    )
    error = exitwave.metrics.relative_error(result.object, sample.object, region)
    print(f"{'with' if callback else 'without'} the constraint: error of the object {error:.3f}")
