"""From the simulator to a reconstruction that is close to the truth, by the public calls alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exitwave
import reference as ref
from exitwave import metrics
from small_scan import relative, small_scan


@pytest.mark.parametrize("focus_distance_m", [0.5, 1e3])
def test_diverging_beam_is_a_parallel_one_with_effective_distance(focus_distance_m):
    """Fresnel scaling; a focus far away is no focus."""
    scan = small_scan("near", 2)
    lengths: dict[str, Any] = {"regime": "near", "wavelength_m": 1e-10, "pixel_size_m": 1e-7}
    distance, _ = ref.fresnel_scaling(0.02, 1e-7, focus_distance_m)

    cone = scan.run(
        {"name": "AP", "iterations": 3},
        propagation=lengths | {"distance_m": 0.02, "focus_distance_m": focus_distance_m},
    )
    effective = scan.run(
        {"name": "AP", "iterations": 3}, propagation=lengths | {"distance_m": distance}
    )
    plain = scan.run({"name": "AP", "iterations": 3}, propagation=lengths | {"distance_m": 0.02})

    same, other = (relative(cone.object, run.object) for run in (effective, plain))
    assert same < 1e-5
    assert (other > 1e-2) == (focus_distance_m < 1)


# Options of the simulator, and the relative error of the object that must be reached.
CASES = {
    "far field": ({}, 1e-3),
    "far field, 1e7 counts a frame": ({"counts_per_frame": 1e7}, 4e-3),
    "near field": ({"regime": "near"}, 1e-3),
    "two probe modes, a third of the power in the second": ({"probe_modes": 2}, 1e-2),
    "mask": ({"mask": np.indices((32, 28)).sum(axis=0) % 11 != 3}, 4e-3),
}


@pytest.mark.parametrize("case", CASES)
def test_object_is_found(case):
    """60 frames of 32 x 28 from the simulator's own start probe, DM and then ML."""
    options, level = CASES[case]
    scan = exitwave.simulate((32, 28), 60, seed=1, **options)
    probe = scan.start_probe()
    modes = {"probe_modes": len(scan.probe)} if len(scan.probe) > 1 else {}

    result = exitwave.ptychography(
        scan.data,
        None,
        probe[:1],
        scan.positions_px,
        scan.mask,
        {
            "engines": [
                {"name": "DM", "iterations": 80} | modes,
                {"name": "ML", "iterations": 80 if not modes else 250},
            ],
            "propagation": scan.propagation,
            "progress": False,
        },
    )

    region = metrics.scan_region(scan.positions_px, (32, 28), scan.object.shape[-2:], scan.probe)
    error = metrics.relative_error(result.object, scan.object, region)
    assert error < level
