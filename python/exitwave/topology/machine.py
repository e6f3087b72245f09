"""Machines as the cost model sees them: devices, memory, and the links of each level.

A machine is read from a small TOML file; those in the folder ``machines`` are known by name.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exitwave import checks
from exitwave.devices import DescribedDevices
from exitwave.errors import FileFormatError

Index = npt.NDArray[np.int64]

_SHIPPED = Path(__file__).with_name("machines")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Device(_Table):
    """What computes: a GPU, or a core of a processor.

    Attributes
    ----------
    name : str
    memory_bytes : float
    memory_bandwidth_bytes_per_s : float
        Of the memory that the waves in work are in: nominal for a GPU; for a core, what its cache
        delivers, as far as measured.
    efficiency : float
        Part of that bandwidth that transforms and kernels reach.
    cache_bytes : float
        Second-level cache of a GPU, as CUDA reports it; batches are as large as it allows.
    """

    name: str
    memory_bytes: Positive
    memory_bandwidth_bytes_per_s: Positive
    efficiency: Fraction = 0.7
    cache_bytes: Positive = DescribedDevices.cache_bytes

    @property
    def sustained_bytes_per_s(self) -> float:
        return self.memory_bandwidth_bytes_per_s * self.efficiency


class Storage(_Table):
    """Host memory, or the disk, of a node.

    Attributes
    ----------
    memory_bytes : float
    bandwidth_bytes_per_s : float
        Host: of the way to one device, each direction. Disk: of the whole node.
    """

    memory_bytes: Positive
    bandwidth_bytes_per_s: Positive


class Level(_Table):
    """Links among the members of one level: among nodes, sockets of a node, devices of a socket.

    Attributes
    ----------
    name : str
    members : int or None
        Members of one unit of this level; None for the outermost one, nodes, whose number is that
        of the run.
    bandwidth_bytes_per_s : float
        Nominal, of what one member has towards all others together, each direction.
    device_bandwidth_bytes_per_s : float or None
        The same for one device, where several share what their member has; None: all of it.
    latency_s : float
        Of one message.
    efficiency : float
        Part of the bandwidth that large messages reach.
    shared_memory : bool
        Members see each other's memory, so sums need not be given back.
    """

    name: str
    members: Annotated[int, Field(ge=1)] | None = None
    bandwidth_bytes_per_s: Positive
    device_bandwidth_bytes_per_s: Positive | None = None
    latency_s: NotNegative
    efficiency: Fraction = 0.8
    shared_memory: bool = False


class Machine(_Table):
    """Nodes of equal devices, and the levels of links between them.

    Attributes
    ----------
    name : str
    device : Device
    host, disk : Storage
    levels : tuple of Level
        From the outside in; the first one joins nodes.
    """

    name: str
    device: Device
    host: Storage
    disk: Storage
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _members_are_known(self) -> Machine:
        if self.levels[0].members is not None:
            raise ValueError("the first level joins nodes and must have no members")
        for level in self.levels[1:]:
            if level.members is None:
                raise ValueError(f"level {level.name!r} must have members")
        return self

    @property
    def units(self) -> tuple[int, ...]:
        """Devices of a member of each level, from the outside in: of a node, ..., 1."""
        counts = [level.members or 1 for level in self.levels[1:]]
        return tuple(int(np.prod(counts[depth:], dtype=int)) for depth in range(len(self.levels)))

    @property
    def devices_per_node(self) -> int:
        return self.units[0]

    @property
    def together(self) -> tuple[int, ...]:
        """Devices of a node, of a socket, ...: for :func:`exitwave.partition.split_in_parts`."""
        return tuple(unit for unit in self.units if unit > 1)

    def level_of(self, first: Index, second: Index) -> Index:
        """Level on which two different devices meet: the outermost that has them in two members."""
        level = np.full(np.broadcast(first, second).shape, len(self.levels) - 1)
        for depth in reversed(range(len(self.levels))):
            unit = self.units[depth]
            level = np.where(first // unit != second // unit, depth, level)
        return level


def known_machines() -> list[str]:
    """Names of the machines that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def read_machine(name: str | Path) -> Machine:
    """A machine by its name, or from a TOML file.

    Parameters
    ----------
    name : str or Path
        One of :func:`known_machines`, ``"this"`` for the machine at hand, or the path of a file.

    Raises
    ------
    InvalidArgument
        No machine has that name, and no file either.
    FileFormatError
        The file is not TOML, a key is missing or unknown, or a value is out of range.
    """
    if str(name) == "this":
        from exitwave.topology.this_machine import this_machine

        return this_machine()
    path = Path(name)
    if path.suffix != ".toml":
        path = _SHIPPED / f"{checks.choice('machine', str(name), [*known_machines(), 'this'])}.toml"
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise FileFormatError(f"{path}: the file cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: the file is not TOML ({error}).") from None
    try:
        return Machine.model_validate(content)
    except ValidationError as error:
        raise FileFormatError(f"{path}: {_explained(error)}") from None


def _explained(error: ValidationError) -> str:
    """The first mistake of a file as a sentence."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    kind = first["type"]
    if kind == "missing":
        return f"{place} is missing; add it."
    if kind == "extra_forbidden":
        return f"{place} is not a key of a machine; remove it or correct its name."
    message = str(first["msg"]).removeprefix("Value error, ")
    if not place:
        return f"{message}."
    given: Any = first["input"]
    return f"{place} is {given!r}, but {message[:1].lower()}{message[1:]}."
