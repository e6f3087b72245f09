"""GPUs that are only described, for a plan of a run on them."""

from __future__ import annotations

from exitwave.devices import DescribedDevices
from exitwave.errors import InvalidArgument
from exitwave.memory_limit import parse_bytes
from exitwave.topology.machine import Machine, known_machines, read_machine


def described_devices(
    name: str | None = None, memory: str | None = None, gpus: int = 1
) -> DescribedDevices:
    """So many GPUs, by the name of a kind or by their memory.

    Parameters
    ----------
    name : str or None
        Part of a device's name in the known machines, such as "h200" or "a100".
    memory : str or None
        Of each GPU, such as "40 GB"; wins over that of the name.
    gpus : int

    Raises
    ------
    InvalidArgument
        Neither name nor memory is given, the name is not known, or the size is none.
    """
    if gpus < 1:
        raise InvalidArgument(f"gpus is {gpus}, but must be at least 1.")
    if name is None and memory is None:
        raise InvalidArgument("described devices need a name, such as h200, or a memory.")
    machine = None if name is None else machine_with(name)
    size = 0 if memory is None else _size(memory)
    if machine is None:
        return DescribedDevices(f"GPU of {memory}", gpus, size)
    return DescribedDevices(
        machine.device.name,
        gpus,
        size or int(machine.device.memory_bytes),
        host_bytes=int(machine.host.memory_bytes),
        cache_bytes=int(machine.device.cache_bytes),
    )


def _size(memory: str) -> int:
    try:
        return parse_bytes(memory)
    except ValueError:
        raise InvalidArgument(f"memory is {memory!r}, but must be a size such as 40 GB.") from None


def machine_with(device: str) -> Machine:
    """The first known machine whose GPUs have this in their name.

    Raises
    ------
    InvalidArgument
        There is none.
    """
    machines = [read_machine(known) for known in known_machines()]
    # Where devices share their memory, they are cores.
    machines = [machine for machine in machines if not machine.levels[-1].shared_memory]
    for machine in machines:
        if device.lower() in machine.device.name.lower():
            return machine
    names = ", ".join(dict.fromkeys(machine.device.name for machine in machines))
    raise InvalidArgument(f"device {device!r} is not known; known ones are {names}.")
