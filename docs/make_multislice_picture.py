"""Makes docs/images/slices.png: slices of a thick object, and the same taken for thin.

python docs/make_multislice_picture.py
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

import exitwave
from exitwave import specimens
from exitwave.plots import new_figure, save_figure
from exitwave.simulation import Simulation

PICTURE = Path(__file__).parent / "images" / "slices.png"
SLICES = 4
SHARE = 100  # of the depth of focus of a pixel, pixel^2 / wavelength, from slice to slice


def sample() -> Simulation:
    thin = exitwave.simulate(96, 4)
    options = {
        "slices": SLICES,
        "slice_distance_m": SHARE * thin.pixel_size_m[0] ** 2 / thin.wavelength_m,
        "overlap": 0.85,
        "seed": 1,
    }
    shape = exitwave.simulate(96, 120, **options).object.shape[1:]
    pictures = np.angle(specimens.from_slices(shape, SLICES, phase_range_rad=(0.0, 1.0)))
    fine = gaussian_filter(pictures, (0, 1.5, 1.5)) - gaussian_filter(pictures, (0, 6, 6))
    phases = 0.5 * (fine - fine.min()) / np.ptp(fine)
    return exitwave.simulate(96, 120, obj=np.exp(1j * phases), counts_per_frame=1e7, **options)


def main() -> None:
    scan = sample()
    chain = [
        {"name": "rPIE", "iterations": 60},
        {"name": "ML", "iterations": 60, "noise": "amplitude", "smoothness": 0.02},
    ]
    thick = exitwave.ptychography(
        *scan,
        {
            "engines": [chain[0] | {"slices": SLICES}, chain[1]],
            "propagation": scan.propagation,
        },
    )
    flat = exitwave.ptychography(*scan, {"engines": chain})
    print(f"Fourier error with {SLICES} slices {thick.error:.2g}, with one {flat.error:.2g}")

    region = exitwave.metrics.scan_region(
        scan.positions_px, scan.data.shape[1:], scan.object.shape[1:], scan.probe
    )
    rows, columns = np.nonzero(region)
    inside = np.s_[rows.min() : rows.max(), columns.min() : columns.max()]
    figure = new_figure((3.0 * (SLICES + 1), 6.2))
    axes = figure.subplots(2, SLICES + 1)
    for line, title, obj in zip(axes, ("true", "found"), (scan.object, thick.object), strict=True):
        for number, (panel, each) in enumerate(zip(line, obj, strict=False)):
            phase = np.angle(each)
            phase = phase - np.median(phase[region])
            panel.imshow(phase[inside], cmap="gray", vmin=-0.2, vmax=0.2)
            panel.set_title(f"slice {number + 1}, {title}")
    products = (scan.object.prod(axis=0), "all, true"), (flat.object, "found with one slice")
    for panel, (each, title) in zip(axes[:, SLICES], products, strict=True):
        phase = np.angle(each * np.exp(-1j * np.angle(each[region].mean())))
        panel.imshow(phase[inside], cmap="gray", vmin=-0.4, vmax=0.4)
        panel.set_title(title)
    for panel in axes.ravel():
        panel.set_axis_off()
    save_figure(figure, PICTURE, dpi=60)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
