"""What a reconstruction returns, and what it shows on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.probe_relaxation import RelaxedProbe
from exitwave.refined import Refined

if TYPE_CHECKING:
    from exitwave.object_parts import ObjectParts

Complex64 = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]


@dataclass
class Result:
    """Object, probe and everything that led to them; unpacks as ``O, P = result``.

    Attributes
    ----------
    object : complex64, shape as given, or (A, B), or (K, A, B) for K object modes;
        (S, A, B) or (K, S, A, B) of a thick object
    probe : complex64, shape (M, Y, X), square root of counts per pixel
        NumPy arrays, or with output "device" CuPy arrays.
    positions : float64, shape (N, 2), pixels
        (row, column) of each window's top-left corner in ``object``.
    errors : list of float64 arrays
        One per engine: Fourier error of the model ``P O`` at the start of each iteration.
    error : float
        Fourier error of the final model.
    engines : list of str
        Names of the engines, parallel to ``errors``.
    params : dict
        Every parameter used, defaults included.
    seconds : float
        Wall time of the run.
    stopped : str or None
        None, or why the run ended before its last iteration: "callback", "interrupted" (Ctrl-C),
        "terminated" (SIGTERM) or "time_limit".
    pixel_size_m : (float, float) or None
        Object pixel (row, column), where the geometry is known.
    source : str or None
        File the data came from.
    start : dict of arrays
        Start values: "object", "probe", "positions".
    intensities : float64, shape (N,), or None
        Intensity of each frame relative to the model ``P O``, where the last engine refined it; the
        mean of their square roots is 1.
    relaxed_probe : RelaxedProbe or None
        ``eigen_probes`` (K, M, Y, X) and ``weights`` (N, K), by which the probes of frames differ
        from ``probe``, their mean, where the last engine relaxed it; see :meth:`frame_probe`.
    background : float32, shape (Y, X), counts, or None
        What each frame has beside the waves, where an engine refined it (``background_start``).
    refined : dict of Refined
        What was refined besides: "distance_m", "defocus_m", "slice_distances_m" (S - 1),
        "beam_tilt_rad" (2), "kappa", and "scan_map", the (2, 2) map of the given positions on the
        refined ones. Each has ``value``, ``uncertainty`` and ``history``.
    parts : ObjectParts or None
        None, or, under MPI, which part of the object this process has (``parts.box``); its object
        is that part unless ``parts.whole_here``.
    """

    object: Complex64
    probe: Complex64
    positions: Float64
    errors: list[Float64]
    error: float
    engines: list[str]
    params: dict[str, Any]
    seconds: float
    stopped: str | None = None
    pixel_size_m: tuple[float, float] | None = None
    source: str | None = None
    start: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    intensities: Float64 | None = None
    relaxed_probe: RelaxedProbe | None = None
    background: npt.NDArray[np.float32] | None = None
    refined: dict[str, Refined] = field(default_factory=dict)
    parts: ObjectParts | None = field(default=None, repr=False, compare=False)

    @property
    def transmission(self) -> Complex64:
        """The object, (A, B) or (K, A, B); of a thick one the product of its slices."""
        product: Complex64 = self.object.prod(axis=-3) if self.thick else self.object
        return product

    def frame_probe(self, frame: int) -> Complex64:
        """The probe (M, Y, X) of one frame, intensity included where that was refined."""
        probe = np.asarray(self.on_host().probe)
        if self.relaxed_probe is not None:
            weights = self.relaxed_probe.weights[frame]
            probe = probe + np.tensordot(weights, self.relaxed_probe.eigen_probes, axes=1)
        factor = 1.0 if self.intensities is None else np.sqrt(self.intensities[frame])
        return np.asarray(factor * probe, np.complex64)

    @property
    def thick(self) -> bool:
        """Whether the object has an axis of slices."""
        return self.params.get("propagation", {}).get("slice_distances_m") is not None

    @property
    def slices(self) -> int:
        """Of a thick object; 1 of a thin one."""
        return int(self.object.shape[-3]) if self.thick else 1

    def on_host(self) -> Result:
        """The same with NumPy arrays, where ``output`` has left object and probe on a GPU."""
        if all(isinstance(array, np.ndarray) for array in self):
            return self
        from exitwave.device_arrays import on_host

        obj, probe = on_host("object", self.object), on_host("probe", self.probe)
        return replace(self, object=obj, probe=probe)

    def __iter__(self) -> Iterator[Complex64]:
        yield self.object
        yield self.probe
