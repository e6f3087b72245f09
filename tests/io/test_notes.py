"""What a reader had to guess, or did not use, it says."""

from __future__ import annotations

from pathlib import Path

import h5py
import io_layouts
import numpy as np
import pytest
from io_layouts import Scan, Writer

from exitwave.io import load

NOTES = [
    (io_layouts.cxi_energy_in_ev, "electronvolts were assumed"),
    (io_layouts.cxi_energy_in_ev, "used for both axes"),
    (io_layouts.cxi_cdtools, "corner_position"),
    (io_layouts.cxi_pynx, "dark image"),
    (io_layouts.cxi_pynx, "monitor"),
    (io_layouts.cxi_pynx, "far was assumed"),
    (io_layouts.cxi_with_units, "2 entries"),
    (io_layouts.ptyd_old, "taken from /info/positions_scan"),
    (io_layouts.ptylab_transposed, "orientation is 3"),
    (io_layouts.ptylab_transposed, "MATLAB"),
    (io_layouts.ptylab_transposed, "entrancePupilDiameter"),
]


@pytest.mark.parametrize(("writer", "words"), NOTES)
def test_what_is_guessed_or_not_used_is_noted(
    writer: Writer, words: str, path: Path, scan: Scan
) -> None:
    writer(path, scan)

    with load(path) as dataset:
        assert any(words in note for note in dataset.notes)


def test_the_layout_of_the_package_needs_no_note(path: Path, scan: Scan) -> None:
    io_layouts.exitwave_metres(path, scan)

    with load(path) as dataset:
        assert dataset.notes == []


def test_contradictions_are_noted(path: Path, scan: Scan) -> None:
    io_layouts.cxi_cdtools(path, scan)
    with h5py.File(path, "r+") as file:
        file["entry_1/instrument_1/source_1/energy"][...] *= 1.1
        file["entry_1/instrument_1/detector_1/x_pixel_size"] = 55e-6
        file["entry_1/instrument_1/detector_1/distance"] = np.linspace(1.6, 1.8, 13)

    with load(path) as dataset:
        notes = " ".join(dataset.notes)

    assert "the wavelength was used" in notes
    assert "basis vectors were used" in notes
    assert "the mean was used" in notes
    assert dataset.geometry.distance_m == pytest.approx(1.7)
