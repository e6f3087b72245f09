"""Near field behind a diffuser: the propagation is part of the parameters."""

import exitwave

sample = exitwave.simulate(96, 40, regime="near", counts_per_frame=1e7)
print("propagation:", sample.propagation)

result = exitwave.ptychography(
    sample.data,
    probe=sample.probe,
    pos=sample.positions_px,
    params={
        "engines": [{"name": "RAAR", "iterations": 60}, {"name": "ML", "iterations": 60}],
        "propagation": sample.propagation,
    },
)

region = exitwave.metrics.scan_region(
    sample.positions_px, result.probe.shape[-2:], sample.object.shape, sample.probe
)
error = exitwave.metrics.relative_error(result.object, sample.object, region)
print(f"Fourier error {result.error:.2e}, relative error of the object {error:.3f}")
