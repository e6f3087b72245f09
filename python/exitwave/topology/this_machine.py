"""The machine at hand, from what the kernel and, where it is installed, NVML tell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from exitwave.devices import available_threads
from exitwave.topology.machine import Device, Level, Machine, Storage

# What nobody tells without a measurement is taken from the shipped laptop, or from PCIe 4.0.
_CORE_BYTES_PER_S = 20e9
_MEMORY_BYTES_PER_S = 50e9
_DISK_BYTES_PER_S = 2e9
_PCIE_BYTES_PER_S = 32e9
_NVLINK_BYTES_PER_S = 25e9  # of one link of the third or fourth generation, each direction
_NETWORK = Level(name="network", bandwidth_bytes_per_s=1.25e9, latency_s=3e-5)


def this_machine() -> Machine:
    """A description of this machine: its GPUs where NVML (``pynvml``) shows some, else its cores.

    Numbers of devices and sizes of memories are read; bandwidths of GPU memory and links come from
    NVML; those of cores, disk and network are only usual values, which a TOML file can replace.
    """
    return _with_gpus() or _with_cores()


def _with_cores() -> Machine:
    cores = available_threads()
    memory = host_memory_bytes()
    sockets = _sockets()
    share = _MEMORY_BYTES_PER_S * sockets / cores
    levels = [_NETWORK]
    if sockets > 1 and cores % sockets == 0:
        levels.append(
            Level(
                name="between sockets",
                members=sockets,
                bandwidth_bytes_per_s=20e9,
                latency_s=2e-6,
                shared_memory=True,
            )
        )
        cores_together = cores // sockets
    else:
        cores_together = cores
    levels.append(
        Level(
            name="memory",
            members=cores_together,
            bandwidth_bytes_per_s=share,
            latency_s=1e-6,
            shared_memory=True,
        )
    )
    return Machine(
        name="this machine",
        device=Device(
            name="core",
            memory_bytes=memory / cores,
            memory_bandwidth_bytes_per_s=_CORE_BYTES_PER_S,
            efficiency=1.0,
        ),
        host=Storage(memory_bytes=memory, bandwidth_bytes_per_s=share),
        disk=_disk(),
        levels=tuple(levels),
    )


def _with_gpus() -> Machine | None:
    """None without NVML or without GPUs."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        count = int(pynvml.nvmlDeviceGetCount())
        if count == 0:
            return None
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        links = _nvlinks(pynvml, handles[0])
        return Machine(
            name="this machine",
            device=Device(
                name=_text(pynvml.nvmlDeviceGetName(handles[0])),
                memory_bytes=min(float(pynvml.nvmlDeviceGetMemoryInfo(h).total) for h in handles),
                memory_bandwidth_bytes_per_s=_gpu_bandwidth(pynvml, handles[0]),
            ),
            host=Storage(
                memory_bytes=host_memory_bytes(), bandwidth_bytes_per_s=0.8 * _PCIE_BYTES_PER_S
            ),
            disk=_disk(),
            levels=(
                _NETWORK,
                Level(
                    name="NVLink" if links else "PCIe",
                    members=count,
                    bandwidth_bytes_per_s=links * _NVLINK_BYTES_PER_S or _PCIE_BYTES_PER_S,
                    latency_s=3.4e-6 if links else 5.5e-6,
                ),
            ),
        )
    finally:
        pynvml.nvmlShutdown()


def _gpu_bandwidth(nvml: Any, handle: Any) -> float:
    """Two transfers a clock over the width of the bus."""
    clock_hz = 1e6 * nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM)
    return float(2 * clock_hz * nvml.nvmlDeviceGetMemoryBusWidth(handle) / 8)


def _nvlinks(nvml: Any, handle: Any) -> int:
    """Links that are up."""
    up = 0
    for link in range(int(getattr(nvml, "NVML_NVLINK_MAX_LINKS", 0))):
        try:
            up += int(nvml.nvmlDeviceGetNvLinkState(handle, link) == nvml.NVML_FEATURE_ENABLED)
        except nvml.NVMLError:
            break
    return up


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def host_memory_bytes() -> float:
    """Memory of this machine, less where a control group allows less."""
    physical = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return physical
    return physical if allowed == "max" else min(physical, float(allowed))


def _sockets() -> int:
    packages = {
        path.read_text(encoding="ascii").strip()
        for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/physical_package_id")
    }
    return max(len(packages), 1)


def _disk() -> Storage:
    free = shutil.disk_usage(Path.cwd()).free
    return Storage(memory_bytes=max(float(free), 1.0), bandwidth_bytes_per_s=_DISK_BYTES_PER_S)
