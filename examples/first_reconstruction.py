"""Simulate a scan, reconstruct it, compare with the truth, save and plot the result."""

import exitwave
from exitwave.plots import plot_result, save_figure

# 150 frames of 64 x 64 pixels, Poisson noise.
sample = exitwave.simulate(64, 150, counts_per_frame=1e7)

# The start probe is off: its aperture is 10 % too wide and its defocus 20 % too large.
start = sample.start_probe(numerical_aperture=1.1, defocus_m=1.2)

result = exitwave.ptychography(
    sample.data,
    probe=start,
    pos=sample.positions_px,
    params={
        "engines": [{"name": "rPIE", "iterations": 60}, {"name": "ML", "iterations": 80}],
        "propagation": sample.propagation,
    },
)
result.pixel_size_m = sample.pixel_size_m

# Only what is well illuminated can be compared; factor, ramp and shift are removed.
region = exitwave.metrics.scan_region(
    sample.positions_px, result.probe.shape[-2:], sample.object.shape, sample.probe
)
error = exitwave.metrics.relative_error(result.object, sample.object, region)
print(f"Fourier error {result.error:.2e}, relative error of the object {error:.3f}")

exitwave.save_result("first_reconstruction.h5", result, overwrite=True)
save_figure(plot_result(result), "first_reconstruction.png")
