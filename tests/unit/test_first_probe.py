"""A start probe from the data alone."""

import numpy as np
import pytest

import exitwave
from exitwave.counts import read_counts
from exitwave.first_probe import find_probe


@pytest.mark.parametrize("kind", ["defocused", "focused"])
def test_scan_without_a_start_probe_is_reconstructed(kind):
    sample = exitwave.simulate((32, 40), 80, counts_per_frame=1e6, probe=kind, seed=2)

    result = exitwave.ptychography(
        sample.data,
        pos=sample.positions_px,
        params={"engines": [{"name": "rPIE", "iterations": 40}]},
    )

    assert result.error < 0.005


def test_choice_depends_on_the_sign_of_the_defocus():
    """The conjugate of the true beam has the same mean frame, but not the same data."""
    sample = exitwave.simulate(48, 80, counts_per_frame=1e6, seed=2)

    probe = find_probe(read_counts(sample.data, None), sample.positions_px, None)

    def likeness(reference):
        return abs(np.vdot(probe, reference)) / np.linalg.norm(probe) / np.linalg.norm(reference)

    assert likeness(sample.probe) > 1.5 * likeness(sample.probe.conj())


@pytest.mark.parametrize("frames", [1, 3])
def test_scan_along_a_line_gets_the_focus(frames):
    sample = exitwave.simulate(32, 4, counts_per_frame=1e6, seed=2)
    positions = np.stack([np.arange(frames), np.zeros(frames)], axis=1)

    probe = find_probe(read_counts(sample.data[:frames], None), positions, None)

    assert probe.shape == (1, 32, 32)


def test_nan_under_the_mask_does_not_matter():
    sample = exitwave.simulate(32, 30, counts_per_frame=1e6, seed=2)
    mask = np.ones((32, 32), bool)
    mask[3, 4] = False
    data = sample.data.astype(np.float32)
    spoilt = data.copy()
    spoilt[:, 3, 4] = np.nan

    clean = find_probe(read_counts(data, mask), sample.positions_px, None)

    np.testing.assert_array_equal(
        find_probe(read_counts(spoilt, mask), sample.positions_px, None), clean
    )
