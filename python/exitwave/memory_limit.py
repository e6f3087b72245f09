"""How much memory a run may use: what was asked for, and what there is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Share of the free memory that a run takes where nothing else is said.
_AUTOMATIC_SHARE = 0.8
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_MOST_BYTES = 1 << 62  # what the core counts in
_TEXT = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)

Limit = str | float | dict[str, Any]


@dataclass(frozen=True)
class MemoryLimits:
    """Bytes that each device, and the host, may hold for a run; None: whatever there is."""

    device: int | None
    host: int | None


def parse_bytes(text: str) -> int:
    """Bytes of "8 GB", "500MB", "2 GiB" or "1e9".

    Raises
    ------
    ValueError
        It is none of these, less than one byte, more than there can be, or so many bytes and a
        fraction.
    """
    match = _TEXT.fullmatch(text)
    unit = _UNITS.get(match[2].upper()) if match else None
    size = float(match[1]) * unit if match and unit else 0.0
    # Half a byte is no size: who writes "1.5" has forgotten the unit.
    if not 1 <= size <= _MOST_BYTES or (unit == 1 and size != int(size)):
        raise ValueError
    return int(size)


def checked_limit(value: Any) -> Limit:
    """A limit as :data:`exitwave.parameters` takes it: "auto", a size, a share of what is free, or
    a dict of these for "device" and "host".

    Raises
    ------
    ValueError
        It is none of these.
    """
    if isinstance(value, dict):
        if not value or not set(value) <= {"device", "host"}:
            raise ValueError
        return {key: checked_limit(one) for key, one in value.items() if not _is_dict(one)}
    if isinstance(value, str):
        if value != "auto":
            parse_bytes(value)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError
    if not value <= (1 if isinstance(value, float) else _MOST_BYTES):
        raise ValueError
    return value


def _is_dict(value: Any) -> bool:
    if isinstance(value, dict):
        raise ValueError
    return False


def resolve_limits(
    limit: Limit,
    *,
    host_is_device: bool,
    device_free: int | None = None,
    host_free: int | None = None,
) -> MemoryLimits:
    """Bytes that a limit stands for.

    Parameters
    ----------
    limit : as :func:`checked_limit` returns it
        Without a dict it is the limit of each device, which may be the host.
    host_is_device : bool
        The work is done in the host's memory.
    device_free : int or None
        Free bytes of a device; None: not known.
    host_free : int or None
        Free bytes of the host; None: those of this machine.
    """
    whose = "host" if host_is_device else "device"
    each = limit if isinstance(limit, dict) else {whose: limit}
    return MemoryLimits(
        _bytes(each.get("device", "auto"), device_free),
        _bytes(each.get("host", "auto"), free_host_bytes() if host_free is None else host_free),
    )


def _bytes(limit: Any, free: int | None) -> int | None:
    if limit == "auto":
        return None if free is None else int(_AUTOMATIC_SHARE * free)
    if isinstance(limit, str):
        return parse_bytes(limit)
    if isinstance(limit, float):
        return None if free is None else int(limit * free)
    return int(limit)


def free_host_bytes() -> int | None:
    """Memory that this process could still take: the machine's, or its container's if less."""
    found = [n for n in (_machine_free(), _container_free()) if n is not None]
    return min(found) if found else None


def _machine_free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _container_free() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None
