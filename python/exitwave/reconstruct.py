"""The one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.chain import Chain
from exitwave.checkpoint import Resumed, Source, remove_checkpoint
from exitwave.chunk_warning import warn_of_chunks
from exitwave.counts import Counts, checked_data, counts_to_plan, read_counts
from exitwave.device_arrays import take_arguments
from exitwave.devices import (
    DescribedDevices,
    Lanes,
    choose_device,
    choose_lanes,
    free_device_bytes,
    host_is_device,
    is_gpu,
)
from exitwave.division import Division, divide
from exitwave.errors import InvalidArgument
from exitwave.launcher import launched_processes
from exitwave.memory_limit import MemoryLimits, free_host_bytes, resolve_limits
from exitwave.memory_plan import EnginePlan
from exitwave.output import checked_output, cupy_for
from exitwave.parameters import Parameters, check_flat_regions, validate_params
from exitwave.positions import margin_px, position_limit
from exitwave.ranks import ALONE, Ranks
from exitwave.result import Result
from exitwave.start_probe import with_geometry

if TYPE_CHECKING:
    from exitwave.io import Dataset


def ptychography(
    data: Any,
    obj: Any = None,
    probe: Any = None,
    pos: Any = None,
    mask: Any = None,
    params: dict[str, Any] | Parameters | None = None,
) -> Result:
    """Reconstruct object and probe from diffraction patterns.

    Parameters
    ----------
    data : array, shape (N, Y, X), h5py.Dataset, or path
        Detector counts, zero frequency at (Y // 2, X // 2). Unsigned integers and float32 are used
        as they are. A path is read with :func:`exitwave.load`; what the file lacks can be given by
        the other arguments, which win over the file. Arrays may be of any library that has DLPack
        or CUDA's array interface, and stay on a GPU where the run is there.
    obj : complex64, shape (A, B) or (K, A, B), optional
        Start object, K incoherent modes; of a thick object (``slice_distances_m`` in
        ``params["propagation"]``) (A, B), (S, A, B) or (K, S, A, B), upstream slice first. None:
        ones, as large as the scan needs.
    probe : complex64, shape (Y, X) or (M, Y, X), or dict, optional
        Start probe, M incoherent modes, centred in the window. A dict describes optics, such as
        ``{"kind": "zone_plate", "diameter_m": 1e-4, "outer_zone_m": 5e-8}``, see :doc:`probes`.
        None: made from the data.
    pos : float64, shape (N, 2), pixels
        (row, column) of each window's top-left corner in the object; fractions count. Positions
        that reach outside a given object are refused.
    mask : bool, shape (Y, X), optional
        True = valid. What stands at other pixels does not matter.
    params : dict, optional
        See :doc:`parameters`. None, or without "engines": a default chain, which is printed.

    Returns
    -------
    Result
        Unpacks as ``O, P = result``. The object has the dimensions that were given, and one more
        each for modes and for slices that the run has added.

    Raises
    ------
    InvalidArgument
        Bad input, refused before any work, in a sentence that names the argument.
    DeviceError
        The device does not exist here.
    DivergenceError
        An engine diverged; the error holds the state so far.
    """
    ranks = ranks_of(params)
    with ranks.together(), _scan_of(ranks, data, obj, probe, pos, mask, params) as scan:
        if _left_out(params):
            _name_engines(scan.params, ranks)
        result = reconstruct(*scan.arrays, scan.params, scan.source, ranks=ranks)
        remove_checkpoint(scan.params, result.stopped, ranks)
    return result


def ranks_of(params: dict[str, Any] | Parameters | None) -> Ranks:
    """The processes that share a run with these parameters, which need not be checked yet.

    Raises
    ------
    DeviceError
        This process belongs to an MPI job that it cannot take part in.
    """
    given = params.get("comm") if isinstance(params, dict) else getattr(params, "comm", None)
    if given is False or (given is None and launched_processes() < 2):
        return ALONE
    if given is not None:
        validate_params({"comm": given})
    from exitwave.mpi import find_ranks

    return find_ranks(given)


def reconstruct(
    data: Any,
    obj: Any,
    probe: Any,
    pos: Any,
    mask: Any,
    params: Parameters,
    source: Source,
    resumed: Resumed | None = None,
    ranks: Ranks = ALONE,
    intensities: npt.NDArray[np.float64] | None = None,
) -> Result:
    """The work of :func:`ptychography` and of :func:`resume`, which leaves the checkpoint.

    ``intensities`` of the frames (N,) are what a first engine that refines them begins with.
    """
    params = params.model_copy(update={"device": choose_device(params.device, ranks)})
    ranks.agree(lambda: checked_output(params.output, params.device, ranks.size))
    ranks.agree(lambda: cupy_for(params.output))
    given = (data, obj, probe, pos, mask)
    data, obj, probe, pos, mask = ranks.agree(
        lambda: take_arguments(*given, stays=is_gpu(params.device) and ranks.size == 1)
    )
    division = divide_scan(data, obj, pos, _with_parts(params, resumed), ranks)
    limits = ranks.agree(lambda: memory_limits(params, ranks=ranks))
    counts = read_counts(data, mask, limits.host, division)
    if ranks.first:
        in_groups = any("group_size" in type(engine).model_fields for engine in params.engines)
        warn_of_chunks(counts, in_groups=in_groups)
    left = _without(limits, counts, data)
    chain = Chain(counts, left, obj, probe, division, params, source=source, resumed=resumed)
    if resumed is None:
        chain.intensities = intensities
    result = chain.run()
    result.source = source.name
    result.pixel_size_m = source.pixel_size_m
    return result


def _with_parts(params: Parameters, resumed: Resumed | None) -> Parameters:
    """Parameters with the parts of a resumed run, which stay as they were."""
    if resumed is None:
        return params
    return params.model_copy(update={"parts": resumed.checkpoint.parts})


def _name_engines(params: Parameters, ranks: Ranks) -> None:
    if params.progress is not False and ranks.first:
        engines = " ".join(f"{engine.name}:{engine.iterations}" for engine in params.engines)
        print(f"exitwave: no engines given, running the default chain {engines}")


def _source_of(data: Any) -> Source:
    of_h5py = type(data).__module__.startswith("h5py")  # which need not be loaded
    if not of_h5py or not data:
        return Source()
    return Source(path=str(Path(data.file.filename).resolve()), dataset=data.name)


def divide_scan(
    data: Any,
    obj: Any,
    pos: Any,
    params: Parameters,
    ranks: Ranks = ALONE,
    devices: DescribedDevices | None = None,
) -> Division:
    """The parts of a scan, from what :func:`ptychography` was given.

    Raises
    ------
    InvalidArgument
        Data, positions, object and parameters do not fit each other.
    """
    lanes = ranks.agree(lambda: _lanes(data, params, ranks, devices))
    # The same number on all ranks, whatever machine they are on.
    lanes = replace(lanes, parts=-int(ranks.largest(-lanes.parts)))

    def cut() -> Division:
        frames, *shape = checked_data(data).shape
        frame_shape = (shape[0], shape[1])
        validate_params(params, frame_shape=frame_shape)
        if pos is None:
            raise InvalidArgument(
                "pos is None, but each frame needs a position; give (N, 2) pixels."
            )
        margin = margin_px(position_limit(params.engines))
        division = divide(obj, pos, frames, frame_shape, lanes, ranks, margin)
        check_flat_regions(params, division.object_shape)
        return division

    return ranks.agree(cut)


def _lanes(data: Any, params: Parameters, ranks: Ranks, devices: DescribedDevices | None) -> Lanes:
    frames = checked_data(data).shape[0]
    if devices is not None:
        return devices.lanes(params.parts, params.batch, frames)
    return choose_lanes(
        params.device, params.parts, params.batch, frames, params.deterministic, ranks
    )


def memory_limits(
    params: Parameters, devices: DescribedDevices | None = None, ranks: Ranks = ALONE
) -> MemoryLimits:
    if devices is None:
        device = choose_device(params.device)
        free = free_host_bytes()
        return resolve_limits(
            params.memory_limit,
            host_is_device=host_is_device(device),
            device_free=free_device_bytes(device, ranks),
            host_free=None if free is None else free // ranks.on_node,
        )
    return resolve_limits(
        params.memory_limit,
        host_is_device=False,
        device_free=devices.memory_bytes,
        host_free=devices.host_bytes,
    )


def _without(limits: MemoryLimits, counts: Counts, data: Any) -> MemoryLimits:
    """What counts that were read into memory leave of a limit."""
    if not counts.in_memory or counts.data is data or limits.host is None:
        return limits
    return replace(limits, host=max(1, limits.host - counts.bytes_in_memory))


@dataclass(frozen=True)
class _Scan:
    """Arguments of the one call, completed by the file that they name."""

    arrays: tuple[Any, Any, Any, Any, Any]  # data, obj, probe, pos, mask
    params: Parameters
    source: Source


@contextmanager
def _scan_of(
    ranks: Ranks, data: Any, obj: Any, probe: Any, pos: Any, mask: Any, params: Any
) -> Iterator[_Scan]:
    """The scan, while its file is open."""
    if not isinstance(data, str | Path):
        checked = ranks.agree(lambda: validate_params(params))
        yield _Scan((data, obj, probe, pos, mask), checked, _source_of(data))
        return
    from exitwave.io import load

    with ranks.agree(lambda: load(data)) as dataset:
        known = None if dataset.geometry is None else dataset.geometry.propagation()
        checked = ranks.agree(
            lambda: validate_params(params, propagation=known, frame_shape=dataset.frame_shape)
        )
        arrays = (
            dataset.data,
            dataset.object if obj is None else obj,
            dataset.probe if probe is None else with_geometry(probe, dataset.geometry),
            dataset.positions_px if pos is None else pos,
            dataset.mask if mask is None else mask,
        )
        yield _Scan(arrays, checked, source_of_file(dataset, {}))


def source_of_file(dataset: Dataset, options: dict[str, Any]) -> Source:
    """How a scan that was loaded with these options is found again."""
    return Source(
        path=str(Path(dataset.source).resolve()),
        name=dataset.source,
        load=options,
        pixel_size_m=None if dataset.geometry is None else dataset.geometry.pixel_size_m,
    )


def _left_out(params: Any) -> bool:
    return params is None or (isinstance(params, dict) and params.get("engines") is None)


@dataclass(frozen=True)
class Plan:
    """What a reconstruction would hold, engine by engine.

    Attributes
    ----------
    engines : list of EnginePlan
    counts_bytes : int
        Counts in the host's memory, the caller's own included; 0 where they stay in a file.
    arrays_bytes : int
        Object and probe, at the start and as result, in the host's memory.
    device_arrays_bytes : int
        The same on a GPU, where the result stays there.
    """

    engines: list[EnginePlan]
    counts_bytes: int
    arrays_bytes: int
    device_arrays_bytes: int = 0

    @property
    def device_bytes(self) -> int:
        """Most that a device holds at one time."""
        return self.device_arrays_bytes + max(engine.device_bytes for engine in self.engines)

    @property
    def host_bytes(self) -> int:
        """Most that the host holds for it at one time, counts included."""
        engines = max(engine.host_bytes for engine in self.engines)
        return self.counts_bytes + self.arrays_bytes + engines


def plan(
    data: Any,
    obj: Any = None,
    probe: Any = None,
    pos: Any = None,
    mask: Any = None,
    params: dict[str, Any] | Parameters | None = None,
    devices: DescribedDevices | None = None,
) -> Plan:
    """Say beforehand what memory a reconstruction needs; a run with the same arguments keeps to it.

    Parameters
    ----------
    data : array, h5py.Dataset or path
        Only its shape and type are looked at: for data that do not exist yet,
        ``np.broadcast_to(np.uint16(0), (N, Y, X))`` will do.
    obj, probe, pos, mask, params
        As for :func:`ptychography`.
    devices : DescribedDevices or None
        GPUs that need not be there, see :func:`exitwave.described_devices`; None: the device of
        ``params``.

    Raises
    ------
    InvalidArgument
        As :func:`ptychography` would.
    OutOfMemory
        The limit does not even hold blocks of one frame.
    """
    with _scan_of(ALONE, data, obj, probe, pos, mask, params) as scan:
        return _plan(*scan.arrays, scan.params, devices)


def _plan(
    data: Any,
    obj: Any,
    probe: Any,
    pos: Any,
    mask: Any,
    params: Parameters,
    devices: DescribedDevices | None,
) -> Plan:
    params = params.model_copy(update={"device": choose_device(params.device)})
    on_gpus = devices is not None or is_gpu(params.device)
    checked_output(params.output, "cuda" if on_gpus else params.device, 1)
    data, obj, probe, pos, mask = take_arguments(data, obj, probe, pos, mask, stays=on_gpus)
    limits = memory_limits(params, devices)
    counts = counts_to_plan(data, mask, limits.host, on_gpus=on_gpus)
    left = _without(limits, counts, data)
    division = divide_scan(data, obj, pos, params, devices=devices)
    chain = Chain(counts, left, obj, probe, division, params, planning=True)
    there = chain.arrays_bytes if params.output == "device" else 0
    return Plan(chain.plan(), counts.bytes_in_memory, chain.arrays_bytes, there)
