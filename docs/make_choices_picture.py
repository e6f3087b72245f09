"""Makes docs/images/choices.png: the same data with a choice that suits them and one that does not.

python docs/make_choices_picture.py
"""

from pathlib import Path
from typing import Any

import numpy as np

import exitwave
from exitwave.metrics import scan_region
from exitwave.plots import new_figure, plot_phase, save_figure
from exitwave.simulation import Simulation

PICTURE = Path(__file__).parent / "images" / "choices.png"
PICTURES: dict[str, Any] = {"amplitude_image": "gravel", "phase_image": "camera"}


def few_counts() -> dict[str, tuple[Simulation, Any, list[dict[str, Any]]]]:
    """100 counts in a frame, the true probe."""
    scan = exitwave.simulate(
        64, 400, probe="aperture", overlap=0.87, counts_per_frame=100, **PICTURES
    )
    ml = {"name": "ML", "iterations": 60, "probe_start": None}
    return {
        "100 counts per frame: amplitudes": (scan, scan.probe, [ml | {"noise": "amplitude"}]),
        "Poisson, total variation": (scan, scan.probe, [ml | {"object_tv": 0.4}]),
    }


def fly_scan() -> dict[str, tuple[Simulation, Any, list[dict[str, Any]]]]:
    """The sample moves by three pixels during a frame."""
    scan = exitwave.simulate(
        64,
        200,
        counts_per_frame=1e6,
        probe="aperture",
        overlap=0.8,
        imperfections={"blur_px": 3},
        **PICTURES,
    )
    chain = [{"name": "rPIE", "iterations": 40}, {"name": "ML", "iterations": 80}]
    along = np.concatenate([np.roll(scan.probe, place, -1) for place in (-1, 0, 1)])
    return {
        "fly scan over 3 px: one mode": (scan, scan.probe, chain),
        "three modes": (scan, along / np.sqrt(3), chain),
    }


def wrong_positions() -> dict[str, tuple[Simulation, Any, list[dict[str, Any]]]]:
    """Frames 1.5 pixels rms off their nominal places."""
    scan = exitwave.simulate(
        64, 200, counts_per_frame=1e6, imperfections={"position_jitter_px": 1.5}, **PICTURES
    )
    start = {"name": "rPIE", "iterations": 20}
    more = {"name": "rPIE", "iterations": 40}
    search = more | {"position_start": 0, "position_search_px": 1.5}
    ml = {"name": "ML", "iterations": 40}
    return {
        "positions 1.5 px off: as given": (scan, scan.probe, [start, more, ml]),
        "searched": (scan, scan.probe, [start, search, ml]),
    }


def main() -> None:
    cases = few_counts() | fly_scan() | wrong_positions()
    figure = new_figure((13.5, 8.6))
    for axes, (title, (scan, probe, engines)) in zip(
        figure.subplots(2, 3).T.ravel(), cases.items(), strict=True
    ):
        result = exitwave.ptychography(
            scan.data, None, probe, scan.positions_px, params={"engines": engines}
        )
        frame_shape, shape = scan.data.shape[1:], result.object.shape
        region = scan_region(result.positions, frame_shape, shape, result.probe)
        plot_phase(axes, result.object, region, scan.pixel_size_m)
        axes.set_title(title)
    save_figure(figure, PICTURE, dpi=60)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
