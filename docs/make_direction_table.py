"""Prints the table of docs/engines.md on the directions of ML.

python docs/make_direction_table.py [FILE OF THE MEASURED STAR]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import exitwave
from exitwave.metrics import relative_error, scan_region

AT = (10, 20, 40, 80)
DIRECTIONS: dict[str, dict[str, Any]] = {
    "conjugate": {},
    "lbfgs": {"direction": "lbfgs"},
    "lbfgs, history 10": {"direction": "lbfgs", "history": 10},
}


def samples() -> Iterator[tuple[str, exitwave.Simulation, Any]]:
    """Name, data, and a start probe that is off."""
    pinhole = {"probe": "aperture", "overlap": 0.75}
    clean = exitwave.simulate(64, 100, integer_positions=True, **pinhole)
    yield "pinhole, no noise", clean, clean.start_probe(diameter_m=1.1)
    noisy = exitwave.simulate(64, 100, counts_per_frame=1e5, **pinhole)
    yield "pinhole, 1e5 counts", noisy, noisy.start_probe(diameter_m=1.1)
    lens = exitwave.simulate(64, 150, counts_per_frame=1e7, overlap=0.8)
    yield "lens, 1e7 counts", lens, lens.start_probe(numerical_aperture=1.1, defocus_m=1.2)
    hard = exitwave.simulate(64, 100, probe="diffuser", overlap=0.75, counts_per_frame=1e7)
    yield "diffuser, 1e7 counts", hard, hard.probe + 0.3 * np.roll(hard.probe, 2, -1)


def chain(options: dict[str, Any], **given: Any) -> dict[str, Any]:
    first = {"name": "rPIE", "iterations": 20}
    then = {"name": "ML", "iterations": AT[-1]} | options | given
    return {"engines": [first, then], "device": "cpu:1", "progress": False}


def simulated(sample: exitwave.Simulation, start: Any, options: dict[str, Any]) -> list[float]:
    errors = []
    region = scan_region(
        sample.positions_px, sample.probe.shape[-2:], sample.object.shape, sample.probe
    )

    def watch(state: exitwave.State) -> None:
        if state.engine == "ML" and state.iteration + 1 in AT:
            errors.append(relative_error(state.object.squeeze(), sample.object, region))

    params = chain(options) | {"callback": watch, "propagation": sample.propagation}
    exitwave.ptychography(sample.data, None, start, sample.positions_px, None, params)
    return errors


def main() -> None:
    print("| case | direction | " + " | ".join(map(str, AT)) + " |")
    print("| --- | --- " + "| --- " * len(AT) + "|")
    for case, sample, start in samples():
        for name, options in DIRECTIONS.items():
            row(case, name, simulated(sample, start, options))
    for path in sys.argv[1:]:
        for name, options in DIRECTIONS.items():
            result = exitwave.ptychography(path, params=chain(options, noise="amplitude"))
            ends = [*result.errors[1][1:], result.error]
            row("star, amplitude", name, [ends[at - 1] for at in AT])


def row(case: str, name: str, errors: list[float]) -> None:
    print(f"| {case} | {name} | " + " | ".join(f"{error:.2e}" for error in errors) + " |")


if __name__ == "__main__":
    main()
