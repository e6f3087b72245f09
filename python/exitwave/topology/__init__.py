"""Machines, and what a partition of a scan costs on them.

:func:`read_machine` describes a machine, :class:`Job` a reconstruction, and :func:`predict` tells
bytes, seconds and memory of an iteration; :mod:`exitwave.topology.draw` shows the parts.
"""

from __future__ import annotations

from exitwave.topology.cost import Prediction, Traffic, all_reduce, predict
from exitwave.topology.described import described_devices
from exitwave.topology.halo import Halo, find_halo
from exitwave.topology.machine import Device, Level, Machine, Storage, known_machines, read_machine
from exitwave.topology.work import Job, Memory, memory_of

__all__ = [
    "Device",
    "Halo",
    "Job",
    "Level",
    "Machine",
    "Memory",
    "Prediction",
    "Storage",
    "Traffic",
    "all_reduce",
    "described_devices",
    "find_halo",
    "known_machines",
    "memory_of",
    "predict",
    "read_machine",
]
