"""A thin object whose counts the oracle makes, in any propagation and with any modes."""

from __future__ import annotations

import dataclasses

import numpy as np

import reference as ref

FRAME = (12, 20)
FAR = ref.FarField()
NEAR = ref.NearField.angular_spectrum(FRAME, 1e-10, 0.02, (1e-7, 1.3e-7))
FRESNEL = ref.NearField.fresnel(FRAME, 1e-10, 0.02, (1e-7, 1.3e-7))
PROPAGATORS = {"far": FAR, "near": NEAR, "fresnel": FRESNEL}
NOISES = ["poisson", "amplitude", "gaussian", "anscombe"]


def noise_of(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def relative(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


@dataclasses.dataclass
class Truth:
    scan: ref.Scan
    obj: np.ndarray
    probe: np.ndarray


def make_truth(propagator, probe_modes=2, object_modes=1, frames=13, seed=1) -> Truth:
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(FRAME)
    envelope = np.exp(-(((rows - 6) / 3) ** 2) - ((columns - 10) / 5) ** 2)
    probe = 30 * envelope * (1 + 0.5 * noise_of(rng, probe_modes, *FRAME))
    obj = 1 + 0.3 * noise_of(rng, object_modes, 22, 33)
    positions = rng.uniform(0, (22 - FRAME[0] - 0.6, 33 - FRAME[1] - 0.6), (frames, 2))
    counts = ref.simulate_counts(obj, probe, positions, propagator)
    mask = rng.random(FRAME) > 0.1
    return Truth(ref.Scan(counts, mask, positions, propagator), obj, probe)


def perturbed(truth, size=0.3, seed=5):
    rng = np.random.default_rng(seed)
    obj = truth.obj + size * noise_of(rng, *truth.obj.shape)
    return obj, truth.probe * (1 + size * noise_of(rng, *truth.probe.shape))
