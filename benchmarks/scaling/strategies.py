"""Ways to spread a scan over devices; each gives the prediction of the package's cost model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from exitwave.partition import spatial_order
from exitwave.topology import Job, Machine, Prediction, all_reduce, predict
from exitwave.topology.cost import compute_seconds

Index = npt.NDArray[np.int64]

_KMEANS_ROUNDS = 10


def tiles(job: Job, machine: Machine, devices: int) -> Prediction:
    """Ours: recursive bisection down the machine's levels."""
    return _predicted(job, machine, devices, None)


def scattered_tiles(job: Job, machine: Machine, devices: int) -> Prediction:
    """The same parts, on devices at random: what a run without knowledge of the links may get."""
    parts = tiles(job, machine, devices).parts
    order = np.random.default_rng(0).permutation(devices)
    return _predicted(job, machine, devices, [parts[i] for i in order])


def stripes(job: Job, machine: Machine, devices: int) -> Prediction:
    """Equal numbers of frames along the rows' axis."""
    order = np.argsort(job.positions[:, 0], kind="stable")
    return _predicted(job, machine, devices, np.array_split(order, devices))


def clusters(job: Job, machine: Machine, devices: int) -> Prediction:
    """K-means of the positions; clusters are numbered along the spatial order of their centres.

    Without that order, which is a kindness, neighbours would be on devices at random. Devices whose
    cluster is empty have no work.
    """
    random = np.random.default_rng(0)
    start = job.positions[random.choice(job.frames, devices, replace=False)]
    centres, label = kmeans2(
        job.positions, start, iter=_KMEANS_ROUNDS, minit="matrix", missing="warn"
    )
    parts = [np.flatnonzero(label == number) for number in spatial_order(centres)]
    return _predicted(job, machine, devices, [part for part in parts if len(part)])


def replicas(job: Job, machine: Machine, devices: int) -> Prediction:
    """The whole object on every device, and its sums added up over all of them."""
    ours = tiles(job, machine, devices)
    pixels = math.prod(ours.halo.object_shape)
    whole = np.full(devices, pixels, dtype=np.int64)
    memory = replace(
        ours.memory,
        object=ours.memory.object / ours.halo.tile_pixels * pixels,
        halo=np.zeros(devices),
    )
    return replace(
        ours,
        memory=memory,
        compute_seconds=compute_seconds(job, machine, ours.parts, whole),
        object_traffic=all_reduce(machine, devices, job.object_sum_bytes * pixels),
    )


Strategy = Callable[[Job, Machine, int], Prediction]
STRATEGIES: dict[str, Strategy] = {
    "tiles (ours)": tiles,
    "stripes": stripes,
    "k-means": clusters,
    "replicas": replicas,
}


def _predicted(job: Job, machine: Machine, devices: int, parts: list[Index] | None) -> Prediction:
    nodes = -(-devices // machine.devices_per_node)
    return predict(
        job, machine, nodes, devices=devices if parts is None else len(parts), parts=parts
    )
