"""Files in and out: measured scans of many layouts, and results."""

from __future__ import annotations

from exitwave.io.dataset import Dataset
from exitwave.io.describe import DatasetInfo, describe
from exitwave.io.load import load
from exitwave.io.result_file import load_result, save_result

__all__ = [
    "Dataset",
    "DatasetInfo",
    "describe",
    "load",
    "load_result",
    "save_result",
]
