"""Shared libraries that come inside Python packages."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


def package_folders(name: str) -> list[Path]:
    """Where a package is, without importing it; a namespace may be in several places."""
    spec = find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def find_in(folders: Iterable[Path], *patterns: str) -> str | None:
    """The last by its name of the files in the first folder that has any; patterns in order."""
    for folder in folders:
        for pattern in patterns:
            if found := sorted(folder.glob(pattern)):
                return str(found[-1])
    return None
