"""A thick object whose counts the oracle makes, and a wrong model of it."""

from __future__ import annotations

import dataclasses

import numpy as np

import reference as ref
from reference import multislice

FRAME, OBJECT = (12, 20), (22, 33)
WAVELENGTH, PIXEL = 1e-10, (1e-8, 1.3e-8)
DISTANCES = (2e-6, 3.1e-6)
SLOPE = (0.004, -0.007)
NEAR_PIXEL, NEAR_DISTANCE = (1e-7, 1.3e-7), 0.02
NOISES = ["poisson", "amplitude", "gaussian", "anscombe"]


def near(distance_m=NEAR_DISTANCE):
    return ref.NearField.angular_spectrum(FRAME, WAVELENGTH, distance_m, NEAR_PIXEL)


def noise_of(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def relative(got, expected):
    return np.linalg.norm(np.subtract(got, expected)) / np.linalg.norm(expected)


@dataclasses.dataclass
class Problem:
    """A thick object, a wrong model of it, and counts from the truth."""

    scan: ref.Scan
    obj: np.ndarray  # (K, S, A, B)
    probe: np.ndarray  # (M, Y, X)
    truth: tuple

    @property
    def thin(self):
        return self.obj[:, 0]


def make_problem(propagator, slices=3, modes=(2, 1), kernels=None, seed=1, frames=7):
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(FRAME)
    envelope = np.exp(-(((rows - 6) / 3) ** 2) - ((columns - 10) / 5) ** 2)
    probe = 30 * envelope * (1 + 0.5 * noise_of(rng, modes[0], *FRAME))
    obj = 1 + 0.2 * noise_of(rng, modes[1], slices, *OBJECT)
    # Away from half pixels, where the corner would change under a finite difference.
    corners = rng.integers(0, np.subtract(OBJECT, FRAME), (frames, 2))
    positions = corners + rng.uniform(-0.4, 0.4, (frames, 2)).clip(-corners, None)
    kernels = make_kernels(slices) if kernels is None else kernels
    waves = [multislice.thick_forward(obj, probe, p, propagator, kernels) for p in positions]
    counts = np.array([(np.abs(wave) ** 2).sum((0, 1)) for wave in waves])
    scan = ref.Scan(counts, rng.random(FRAME) > 0.1, positions, propagator)
    wrong = obj + 0.1 * noise_of(rng, *obj.shape)
    return Problem(scan, wrong, probe * (1 + 0.1 * noise_of(rng, *probe.shape)), (obj, probe))


def make_kernels(slices, distances=DISTANCES, slope=(0.0, 0.0)):
    return multislice.slice_kernels(FRAME, WAVELENGTH, distances[: slices - 1], PIXEL, slope)


def central_difference(function, step):
    """Derivative at 0 from four points, free of the third order."""
    near, far = (function(step) - function(-step)), (function(2 * step) - function(-2 * step))
    return (8 * near - far) / (12 * step)
