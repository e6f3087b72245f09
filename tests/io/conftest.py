"""Fixtures of the file tests; the writers are in io_layouts.py beside this file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import io_layouts


@pytest.fixture(scope="session")
def scan() -> io_layouts.Scan:
    """13 frames of 12 x 20 with fractional positions, a mask and a start probe."""
    return io_layouts.make_scan()


@pytest.fixture
def measured() -> Path:
    """Folder of measured data."""
    folder = Path(
        os.environ.get(
            "EXITWAVE_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"
        )
    )
    if not (folder / "aps_velociprobe_siemens.h5").is_file():
        pytest.skip(f"measured data are missing: there is no folder {folder}")
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A name whose extension says nothing."""
    return tmp_path / "scan.dat"
