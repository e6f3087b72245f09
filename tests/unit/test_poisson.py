"""What counting noise leaves of a perfect model."""

import numpy as np
import pytest

import exitwave
from exitwave.counts import read_counts
from exitwave.poisson import noise_deviation


@pytest.mark.parametrize("counts_per_frame", [1e4, 1e6])
def test_deviation_is_that_of_the_truth(counts_per_frame):
    sample = exitwave.simulate((32, 40), 60, counts_per_frame=counts_per_frame, seed=4)
    model = exitwave.metrics.model_intensities(
        sample.object, sample.probe, sample.positions_px, sample.propagation
    )
    truth = np.mean((np.sqrt(sample.data) - np.sqrt(list(model))) ** 2)

    assert noise_deviation(read_counts(sample.data, None)) == pytest.approx(truth, rel=0.05)


def test_whole_numbers_in_floats_are_counts():
    sample = exitwave.simulate(32, 30, counts_per_frame=1e5, seed=4)

    assert noise_deviation(read_counts(sample.data.astype(np.float32), None)) == pytest.approx(
        noise_deviation(read_counts(sample.data, None))
    )


def test_data_without_noise_have_no_deviation():
    sample = exitwave.simulate(32, 30, counts_per_frame=None, seed=4)

    assert noise_deviation(read_counts(sample.data, None)) is None


def test_difference_map_stays_at_its_lowest_error_on_noisy_data():
    sample = exitwave.simulate(32, 60, counts_per_frame=1e6, probe="aperture", seed=4)
    region = exitwave.metrics.scan_region(
        sample.positions_px, (32, 32), sample.object.shape, sample.probe
    )
    errors = []

    def measure(state):
        errors.append(exitwave.metrics.relative_error(state.object[0], sample.object, region))

    exitwave.ptychography(
        sample.data,
        probe=sample.start_probe(),
        pos=sample.positions_px,
        params={
            "engines": [{"name": "DM", "iterations": 300}],
            "callback": measure,
            "callback_every": 30,
        },
    )

    assert errors[-1] < 1.2 * min(errors)
