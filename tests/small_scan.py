"""Small simulated scans that are awkward on purpose.

13 frames of 12 x 20 pixels: no size is square, a power of two, or a multiple of the parts, batches
and groups that the tests use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import exitwave
import reference as ref
from exitwave.cuda_library import why_no_gpu

FRAMES = 13
FRAME = (12, 20)
OBJECT = (22, 33)
ENGINES = ["AP", "DM", "RAAR", "ePIE", "rPIE", "mPIE", "ML", "LSQML", "gradient"]
PROJECTIONS = ["AP", "DM", "RAAR"]
PIES = ["ePIE", "rPIE", "mPIE"]
IN_GROUPS = [*PIES, "LSQML", "gradient"]
# Engines whose rates follow the number of iterations, with rates that do not.
STEADY = {"gradient": {"object_schedule": "constant", "probe_schedule": "constant"}}
NOISES = ["poisson", "amplitude", "gaussian", "anscombe"]

_LENGTHS = {"wavelength_m": 5e-7, "distance_m": 2e-5, "pixel_size_m": (1e-6, 1.3e-6)}
PROPAGATIONS: dict[str, dict[str, Any]] = {
    "far": {"regime": "far"},
    "near": {"regime": "near", **_LENGTHS},
    "fresnel": {"regime": "near", "method": "fresnel", **_LENGTHS},
}


def everything(name: str, **options: Any) -> dict[str, Any]:
    """A few iterations that use everything: supports, momentum, what is known of the object."""
    given: dict[str, Any] = {
        "name": name,
        "iterations": 5,
        "probe_start": 1,
        "object_inertia": 0.01,
        "probe_inertia": 0.01,
        "probe_support": 1.2,
        "object_clip": (0.05, 3.0),
        "object_tv": 0.01,
        "object_l1": 0.003,
        "smoothness": 0.01,
        "probe_smoothness": 1e-3,
    }
    if name in IN_GROUPS:
        given["group_size"] = 4
    if name == "mPIE":
        given["momentum_period"] = 3
    return given | options


def devices(*names: str) -> list[str]:
    """These, and GPUs where the build can use any; one that tests use has a stand-in for them."""
    if why_no_gpu():
        return list(names)
    from exitwave import _core

    return [*names, "cuda", *(["cuda:0,1"] if len(_core.cuda_devices()) > 1 else [])]


def noise_of(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def propagator_of(regime: str, frame: tuple[int, int] = FRAME) -> Any:
    """The oracle's propagator for a key of PROPAGATIONS."""
    lengths = (5e-7, 2e-5, (1e-6, 1.3e-6))
    return {
        "far": lambda: ref.FarField(),
        "near": lambda: ref.NearField.angular_spectrum(frame, *lengths),
        "fresnel": lambda: ref.NearField.fresnel(frame, *lengths),
    }[regime]()


@dataclass(frozen=True)
class SmallScan:
    """Counts of a known truth, and start values some way off it; single precision throughout."""

    data: np.ndarray  # (N, Y, X) float32, or uint16 with noise
    mask: np.ndarray  # (Y, X) bool, True = valid
    positions: np.ndarray  # (N, 2) float64 px
    obj: np.ndarray  # start, (K, A, B) complex64
    probe: np.ndarray  # start, (M, Y, X) complex64
    true_obj: np.ndarray
    true_probe: np.ndarray
    regime: str

    @property
    def frame(self) -> tuple[int, int]:
        return self.data.shape[1], self.data.shape[2]

    def reference(self) -> ref.Scan:
        """The same scan for the oracle."""
        propagator = propagator_of(self.regime, self.frame)
        return ref.Scan(self.data.astype(np.float64), self.mask, self.positions, propagator)

    def from_truth(self) -> SmallScan:
        """The same scan, started from the truth."""
        return replace(self, obj=self.true_obj, probe=self.true_probe)

    def run(self, *engines: dict[str, Any], **params: Any) -> exitwave.Result:
        """Run a chain on exactly these start values; the probe comes back as the engine left it."""
        given = {
            "engines": list(engines),
            "propagation": PROPAGATIONS[self.regime],
            "device": "cpu:1",
            "scale_start": False,
            "orthogonalise": False,
            "progress": False,
            "deterministic": True,
        } | params
        return exitwave.ptychography(
            self.data, self.obj, self.probe, self.positions, self.mask, given
        )


def small_scan(
    regime: str = "far",
    probe_modes: int = 1,
    object_modes: int = 1,
    *,
    fractional: bool = True,
    noise: bool = False,
    frame: tuple[int, int] = FRAME,
    frames: int = FRAMES,
    off: float = 0.2,
    seed: int = 1,
) -> SmallScan:
    """Frames of a random object under a probe with random phases, so that no pixel is dark.

    ``off`` is the relative distance of the start values from the truth.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(frame)
    envelope = np.exp(
        -(((rows - frame[0] // 2) / (frame[0] / 4)) ** 2)
        - ((columns - frame[1] // 2) / (frame[1] / 4)) ** 2
    )
    probe = 30 * envelope * (1 + 0.5 * noise_of(rng, probe_modes, *frame))
    size = frame[0] + OBJECT[0] - FRAME[0], frame[1] + OBJECT[1] - FRAME[1]
    obj = 1 + 0.3 * noise_of(rng, object_modes, *size)
    room = OBJECT[0] - FRAME[0] - 0.6, OBJECT[1] - FRAME[1] - 0.6
    positions = rng.uniform(0, room, (frames, 2))
    if not fractional:
        positions = np.floor(positions)
    counts = ref.simulate_counts(obj, probe, positions, propagator_of(regime, frame))
    data = rng.poisson(counts).astype(np.uint16) if noise else counts.astype(np.float32)
    return SmallScan(
        data=data,
        mask=rng.random(frame) > 0.1,
        positions=positions,
        obj=(obj + off * noise_of(rng, *obj.shape)).astype(np.complex64),
        probe=(probe * (1 + off * noise_of(rng, *probe.shape))).astype(np.complex64),
        true_obj=obj.astype(np.complex64),
        true_probe=probe.astype(np.complex64),
        regime=regime,
    )


def relative(got: np.ndarray, expected: np.ndarray) -> float:
    """||got - expected|| / ||expected||."""
    assert got.shape == expected.shape
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def assert_same_bits(one: exitwave.Result, two: exitwave.Result) -> None:
    np.testing.assert_array_equal(one.object, two.object)
    np.testing.assert_array_equal(one.probe, two.probe)
    for first, second in zip(one.errors, two.errors, strict=True):
        np.testing.assert_array_equal(first, second)
    assert one.error == two.error
