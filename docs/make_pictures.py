"""Makes the pictures of the documentation: the built-in sample, and probes.

python docs/make_pictures.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import exitwave
from exitwave import probes
from exitwave.geometry import wavelength_from_energy
from exitwave.plots import complex_to_rgb, new_figure, plot_amplitude, save_figure

IMAGES = Path(__file__).parent / "images"


def draw_sample() -> None:
    """From frames and a wrong start to the result."""
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
    save(figure, "sample.png", dpi=70)


def draw_probes() -> None:
    """Each kind of focusing optics, in focus and out of it."""
    x_ray = ((256, 256), 2e-8, wavelength_from_energy(8e3))
    electron = ((256, 256), 2e-11, wavelength_from_energy(300e3, "electron"))
    plate = {"diameter_m": 1e-4, "outer_zone_m": 1e-7, "stop_m": 4e-5}
    mirrors = {"aperture_m": (2e-4, 1.4e-4), "focal_length_m": 0.2}
    shown = {
        "zone plate": probes.zone_plate(*x_ray, **plate),
        "zone plate, 1.5 mm off": probes.zone_plate(*x_ray, **plate, defocus_m=1.5e-3),
        "KB mirrors": probes.kb(*x_ray, **mirrors),
        "KB mirrors, 2 mm off": probes.kb(*x_ray, **mirrors, defocus_m=2e-3),
        "electrons, C1 -40 nm": probes.electron(*electron, convergence_rad=0.02, defocus_m=-4e-8),
        "A1 20 nm at 30 degrees too": probes.electron(
            *electron, convergence_rad=0.02, defocus_m=-4e-8, a1_m=2e-8, a1_angle_rad=np.pi / 6
        ),
        "B2 1.5 µm": probes.electron(*electron, convergence_rad=0.02, b2_m=1.5e-6),
        "diffuser": probes.make_probe("diffuser", *x_ray),
    }
    figure = new_figure((13.5, 7.0))
    for axes, (title, wave) in zip(figure.subplots(2, 4).ravel(), shown.items(), strict=True):
        axes.imshow(complex_to_rgb(wave[56:200, 56:200]))
        axes.set_title(title)
        axes.set_axis_off()
    save(figure, "probes.png", dpi=45)


def save(figure: Figure, name: str, dpi: int) -> None:
    IMAGES.mkdir(exist_ok=True)
    picture = IMAGES / name
    save_figure(figure, picture, dpi=dpi)
    print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    draw_sample()
    draw_probes()
