"""What is known of the object beforehand: a penalty, its gradient, and a step towards less of it.

    R = sum_r  2 tv |D q|_e + smoothness |D q|^2 + 2 l1 |c|_e + l2 |c|^2 + reweighted log |c|_f^2

q is the object (empty: 1) or its phase (empty: 0), c = q - empty, |x|_e^2 = |x|^2 + e^2, and D q
the differences to the next row and column, between reached pixels only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.model import Complex, Real

FLAT = 0.01  # e
SPARSE = 0.1  # f


@dataclass(frozen=True)
class Prior:
    touched: np.ndarray  # (A, B) bool
    tv: float = 0.0
    smoothness: float = 0.0
    l1: float = 0.0
    reweighted_l1: float = 0.0
    l2: float = 0.0
    of_phase: bool = False

    def contrast(self, obj: Complex) -> Complex:
        return np.angle(obj) if self.of_phase else obj - 1

    def differences(self, obj: Complex) -> tuple[Complex, Complex]:
        """q(r) - q(r + e) down and to the right, 0 at the last row or column."""
        down, right = np.zeros_like(obj), np.zeros_like(obj)
        if self.of_phase:
            down[..., :-1, :] = np.angle(obj[..., :-1, :] * obj[..., 1:, :].conj())
            right[..., :-1] = np.angle(obj[..., :-1] * obj[..., 1:].conj())
        else:
            down[..., :-1, :] = obj[..., :-1, :] - obj[..., 1:, :]
            right[..., :-1] = obj[..., :-1] - obj[..., 1:]
        rows, columns = self.edges()
        return down * rows, right * columns

    def edges(self) -> tuple[Real, Real]:
        rows, columns = np.zeros(self.touched.shape), np.zeros(self.touched.shape)
        rows[:-1] = self.touched[1:] & self.touched[:-1]
        columns[:, :-1] = self.touched[:, 1:] & self.touched[:, :-1]
        return rows, columns

    def penalty(self, obj: Complex) -> float:
        down, right = self.differences(obj)
        rough = np.abs(down) ** 2 + np.abs(right) ** 2
        power = np.abs(self.contrast(obj)) ** 2
        total = 2 * self.tv * np.sqrt(rough + FLAT**2) + self.smoothness * rough
        total = total + 2 * self.l1 * np.sqrt(power + FLAT**2) + self.l2 * power
        total = total + self.reweighted_l1 * np.log(power + SPARSE**2)
        return float(total[..., self.touched].sum())

    def slope(self, obj: Complex) -> tuple[Complex, Real]:
        """Half of dR / dq, and the sum of the weights of the quadratic that touches R."""
        down, right = self.differences(obj)
        edge = self.edge_weight(down, right)
        own = self.pixel_weight(obj)
        rows, columns = (edge * e for e in self.edges())
        gradient, weight = own * self.contrast(obj), own + rows + columns
        gradient = gradient + edge * (down + right)
        gradient[..., 1:, :] -= (edge * down)[..., :-1, :]
        gradient[..., 1:] -= (edge * right)[..., :-1]
        weight[..., 1:, :] += rows[..., :-1, :]
        weight[..., 1:] += columns[..., :-1]
        return gradient, weight

    def edge_weight(self, down: Complex, right: Complex) -> Real:
        rough = np.abs(down) ** 2 + np.abs(right) ** 2
        return self.smoothness + self.tv / np.sqrt(rough + FLAT**2)

    def pixel_weight(self, obj: Complex) -> Real:
        power = np.abs(self.contrast(obj)) ** 2
        own = self.l2 + self.l1 / np.sqrt(power + FLAT**2)
        return own + self.reweighted_l1 / (power + SPARSE**2)

    def gradient(self, obj: Complex) -> Complex:
        """dR / d conj(O), at reached pixels."""
        slope = self.slope(obj)[0]
        if self.of_phase:
            slope = slope.real * 1j * obj / np.abs(obj) ** 2
        return np.where(self.touched, slope, 0)

    def terms(self, obj: Complex, direction: Complex) -> tuple[float, float]:
        """(R1, R2) of the touching quadratic along a direction."""
        change = direction
        if self.of_phase:
            change = (obj.conj() * direction).imag / np.abs(obj) ** 2 + 0j
        linear = Prior(self.touched)
        down, right = self.differences(obj)
        edge, own = self.edge_weight(down, right), self.pixel_weight(obj)
        d_down, d_right = linear.differences(change)
        inner = (down.conj() * d_down + right.conj() * d_right).real
        r1 = 2 * edge * inner + 2 * own * (np.conj(self.contrast(obj)) * change).real
        r2 = edge * (np.abs(d_down) ** 2 + np.abs(d_right) ** 2) + own * np.abs(change) ** 2
        return float(r1[..., self.touched].sum()), float(r2[..., self.touched].sum())

    def step(self, obj: Complex) -> Complex:
        """One Jacobi step to the minimum of |q' - q|^2 + R(q')."""
        gradient, weight = self.slope(obj)
        change = -gradient / (1 + weight)
        new = obj * np.exp(1j * change.real) if self.of_phase else obj + change
        return np.where(self.touched, new, obj)


def smoothed_probe(probe: Complex, strength: float) -> Complex:
    """One Jacobi step to the minimum of |P' - P|^2 + strength |D P'|^2 over the window."""
    wide = np.pad(probe, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    return probe + strength / (1 + 4 * strength) * (around - 4 * probe)


def one_material(obj: Complex, kappa: float) -> Complex:
    """log O = (kappa + i) t with the t that comes closest."""
    t = (kappa * np.log(np.abs(obj)) + np.angle(obj)) / (1 + kappa**2)
    return np.exp((kappa + 1j) * t)


def material_ratio(obj: Complex, lit) -> float:
    """kappa of log|O| = kappa arg O by least squares, weighted by |O|^2, where it is lit."""
    seen = np.abs(obj) ** 2 * lit
    phase = np.angle(obj)
    return float((seen * np.log(np.abs(obj)) * phase).sum() / (seen * phase**2).sum())


def positive(obj: Complex, of: str) -> Complex:
    """Negative real parts, or phases of the wrong sign, become zero."""
    if of == "real":
        return np.maximum(obj.real, 0) + 1j * obj.imag
    sign = 1 if of == "phase" else -1
    return np.where(sign * obj.imag >= 0, obj, np.abs(obj))


def flattened(obj: Complex, flat, touched) -> Complex:
    """Each mode's mean where the object is flat: in a region, or wherever it is so bright."""
    result = obj.copy()
    for k, mode in enumerate(obj):
        inside = touched & (flat if isinstance(flat, np.ndarray) else np.abs(mode) >= flat)
        result[k][inside] = mode[inside].mean()
    return result
