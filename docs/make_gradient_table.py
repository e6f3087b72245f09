"""Prints the table of docs/engines.md on the gradient engine.

python docs/make_gradient_table.py
"""

from typing import Any

import exitwave
from exitwave.metrics import relative_error, scan_region

COUNTS = (1e7, 1e5)


def gradient(optimiser: str, noise: str) -> list[dict[str, Any]]:
    both = {"object_optimiser": optimiser, "probe_optimiser": optimiser}
    return [{"name": "gradient", "iterations": 100, "noise": noise, **both}]


CHAINS: dict[str, list[dict[str, Any]]] = {
    "rPIE": [{"name": "rPIE", "iterations": 100}],
    "rPIE 50, ML 50": [{"name": "rPIE", "iterations": 50}, {"name": "ML", "iterations": 50}],
    "gradient, sgd, amplitude": gradient("sgd", "amplitude"),
    "gradient, momentum, amplitude": gradient("momentum", "amplitude"),
    "gradient, adam, amplitude": gradient("adam", "amplitude"),
    "gradient, adam, poisson": gradient("adam", "poisson"),
}


def main() -> None:
    for name, engines in CHAINS.items():
        errors = []
        for counts in COUNTS:
            sample = exitwave.simulate(64, 150, counts_per_frame=counts)
            result = exitwave.ptychography(
                sample.data,
                probe=sample.start_probe(numerical_aperture=1.1, defocus_m=1.2),
                pos=sample.positions_px,
                params={
                    "engines": engines,
                    "propagation": sample.propagation,
                    "device": "cpu:1",
                    "progress": False,
                },
            )
            region = scan_region(
                sample.positions_px, sample.probe.shape[-2:], sample.object.shape, sample.probe
            )
            errors.append(relative_error(result.object, sample.object, region))
        print(f"| {name} | " + " | ".join(f"{error:.4f}" for error in errors) + " |")


if __name__ == "__main__":
    main()
