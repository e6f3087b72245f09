"""A probe for each frame: the probe, and eigen-probes that all frames share, by their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exitwave.start import orthogonal_modes, orthogonal_rotation

Complex64 = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class RelaxedProbe:
    """What the probe of a frame differs by: ``P_n = P + sum_k w_nk E_k``.

    Odstrcil et al., Opt. Express 24, 8360 (2016).

    Attributes
    ----------
    eigen_probes : complex64, shape (K, M, Y, X)
    weights : complex64, shape (N, K)
    """

    eigen_probes: Complex64
    weights: Complex64

    @classmethod
    def start(
        cls,
        probe: Complex64,
        count: int,
        frames: int,
        random: np.random.Generator,
        before: RelaxedProbe | None = None,
    ) -> RelaxedProbe:
        """``count`` eigen-probes: those of an engine before, the strongest first, then the probe
        times noise, of its power and without weight."""
        modes, power = len(probe), _power(probe)
        noise = random.standard_normal((2, count, *probe.shape))
        eigen = (noise[0] + 1j * noise[1]) * np.asarray(probe)
        eigen *= np.sqrt(power / np.maximum(_power(eigen, (1, 2, 3)), 1e-300))[:, None, None, None]
        weights = np.zeros((frames, count), np.complex64)
        if before is not None:
            kept = min(count, len(before.eigen_probes))
            eigen[:kept] = 0
            eigen[:kept, : before.eigen_probes.shape[1]] = before.eigen_probes[:kept, :modes]
            weights[:, :kept] = before.weights[:, :kept]
        return cls(eigen.astype(np.complex64), weights)

    def settled(self, probe: Complex64) -> tuple[Complex64, RelaxedProbe]:
        """The same probes of all frames by their mean, and eigen-probes that are orthogonal, of the
        mean's power, the strongest first, whose weights have the mean zero."""
        count, shape = len(self.eigen_probes), self.eigen_probes.shape
        weights = self.weights.astype(np.complex128)
        rows = self.eigen_probes.astype(np.complex128).reshape(count, -1)
        mean = weights.mean(axis=0)
        centre = np.asarray(probe) + (mean @ rows).reshape(shape[1:])
        basis, triangle = np.linalg.qr(rows.T)
        left, strengths, right = np.linalg.svd((weights - mean) @ triangle.T, full_matrices=False)
        eigen, found = right @ basis.T, left * strengths
        if len(eigen) < count:  # fewer frames than eigen-probes
            missing = count - len(eigen)
            eigen = np.concatenate([eigen, np.zeros((missing, eigen.shape[1]))])
            found = np.concatenate([found, np.zeros((len(found), missing))], axis=1)
        # Orthogonal images are free in phase: that of each weight is real in the mean square.
        turn = np.exp(0.5j * np.angle((found**2).sum(axis=0)))
        scale = np.sqrt(_power(centre))
        settled = RelaxedProbe(
            (eigen * (turn * scale)[:, None]).reshape(shape).astype(np.complex64),
            (found / (turn * max(scale, 1e-300))).astype(np.complex64),
        )
        return centre.astype(np.complex64), settled

    def mixed(self, rotation: npt.NDArray[np.complex128]) -> RelaxedProbe:
        """With the modes mixed as those of the probe are, by a unitary matrix (M, M)."""
        eigen = np.einsum("ml,klyx->kmyx", rotation, self.eigen_probes)
        return RelaxedProbe(eigen.astype(np.complex64), self.weights)


def orthogonalised(
    probe: Complex64, relaxed: RelaxedProbe | None, wanted: bool
) -> tuple[Complex64, RelaxedProbe | None]:
    """The probe by orthogonal modes, and what those of frames differ by in the same modes; as they
    are where this is not wanted."""
    if not wanted:
        return probe, relaxed
    if relaxed is not None:
        relaxed = relaxed.mixed(orthogonal_rotation(probe))
    return orthogonal_modes(probe), relaxed


def _power(images: npt.NDArray[np.generic], axis: tuple[int, ...] | None = None) -> np.float64:
    power: np.float64 = (np.abs(np.asarray(images, np.complex128)) ** 2).sum(axis=axis)
    return power
