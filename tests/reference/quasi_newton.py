"""Directions of ML by L-BFGS (Nocedal, Math. Comput. 35, 773 (1980); two-loop recursion)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from reference.model import Complex, Real
from reference.projections import guarded_ratio

Pair = tuple[Complex, Complex]  # object, probe

# A pair counts if <s, y> is above this fraction of what Cauchy and Schwarz allow.
LEAST_COSINE = 0.05


def inner(left: Pair, right: Pair) -> float:
    """Re <left, right> over object and probe together."""
    return float(sum(np.vdot(x, y).real for x, y in zip(left, right, strict=True)))


def plus(left: Pair, factor: float, right: Pair) -> Pair:
    """left + factor right"""
    return left[0] + factor * right[0], left[1] + factor * right[1]


def divided(field: Pair, weight: tuple[Real, Real]) -> Pair:
    return guarded_ratio(field[0], weight[0]), guarded_ratio(field[1], weight[1])


@dataclass
class Change:
    """What an iteration changed, s, and how the gradient changed with it, y."""

    s: Pair
    y: Pair
    curvature: float  # <s, y>
    weighted: float  # <y, y / weight>
    size: float  # <s, weight s>

    @property
    def counts(self) -> bool:
        return self.curvature > LEAST_COSINE * np.sqrt(self.size * self.weighted)


@dataclass
class Lbfgs:
    """The last `history` changes, and where the last gradient was taken."""

    history: int
    changes: list[Change] = field(default_factory=list)  # newest first
    place: Pair | None = None
    gradient: Pair | None = None
    probe_moved: bool = False

    def direction(
        self,
        place: Pair,
        gradient: Pair,
        weight: tuple[Real, Real],
        restrict: Callable[[Pair], Pair],
        update_probe: bool,
    ) -> Pair:
        """h = -H g, from H0 = scale restrict(g / weight), with scale <s, y> / <y, y / weight> of
        the newest pair that counts.

        `restrict`: to the probe's supports. Starts again when the probe starts or stops moving.
        """
        if update_probe != self.probe_moved:
            self.changes.clear()
            self.place = None
        if self.place is not None:
            self._remember(place, gradient, weight, update_probe)
        self.place, self.gradient, self.probe_moved = place, gradient, update_probe
        used = [change for change in self.changes if change.counts]
        q, taken = gradient, []
        for change in used:
            taken.append(inner(change.s, q) / change.curvature)
            q = plus(q, -taken[-1], change.y)
        scale = used[0].curvature / used[0].weighted if used else 1.0
        z = restrict(divided(q, weight))
        h = scale * z[0], scale * z[1]
        for change, alpha in zip(reversed(used), reversed(taken), strict=True):
            h = plus(h, alpha - inner(change.y, h) / change.curvature, change.s)
        return -h[0], -h[1]

    def _remember(self, place: Pair, gradient: Pair, weight, update_probe: bool) -> None:
        assert self.place is not None
        assert self.gradient is not None
        s, y = plus(place, -1, self.place), plus(gradient, -1, self.gradient)
        if not update_probe:
            s, y = (s[0], 0 * s[1]), (y[0], 0 * y[1])
        size = inner(s, (weight[0] * s[0], weight[1] * s[1]))
        self.changes.insert(0, Change(s, y, inner(s, y), inner(y, divided(y, weight)), size))
        del self.changes[self.history :]
