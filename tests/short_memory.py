"""Limits of memory so small that frames come and go in blocks."""

from __future__ import annotations

import re
from typing import Any

import pytest

import exitwave
from small_scan import PROPAGATIONS, SmallScan, devices

# Device, parts, whose memory is short, and where counts and exit waves stay then.
SHORT = {
    "three devices": ("emulated", 3, "device", "host", "host"),
    "one device": ("emulated:1", 3, "device", "host", "host"),
    "host behind devices": ("emulated:2", 4, "both", "host", "file"),
    "cpu": ("cpu:2", 3, "host", "host", "file"),
}
if "cuda" in devices():
    SHORT["one GPU"] = ("cuda", 3, "device", "host", "host")
if "cuda:0,1" in devices():
    SHORT["host behind GPUs"] = ("cuda:0,1", 4, "both", "host", "file")


def plan_of(scan: SmallScan, options: dict[str, Any], **params: Any) -> exitwave.Plan:
    given = {"engines": [options], "propagation": PROPAGATIONS[scan.regime]} | params
    return exitwave.plan(scan.data, scan.obj, scan.probe, scan.positions, scan.mask, given)


def least_bytes(scan: SmallScan, options: dict[str, Any], where: str, **params: Any) -> int:
    """What blocks of one frame need, as the refusal of less tells."""
    with pytest.raises(exitwave.OutOfMemory) as refusal:
        plan_of(scan, options, memory_limit={where: 1}, **params)
    needed = re.search(r"needs (\d+) there", str(refusal.value))
    assert needed is not None
    return int(needed[1])


def short_limit(scan: SmallScan, options: dict[str, Any], whose: str, **params: Any) -> Any:
    """Room for blocks of two frames, and no more."""
    waves = 8 * len(scan.probe) * len(scan.obj) if options["name"] in ("DM", "RAAR") else 0
    frame_bytes = 3 * scan.probe[0].size * (4 + waves)
    if whose == "host":
        return {"host": least_bytes(scan, options, "host", **params) + frame_bytes}
    limit = {"device": least_bytes(scan, options, "device", **params) + frame_bytes}
    if whose == "device":
        return limit
    resident = plan_of(scan, options, **params)
    return limit | {
        "host": resident.arrays_bytes + resident.engines[0].host_bytes + 2 * frame_bytes
    }
