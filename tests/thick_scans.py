"""Small simulated scans of thick objects, as awkward as those of `small_scan`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from reference.detector import intensity
from reference.multislice import slice_kernels, thick_forward
from small_scan import FRAME, FRAMES, PROPAGATIONS, SmallScan, noise_of, small_scan

LENGTHS = {"wavelength_m": 5e-7, "pixel_size_m": (1e-6, 1.3e-6)}
DISTANCES = (4e-6, 6e-6)
TILTS: dict[str, Any] = {
    "straight": (0.0, 0.0),
    "tilted": (0.1, -0.2),
    "tilted apart": np.random.default_rng(5).uniform(-0.2, 0.2, (FRAMES, 2)),
}


def thick(regime: str, tilt: Any = (0.0, 0.0), distances: Any = DISTANCES) -> dict[str, Any]:
    return {
        **PROPAGATIONS[regime],
        **LENGTHS,
        "slice_distances_m": distances,
        "beam_tilt_rad": tilt,
    }


def kernels_of(tilt: Any) -> list[np.ndarray]:
    """Of each frame."""
    slopes = np.tan(np.broadcast_to(tilt, (FRAMES, 2)))
    lengths = (FRAME, LENGTHS["wavelength_m"], DISTANCES, LENGTHS["pixel_size_m"])
    return [slice_kernels(*lengths, slope) for slope in slopes]


@cache
def thick_scan(
    regime: str = "far",
    probe_modes: int = 1,
    object_modes: int = 1,
    tilt: str = "straight",
    fractional: bool = True,
) -> SmallScan:
    """Counts of three slices; objects are (K, 3, A, B)."""
    scan = small_scan(regime, probe_modes, object_modes, fractional=fractional)
    rng = np.random.default_rng(3)
    true = 1 + 0.2 * noise_of(rng, object_modes, 3, *scan.obj.shape[-2:])
    exact, probe = scan.reference(), scan.true_probe.astype(complex)
    counts = [
        intensity(thick_forward(true, probe, position, exact.propagator, kernels))
        for position, kernels in zip(scan.positions, kernels_of(TILTS[tilt]), strict=True)
    ]
    return replace(
        scan,
        data=np.array(counts, np.float32),
        obj=(true + 0.1 * noise_of(rng, *true.shape)).astype(np.complex64),
        true_obj=true.astype(np.complex64),
    )


def engine(name: str, **options: Any) -> dict[str, Any]:
    step: dict[str, Any] = {} if name == "ML" else {"group_size": FRAMES}
    step |= {} if name in ("ML", "gradient") else {"object_step": 0.8}
    return {"name": name, "iterations": 1, "probe_power": "free"} | step | options


CASES = [
    ("far", 1, 1, "straight", True),
    ("far", 2, 2, "tilted", False),
    ("far", 1, 2, "tilted apart", True),
    ("near", 2, 1, "straight", False),
    ("near", 1, 2, "tilted apart", True),
]
