"""Makes docs/images/sample.png: the built-in sample from frames and a wrong start to the result.

python docs/make_pictures.py
"""

from pathlib import Path

import numpy as np

import exitwave
from exitwave.plots import complex_to_rgb, new_figure, plot_amplitude, save_figure

PICTURE = Path(__file__).parent / "images" / "sample.png"


def main() -> None:
    sample = exitwave.simulate(128, 400, counts_per_frame=1e7, scan="raster")
    start = sample.start_probe(numerical_aperture=1.1, defocus_m=1.2)
    params = {"propagation": sample.propagation}
    result = exitwave.ptychography(sample.data, probe=start, pos=sample.positions_px, params=params)
    reached = exitwave.metrics.scan_region(
        sample.positions_px, result.probe.shape[-2:], result.object.shape, result.probe
    )

    figure = new_figure((13.5, 3.4))
    frame, wrong, probe, amplitude = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.22))
    frame.imshow(np.log10(1 + sample.data[0]), cmap="magma")
    frame.set_title("one of 400 frames, log scale")
    wrong.imshow(complex_to_rgb(start[0]))
    wrong.set_title("start probe, wrong on purpose")
    probe.imshow(complex_to_rgb(result.probe[0]))
    probe.set_title("probe found")
    plot_amplitude(amplitude, result.object, reached, sample.pixel_size_m)
    amplitude.set_title("amplitude of the object found")
    for axes in (frame, wrong, probe):
        axes.set_axis_off()
    PICTURE.parent.mkdir(exist_ok=True)
    save_figure(figure, PICTURE, dpi=70)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
