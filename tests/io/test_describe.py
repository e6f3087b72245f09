"""What ``describe`` says about a scan is true of scans whose truth is known."""

from __future__ import annotations

from pathlib import Path

import h5py
import io_layouts
import numpy as np
import pytest
from io_layouts import Scan

from exitwave.geometry import Geometry
from exitwave.io import Dataset, describe, load
from exitwave.io.describe import (
    effective_diameter,
    length,
    mean_nearest_distance,
    overlap_of_discs,
    poisson_limit,
)


def disc(shape: tuple[int, int], diameter: float) -> np.ndarray:
    y, x = (np.arange(size) - size // 2 for size in shape)
    return (np.hypot(y[:, None], x) < diameter / 2).astype(float)


def simulated(curvature: float, counts: float, frames: int = 60, diameter: float = 22.0) -> Dataset:
    """Far-field frames of a disc with a curved phase over a strong random phase object."""
    rng = np.random.default_rng(11)
    shape = (48, 64)
    y, x = (np.arange(size) - size // 2 for size in shape)
    probe = disc(shape, diameter) * np.exp(1j * curvature * (y[:, None] ** 2 + x**2))
    obj = np.exp(1.5j * rng.normal(size=(120, 150)))
    corners = rng.integers(0, (72, 86), (frames, 2))
    corners -= corners.min(axis=0)
    data = []
    for row, column in corners:
        wave = probe * obj[row : row + 48, column : column + 64]
        data.append(np.abs(np.fft.fftshift(np.fft.fft2(wave, norm="ortho"))) ** 2)
    expected = np.array(data) * counts / np.mean([frame.sum() for frame in data])
    geometry = Geometry("far", (1e-8, 1e-8))
    measured = rng.poisson(expected).astype(np.uint32)
    dataset = Dataset(measured, corners.astype(float), None, None, None, geometry, "memory", "npz")
    dataset.expected = expected
    return dataset


def test_counts_are_those_of_valid_pixels(tmp_path: Path, scan: Scan) -> None:
    io_layouts.exitwave_metres(tmp_path / "scan.h5", scan)
    with h5py.File(tmp_path / "scan.h5", "r+") as file:
        file["data"][...] = np.where(scan.mask, scan.data, 65535)

    with load(tmp_path / "scan.h5") as dataset:
        info = describe(dataset)

    valid = scan.data[:, scan.mask]
    assert info.total_counts == valid.sum()
    assert info.mean_counts_per_frame == pytest.approx(valid.sum() / 13)
    assert info.max_counts == valid.max()
    assert info.valid_pixels == scan.mask.sum()
    assert info.shape == (13, 12, 20)
    corner = np.floor(scan.positions_px.max(axis=0) + 0.5).astype(int)
    assert info.object_shape == (12 + corner[0], 20 + corner[1])
    assert info.field_of_view_m == pytest.approx(
        np.array(info.object_shape) * scan.geometry.pixel_size_m
    )


def test_rows_name_every_fact(tmp_path: Path, scan: Scan) -> None:
    io_layouts.cxi_energy_in_ev(tmp_path / "scan.h5", scan)

    with load(tmp_path / "scan.h5") as dataset:
        rows = describe(dataset).rows()

    values = dict(rows)
    assert values["frames"] == "13 of 12 x 20, uint16"
    assert values["energy"] == "8 keV (155 pm)"
    assert values["detector pixel"] == "75 µm"
    assert values["distance to detector"] == "1.7 m"
    assert values["layout"] == "cxi"
    notes = [value for label, value in rows if label == "note"]
    assert notes == dataset.notes


def test_unknown_facts_are_said_to_be_unknown() -> None:
    dataset = Dataset(
        np.ones((1, 12, 20), np.uint8), np.zeros((1, 2)), None, None, None, None, "memory", "npz"
    )

    values = dict(describe(dataset).rows())

    assert values["geometry"] == "unknown"
    assert values["field of view"] == "unknown"
    assert values["step to nearest frame"] == "unknown"
    assert values["overlap, linear"] == "unknown"


@pytest.mark.parametrize("counts", [3e2, 3e4, 3e6])
def test_poisson_limit_is_the_error_of_the_truth(counts: float) -> None:
    dataset = simulated(0.0, counts)

    info = describe(dataset)

    truth = np.sum((np.sqrt(dataset.data) - np.sqrt(dataset.expected)) ** 2) / dataset.data.sum()
    assert info.poisson_limit == pytest.approx(truth, rel=0.03)


def test_poisson_limit_of_bright_pixels_is_a_quarter() -> None:
    histogram = np.zeros(100)
    histogram[-1] = 50

    assert poisson_limit(histogram, 50 * 1e4) == pytest.approx(0.25 / 1e4)
    assert poisson_limit(np.zeros(100), 0.0) == 0.0


@pytest.mark.parametrize("curvature", [0.0, 0.02])
def test_probe_size_is_estimated_whatever_its_phase(curvature: float) -> None:
    dataset = simulated(curvature, 1e6)

    info = describe(dataset)

    assert info.probe_size_px == pytest.approx(22.0, rel=0.15)
    assert "estimate" in info.probe_size_from
    assert info.oversampling == pytest.approx((48 / 22, 64 / 22), rel=0.15)


def test_oblong_pixels_are_measured_in_metres() -> None:
    """A round probe and a step of 60 nm on pixels of 10 x 20 nm."""
    probe = disc((96, 96), 64.0)[:, ::2][None].astype(np.complex64)
    geometry = Geometry("far", (1e-8, 2e-8))
    positions = np.array([[0.0, 0.0], [0.0, 3.0], [6.0, 0.0]])
    data = np.ones((3, 96, 48), np.uint8)
    dataset = Dataset(data, positions, None, probe, None, geometry, "memory", "npz")

    info = describe(dataset)

    assert info.overlap_linear == pytest.approx(1 - 60 / 640, rel=0.01)
    assert info.oversampling == pytest.approx((96 / 64, 96 / 64), rel=0.01)


def test_a_start_probe_gives_the_exact_size() -> None:
    dataset = simulated(0.0, 1e4)
    dataset.probe = disc((48, 64), 22.0)[None].astype(np.complex64)

    info = describe(dataset)

    assert info.probe_size_px == pytest.approx(22.0, rel=0.02)
    assert info.probe_size_from == "the start probe"
    assert info.overlap_linear == pytest.approx(1 - info.step_px / info.probe_size_px)


def test_a_near_field_beam_is_measured_on_the_detector() -> None:
    beam = np.broadcast_to(1000 * disc((48, 64), 30.0), (5, 48, 64)).astype(np.uint16)
    geometry = Geometry.from_near_field(1e-10, 0.1, 1e-6)
    positions = np.arange(10.0).reshape(5, 2)
    dataset = Dataset(beam, positions, None, None, None, geometry, "memory", "npz")

    info = describe(dataset)

    assert info.probe_size_px == pytest.approx(30.0, rel=0.02)
    assert info.oversampling is None


def test_neighbours_and_overlaps_have_their_textbook_values() -> None:
    grid = np.stack(np.meshgrid(np.arange(4) * 3.0, np.arange(5) * 5.0), axis=-1).reshape(-1, 2)

    assert mean_nearest_distance(grid) == pytest.approx(3.0)
    assert mean_nearest_distance(grid[:1]) is None
    assert overlap_of_discs(0.0, 2.0) == pytest.approx(1.0)
    assert overlap_of_discs(3.0, 2.0) == pytest.approx(0.0)
    counted = disc((400, 400), 200.0) * np.roll(disc((400, 400), 200.0), 80, axis=0)
    share = counted.sum() / disc((400, 400), 200.0).sum()
    assert overlap_of_discs(80.0, 200.0) == pytest.approx(share, rel=0.01)


def test_effective_diameter_is_that_of_a_disc() -> None:
    assert effective_diameter(disc((200, 150), 90.0)) == pytest.approx(90.0, rel=0.005)
    assert effective_diameter(np.zeros((5, 5))) is None


def test_frames_with_the_zero_frequency_at_the_corner_are_noticed() -> None:
    dataset = simulated(0.0, 1e4)
    dataset.data = np.fft.ifftshift(dataset.data * disc((48, 64), 25.0), axes=(1, 2))

    assert any("fftshift" in note for note in describe(dataset).notes)


def test_impossible_counts_are_noted() -> None:
    data = np.ones((2, 12, 20), np.float32)
    data[0, 3, 4], data[1, 5, 6] = -2, np.nan
    dataset = Dataset(data, np.zeros((2, 2)), None, None, None, None, "memory", "npz")

    notes = " ".join(describe(dataset).notes)

    assert "negative, down to -2" in notes
    assert "not finite" in notes


@pytest.mark.parametrize(
    ("metres", "text"),
    [(1.5, "1.5 m"), (2e-3, "2 mm"), (3.01567e-8, "30.16 nm"), (1.4e-10, "140 pm")],
)
def test_lengths_have_a_unit_that_suits_them(metres: float, text: str) -> None:
    assert length(metres) == text


def test_measured_star(measured: Path) -> None:
    with load(measured / "aps_velociprobe_siemens.h5") as dataset:
        info = describe(dataset)
        dataset.probe = None
        estimate = describe(dataset)

    assert info.mean_counts_per_frame == pytest.approx(4.612e5, rel=1e-3)
    assert info.max_counts == 963
    assert info.overlap_linear == pytest.approx(0.85, abs=0.01)
    assert info.oversampling == pytest.approx((2.35, 2.35), abs=0.01)
    assert 0.006 < info.poisson_limit < 0.009
    assert estimate.probe_size_px == pytest.approx(info.probe_size_px, rel=0.5)


def test_masked_star_counts_valid_pixels_only(measured: Path) -> None:
    with load(measured / "aps_siemens_masked.h5") as dataset:
        info = describe(dataset)

    assert info.max_counts == 963  # hot pixels hold 65535
    assert info.valid_pixels == 15054
