"""What an engine does per frame and iteration, and what it keeps: counted from the core's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.topology.halo import Halo

Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

PROJECTIONS = ("AP", "DM", "RAAR")
PIES = ("ePIE", "rPIE", "mPIE")
# Engines that update object and probe after each group of frames.
IN_GROUPS = (*PIES, "LSQML", "gradient")
ENGINES = (*PROJECTIONS, *PIES, "ML", "LSQML", "gradient")
# Engines whose detector step reads and writes exit waves that are kept.
STORES_WAVES = ("DM", "RAAR")
# Engines whose sum of |O|^2 is taken in the pass itself.
WEIGHS_PROBE = (*IN_GROUPS, "ML")
# Engines that work with several slices.
THROUGH_SLICES = (*PIES, "ML", "LSQML", "gradient")
# Engines that need the probe and its direction under each frame once more.
SHIFTS_DIRECTION = ("ML", "LSQML")

# What Adam keeps of a pixel: mean and mean square of past steps, and how much of them was seen.
ADAM_BYTES = 20

# A transform goes over rows and over columns, and reads and writes 8 bytes per pixel in each.
TRANSFORM_BYTES = 32


def transforms_per_frame(
    engine: str,
    modes: int = 1,
    near: bool = False,
    fractional: bool = False,
    object_modes: int = 1,
    slices: int = 1,
) -> int:
    """Transforms of a frame in an iteration that updates the probe.

    To the detector and back for each wave; ML's line search sends three more waves there. In the
    near field each way takes two. A fraction of a position shifts the probe under the frame, and
    where ML and LSQML look for their steps once more with its direction, and brings the probe's sum
    back: one transform each. From slice to slice each way takes two, and LSQML's look for its steps
    goes there once more.
    """
    ways = (5 if engine == "ML" else 2) * (2 if near else 1)
    ways += 2 * (slices - 1) * {"ML": 5, "LSQML": 3}.get(engine, 2)
    shifts = (4 if engine in SHIFTS_DIRECTION else 2) if fractional else 0
    return modes * (object_modes * ways + shifts)


def bytes_per_pixel(
    engine: str, modes: int = 1, count_bytes: int = 2, object_modes: int = 1, slices: int = 1
) -> dict[str, int]:
    """Bytes that each stage loads and stores per frame pixel, transforms apart.

    Whole positions, probe updated. From slice to slice waves are multiplied by the transfer
    function, and each slice has an exit wave and an overlap of its own. "memory" is the part that
    cannot stay in a cache from one iteration to the next: counts, and kept exit waves.
    """
    waves = modes * object_modes
    gaps = slices - 1
    stages = {
        "exit wave": 24 * slices * waves,
        "detector": count_bytes + 1 + 16 * waves,
        # Of the other slices: their sum, its weight, and the residual on its way back.
        "overlap": (64 + (32 + 16 + 24) * gaps) * waves,
        "weight": 16 if engine in WEIGHS_PROBE else 36,
    }
    if gaps:
        # To the next slice and back.
        stages["between slices"] = 2 * 24 * gaps * waves
    memory = count_bytes
    if engine in STORES_WAVES:
        stages["detector"] += 16 * waves
        memory += 16 * waves
    if engine == "ML":
        stages["line search"] = count_bytes + 1 + (24 + 40 + 24 + 24) * waves
        # Three waves to the next slice, and what it makes of them.
        stages["line search"] += (3 * 24 + 64) * gaps * waves
        memory += count_bytes
    if engine == "LSQML":
        stages["steps"] = (16 + 40) * waves
        # Residual behind the first slice kept, and the waves that meet the others; the change of
        # all slices made, taken to the next and through it, and compared with the residual.
        stages["steps"] += (16 + 24 + 16 + (16 + 24 + 40) * gaps) * waves if gaps else 0
    return stages | {"total": sum(stages.values()), "memory": memory}


@dataclass(frozen=True)
class Job:
    """A reconstruction, as far as its cost depends on it.

    Attributes
    ----------
    positions : float64, shape (N, 2), pixels of the object
    frame_shape : (int, int), pixels
    engine : str
    probe_modes, object_modes : int
    slices : int
        Of each object mode; 1: the object is thin.
    count_bytes : int
        1, 2 or 4 bytes of a detector count.
    near_field : bool
    group_size : int or None
        Frames per update of engines that work in groups; None: as the engine chooses it.
    batch : int
        Frames that a device takes through a step together.
    """

    positions: Float64
    frame_shape: tuple[int, int]
    engine: str = "DM"
    probe_modes: int = 1
    object_modes: int = 1
    slices: int = 1
    count_bytes: int = 2
    near_field: bool = False
    group_size: int | None = None
    batch: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", checks.positions("positions", self.positions))
        object.__setattr__(self, "frame_shape", checks.shape2("frame_shape", self.frame_shape))
        checks.choice("engine", self.engine, ENGINES)
        for name in ("probe_modes", "object_modes", "slices", "batch"):
            checks.whole(name, getattr(self, name))
        if self.count_bytes not in (1, 2, 4):
            raise InvalidArgument(f"count_bytes was {self.count_bytes}, but must be 1, 2 or 4.")
        if self.slices > 1 and self.engine not in THROUGH_SLICES:
            raise InvalidArgument(
                f"slices is {self.slices}, but {self.engine} works with one slice, and several are "
                f"for {', '.join(THROUGH_SLICES)}; leave it out."
            )
        if self.group_size is not None:
            checks.whole("group_size", self.group_size)
            if self.engine not in IN_GROUPS:
                raise InvalidArgument(
                    f"group_size is not used by {self.engine}, only by {', '.join(IN_GROUPS)}; "
                    "leave it out."
                )

    @property
    def frames(self) -> int:
        return len(self.positions)

    @property
    def frame_pixels(self) -> int:
        return self.frame_shape[0] * self.frame_shape[1]

    @cached_property
    def fractional(self) -> bool:
        return bool((self.positions != np.floor(self.positions)).any())

    @cached_property
    def frames_per_update(self) -> int:
        """All frames, but for engines that work in groups."""
        if self.engine not in IN_GROUPS:
            return self.frames
        from exitwave.core_options import automatic_group_size

        return min(self.group_size or automatic_group_size(self.frames), self.frames)

    @property
    def updates(self) -> int:
        """Updates of object and probe in an iteration."""
        return -(-self.frames // self.frames_per_update)

    @property
    def object_images(self) -> int:
        """Slices of all object modes."""
        return self.object_modes * self.slices

    @property
    def object_sum_bytes(self) -> int:
        """Sums of one object pixel: of each slice the numerators of all modes and their common
        weight."""
        return 8 * self.object_images + 4 * self.slices

    @property
    def probe_sum_bytes(self) -> int:
        """Sums of the probe; those of the projections hold one image more, a correction."""
        images = self.probe_modes + int(self.engine in PROJECTIONS)
        return (8 * images + 4) * self.frame_pixels

    @property
    def frame_bytes(self) -> float:
        """Bytes that a frame moves through the memory of a device in an iteration.

        Each stage reads and writes that memory: frames of a batch do not stay in the cache of a
        GPU. With a cache that holds the waves it is the traffic in that cache.
        """
        of_object = self.object_modes, self.slices
        transforms = transforms_per_frame(
            self.engine, self.probe_modes, self.near_field, self.fractional, *of_object
        )
        stages = bytes_per_pixel(self.engine, self.probe_modes, self.count_bytes, *of_object)
        shifts = 32 * self.probe_modes * (2 if self.fractional else 0)
        # An update of a group goes once over what the group reaches: object, sums and weight, in
        # and out; LSQML also over the direction, and gradient over what Adam keeps.
        images = self.object_images
        update = 2 * (8 + 8) * images + 8 * self.slices if self.engine in IN_GROUPS else 0
        update += 2 * 8 * images if self.engine == "LSQML" else 0
        update += 2 * ADAM_BYTES * images if self.engine == "gradient" else 0
        per_pixel = stages["total"] + TRANSFORM_BYTES * transforms + shifts + update
        return float(per_pixel * self.frame_pixels)

    @property
    def tile_bytes_moved(self) -> int:
        """Bytes that the update of all frames together moves per tile pixel."""
        if self.engine in IN_GROUPS:
            return 0
        if self.engine == "ML":
            return 2 * (5 * 8) * self.object_images + 8 * self.slices
        return 2 * (8 + 8) * self.object_images + 8 * self.slices + 12


@dataclass(frozen=True)
class Memory:
    """Bytes that each device holds, shape (P,) each.

    Attributes
    ----------
    counts : the frames, as they are measured
    waves : kept exit waves, 8 bytes per pixel and wave (DM and RAAR)
    object : the tile: object 8, sums 12, and what the engine keeps beside them
    probe : probe, its sums, and what follows from it
    halo : packed sums, sent and received
    scratch : what a batch needs on its way
    """

    counts: Float64
    waves: Float64
    object: Float64
    probe: Float64
    halo: Float64
    scratch: Float64

    @property
    def blocks(self) -> Float64:
        """What can be streamed, because each frame is met once in an iteration."""
        return self.counts + self.waves

    @property
    def fixed(self) -> Float64:
        """What must be on the device."""
        return self.object + self.probe + self.halo + self.scratch

    @property
    def total(self) -> Float64:
        return self.blocks + self.fixed


def memory_of(job: Job, halo: Halo, parts: Sequence[Index]) -> Memory:
    """Memory of each device.

    With K object modes of S slices, M probe modes, n frames of F = Y X pixels, and a tile of T
    pixels:

    ======= =======================================================================================
    counts  count_bytes n F
    waves   8 M K n F with DM and RAAR
    object  (8 K + 8 K + 4) S T; AP, DM, RAAR 12 T, ML and mPIE 16 K S T, LSQML 24 K S T,
            gradient (Adam) 20 K S T more
    probe   (8 M + sums + 1) F; 16 M F more with fractions of positions (spectrum, work), else 4 F;
            ML and LSQML 24 M F more for directions, and 8 M F with fractions; gradient (Adam)
            20 M F; near field 8 F; between slices 8 (S - 1) F; phases of fractions 8 n (Y + X)
    halo    (8 K + 4) S for each pixel sent, and received as owner
    scratch (8 M K S + 4) F for each frame of a batch; fractions 16 M F, ML 16 M K F more
            (fractions 8 M F); LSQML 8 M F with fractions, 8 M K F with slices, and residuals
            8 M K F for each frame of a group, with slices 8 M K (S + 1) F
    ======= =======================================================================================
    """
    M, K, F = job.probe_modes, job.object_modes, job.frame_pixels
    n = np.array([len(frames) for frames in parts], dtype=np.float64)
    tile = halo.tile_pixels.astype(np.float64)
    fractional, search = job.fractional, job.engine == "ML"
    directs = job.engine in SHIFTS_DIRECTION

    images = job.object_images
    per_tile = 8 * images + job.object_sum_bytes
    per_tile += 12 if job.engine in PROJECTIONS else 0
    per_tile += 16 * images if job.engine in ("ML", "mPIE") else 0
    per_tile += 24 * images if job.engine == "LSQML" else 0
    per_tile += ADAM_BYTES * images if job.engine == "gradient" else 0
    probe = job.probe_sum_bytes + (8 * M + 1) * F
    probe += 16 * M * F if fractional else 4 * F
    probe += (24 + 8 * fractional) * M * F if directs else 0
    probe += ADAM_BYTES * M * F if job.engine == "gradient" else 0
    probe += 8 * F if job.near_field else 0
    probe += 8 * (job.slices - 1) * F
    wave = 8 * M * K * job.slices + 4 + 16 * M * fractional
    wave += 16 * M * K if search else 0
    wave += 8 * M * fractional if directs else 0
    wave += 8 * M * K if job.engine == "LSQML" and job.slices > 1 else 0
    kept = job.slices + 1 if job.slices > 1 else 1
    residuals = 8.0 * M * K * kept * F * np.minimum(n, job.frames_per_update)
    sent, received = halo.pixels_of_parts()
    return Memory(
        counts=job.count_bytes * F * n,
        waves=8.0 * M * K * F * n if job.engine in STORES_WAVES else np.zeros_like(n),
        object=per_tile * tile,
        probe=probe + (8.0 * sum(job.frame_shape) * n if fractional else np.zeros_like(n)),
        halo=job.object_sum_bytes * (sent + received).astype(np.float64),
        scratch=job.batch * wave * F + (residuals if job.engine == "LSQML" else np.zeros_like(n)),
    )
