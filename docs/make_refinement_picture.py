"""Makes docs/images/positions.png: wrong positions, and what their refinement does.

python docs/make_refinement_picture.py
"""

from pathlib import Path

import numpy as np

import exitwave
from exitwave.metrics import position_error
from exitwave.plots import new_figure, plot_phase, save_figure

PICTURE = Path(__file__).parent / "images" / "positions.png"


def main() -> None:
    sample = exitwave.simulate(96, 200, counts_per_frame=1e6, seed=1)
    truth = sample.positions_px
    wrong = truth + np.random.default_rng(0).normal(0, 1.5 / np.sqrt(2), truth.shape)
    search = {"name": "rPIE", "iterations": 60, "group_size": 10}
    runs = {
        "positions given, 1.5 px rms off": search,
        "positions refined": search | {"position_start": 10},
    }

    figure = new_figure((13.5, 4.0))
    *pictures, arrows = figure.subplots(1, 3, width_ratios=(1.22, 1.22, 1))
    for axes, (title, engine) in zip(pictures, runs.items(), strict=True):
        result = exitwave.ptychography(
            sample.data, None, sample.probe, wrong, params={"engines": [engine]}
        )
        reached = exitwave.metrics.scan_region(
            result.positions, result.probe.shape[-2:], result.object.shape, result.probe
        )
        plot_phase(axes, result.object, reached, sample.pixel_size_m)
        axes.set_title(f"{title}: error {result.error:.2g}")
        left = position_error(result.positions, truth)
        print(f"{title}: Fourier error {result.error:.3g}, positions {left:.3g} px rms off")

    for points, colour, label in ((wrong, "tab:red", "given"), (result.positions, "k", "refined")):
        off = points - points.mean(axis=0) - (truth - truth.mean(axis=0))
        arrows.plot(off[:, 1], off[:, 0], ".", color=colour, label=label)
    arrows.set_aspect("equal")
    arrows.set_title("distance from the truth, px")
    arrows.legend()
    PICTURE.parent.mkdir(exist_ok=True)
    save_figure(figure, PICTURE, dpi=70)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
