"""Scans that the cases work on: simulated ones, kept in a temporary folder, and measured ones."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import exitwave
from cases import CaseSkippedError, Settings
from environment import ROOT


@dataclass(frozen=True)
class Scan:
    """Data of a simulated scan, the truth, and the file that both are in."""

    path: Path
    data: np.ndarray
    positions_px: np.ndarray
    probe: np.ndarray
    object: np.ndarray

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.data.shape[1:]


def far_scan(settings: Settings) -> Scan:
    """1000 frames of 256 x 256, uint16, 1e7 counts each, whole positions, defocused lens."""
    return _kept(
        frame_shape=128 if settings.quick else 256,
        frames=120 if settings.quick else 1000,
        counts_per_frame=1e7,
        integer_positions=True,
    )


def short_scan(settings: Settings) -> Scan:
    """200 frames of 256 x 256, for what takes long with each."""
    return _kept(
        frame_shape=128 if settings.quick else 256,
        frames=60 if settings.quick else 200,
        counts_per_frame=1e7,
        integer_positions=True,
    )


def fractional_scan(settings: Settings) -> Scan:
    """The same at the fractional positions of a spiral; 400 frames."""
    return _kept(
        frame_shape=128 if settings.quick else 256,
        frames=80 if settings.quick else 400,
        counts_per_frame=1e7,
    )


def near_scan(settings: Settings) -> Scan:
    """17 frames of 1024 x 1024 behind a diffuser, whole positions."""
    return _kept(
        regime="near",
        frame_shape=256 if settings.quick else 1024,
        frames=5 if settings.quick else 17,
        counts_per_frame=2e7 if settings.quick else 3e8,
        integer_positions=True,
    )


def large_near_scan(settings: Settings) -> Scan:
    """17 frames of 2048 x 2048 behind a diffuser, whole positions."""
    return _kept(
        regime="near",
        frame_shape=128 if settings.quick else 2048,
        frames=5 if settings.quick else 17,
        counts_per_frame=5e6 if settings.quick else 1.2e9,
        integer_positions=True,
    )


def many_frames(settings: Settings) -> Scan:
    """4096 frames of 128 x 128, whole positions, defocused lens."""
    return _kept(
        frame_shape=64 if settings.quick else 128,
        frames=60 if settings.quick else 4096,
        counts_per_frame=2e6,
        integer_positions=True,
    )


def measured(name: str) -> Path:
    """A file of the measured data: beside the checkout, or where EXITWAVE_SHARED_DATA says."""
    beside = ROOT.parent / "shared" / "data"
    path = Path(os.environ.get("EXITWAVE_SHARED_DATA", beside)) / name
    if not path.is_file():
        raise CaseSkippedError(
            f"the measured data {name} are missing; EXITWAVE_SHARED_DATA names their folder"
        )
    return path


def propagation(scan: Scan) -> dict[str, Any]:
    """The entry "propagation" of the parameters."""
    with exitwave.load(scan.path) as dataset:
        return dataset.geometry.propagation()


@cache
def _loaded(path: Path) -> Scan:
    with h5py.File(path) as file:
        return Scan(
            path=path,
            data=file["data"][()],
            positions_px=file["truth/positions_px"][()],
            probe=file["truth/probe"][()],
            object=file["truth/object"][()],
        )


def _kept(**arguments: Any) -> Scan:
    """Simulated once, and read from the temporary folder from then on."""
    key = json.dumps(arguments | {"exitwave": exitwave.__version__}, sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / "exitwave-benchmarks" / f"{name}.h5"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        simulation = exitwave.simulate(**arguments)
        # The narrowest type may be uint8, but a detector's files have 16 bits.
        simulation.data = simulation.data.astype(np.uint16, casting="safe")
        simulation.save(path)
    return _loaded(path)
