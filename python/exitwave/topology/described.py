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
    host = None if machine is None else int(machine.host.memory_bytes)
    if memory is None:
        assert machine is not None
        return DescribedDevices(
            machine.device.name, gpus, int(machine.device.memory_bytes), host_bytes=host
        )
    try:
        size = parse_bytes(memory)
    except ValueError:
        raise InvalidArgument(f"memory is {memory!r}, but must be a size such as 40 GB.") from None
    label = f"GPU of {memory}" if machine is None else machine.device.name
    return DescribedDevices(label, gpus, size, host_bytes=host)


def machine_with(device: str) -> Machine:
    """The first known machine whose devices have this in their name.

    Raises
    ------
    InvalidArgument
        There is none.
    """
    machines = [read_machine(known) for known in known_machines()]
    for machine in machines:
        if device.lower() in machine.device.name.lower():
            return machine
    names = ", ".join(dict.fromkeys(machine.device.name for machine in machines))
    raise InvalidArgument(f"device {device!r} is not known; known ones are {names}.")
