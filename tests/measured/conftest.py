"""Where the measured data lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def measured_data() -> Path:
    """Folder of measured data, beside the checkout or named by EXITWAVE_SHARED_DATA."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("EXITWAVE_SHARED_DATA", beside))
    if not (folder / "aps_velociprobe_siemens.h5").is_file():
        pytest.skip(f"measured data are missing: there is no folder {folder}")
    return folder
