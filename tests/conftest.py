"""Options and markers of the whole suite; the fixtures of one folder stand in its own conftest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# The double-precision oracle (reference/) and the small scans (small_scan.py).
sys.path.insert(0, str(Path(__file__).parent))

# Tests leave no FFT plans in the user's cache folder.
os.environ.setdefault("EXITWAVE_CACHE", "")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_gpu = pytest.mark.skip(reason="needs a CUDA device, and this build cannot use any")
    too_slow = pytest.mark.skip(reason="slow; run with --slow")
    for item in items:
        if "gpu" in item.keywords and not _has_gpu():
            item.add_marker(no_gpu)
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(too_slow)


def _has_gpu() -> bool:
    """Whether the build has CUDA; EXITWAVE_REQUIRE_GPU=1 makes the tests run, and fail, anyway."""
    from exitwave import _core

    return os.environ.get("EXITWAVE_REQUIRE_GPU") == "1" or not _core.build_info()["cuda"]
