"""What the options of an engine say of object and probe, and what is done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.ml import roughness_gradient
from reference.prior import (
    Prior,
    flattened,
    material_ratio,
    one_material,
    positive,
    smoothed_probe,
)


def blurred(obj: np.ndarray, width_px: float, touched) -> np.ndarray:
    """Diffusion within the touched pixels, which adds up to a Gaussian of that width."""
    steps = int(np.ceil(width_px**2 / 0.4))
    for _ in range(steps):
        obj = obj - width_px**2 / (2 * steps) * roughness_gradient(obj, touched)
    return obj


@dataclass(frozen=True)
class Known:
    """What is known of object and probe: in the loss of ML, else a step at an iteration's end."""

    touched: np.ndarray
    lit: np.ndarray  # in the middle half of some window
    ml: bool
    prior: Prior | None
    positivity: str | None
    kappa: float | None
    flat: Any
    probe_smoothness: float
    kappa_start: int | None
    blur_px: float
    every: int

    def due(self, iteration: int) -> bool:
        return (iteration + 1) % self.every == 0

    def in_loss(self, power: float, frames: int) -> dict[str, Any]:
        illumination = power * frames / self.touched.sum()
        return {"prior": self.prior, "illumination": illumination}

    def applied(self, obj: np.ndarray, probe: np.ndarray, moves: bool, iteration: int) -> Any:
        if not self.due(iteration):
            return obj, probe
        if moves and self.probe_smoothness:
            probe = smoothed_probe(probe, self.probe_smoothness)
        if self.prior is not None and not self.ml:
            obj = self.prior.step(obj)
        obj = blurred(obj, self.blur_px, self.touched)
        return self.limited(obj, iteration), probe

    def kappa_of(self, obj: np.ndarray, iteration: int) -> float | None:
        if self.kappa_start is None or iteration < self.kappa_start:
            return self.kappa
        return material_ratio(obj, self.lit)

    def limited(self, obj: np.ndarray, iteration: int) -> np.ndarray:
        kappa = self.kappa_of(obj, iteration)
        if kappa is not None:
            obj = np.where(self.touched, one_material(obj, kappa), obj)
        if self.positivity is not None:
            obj = np.where(self.touched, positive(obj, self.positivity), obj)
        if self.flat is not None:
            obj = flattened(obj, self.flat, self.touched)
        return obj


def known_of(given: dict[str, Any], touched: np.ndarray, lit: np.ndarray, in_loss: bool) -> Known:
    """Takes its options from those of an engine."""
    of_phase = given.pop("object_prior_of", "object") == "phase"
    names = {"tv": "object_tv", "l1": "object_l1", "l2": "object_l2"}
    names |= {"reweighted_l1": "object_reweighted_l1"}
    if of_phase or not in_loss:
        names["smoothness"] = "smoothness"
    strengths = {ours: given.pop(theirs, 0.0) for ours, theirs in names.items()}
    prior = Prior(touched, **strengths, of_phase=of_phase)
    return Known(
        touched,
        lit,
        in_loss,
        prior if any(strengths.values()) else None,
        given.pop("object_positivity", None),
        given.pop("object_kappa", None),
        given.pop("object_flat", None),
        given.pop("probe_smoothness", 0.0),
        given.pop("kappa_start", None),
        given.pop("object_blur_px", 0.0),
        given.pop("constraint_every", 1),
    )
