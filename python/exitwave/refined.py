"""What a run found out about its own geometry: values, how they got there, how sure they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Refined:
    """A number, or a few that belong together, under refinement.

    Attributes
    ----------
    value : float64, 0-d or shape of what is refined
    uncertainty : float64, same shape
        One standard deviation that counting noise alone leaves, from the curvature of the misfit
        along it; what is wrong with the model comes on top. Infinite where it is not known.
    history : float64, shape (steps + 1, ...)
        The value at the start and after each step.
    """

    value: Float64
    uncertainty: Float64
    history: Float64


@dataclass
class Refinements:
    """All that a run refines besides object, probe and positions; kept in checkpoints.

    Attributes
    ----------
    histories : dict of lists
        Name (with its unit) -> values so far.
    uncertainties : dict
        Name -> uncertainty of the last value.
    """

    histories: dict[str, list[Any]] = field(default_factory=dict)
    uncertainties: dict[str, Any] = field(default_factory=dict)

    def begin(self, name: str, value: Any) -> None:
        """From the value at the start, unless it has been refined before; anew where the object has
        other slices now."""
        if np.shape(self.histories.get(name, [value])[-1]) != np.shape(value):
            del self.histories[name]
        self.histories.setdefault(name, [value])

    def add(self, name: str, value: Any, uncertainty: Any) -> None:
        self.histories[name].append(value)
        self.uncertainties[name] = uncertainty

    @property
    def present(self) -> dict[str, Any]:
        """Name -> value."""
        return {name: values[-1] for name, values in self.histories.items()}

    def last(self, name: str, default: float) -> float:
        """The present value of a number; the default where it was never refined."""
        return float(self.histories.get(name, [default])[-1])

    def results(self) -> dict[str, Refined]:
        """Of everything that was refined at least once."""
        return {
            name: Refined(
                np.asarray(self.histories[name][-1], np.float64),
                np.asarray(uncertainty, np.float64),
                np.asarray(self.histories[name], np.float64),
            )
            for name, uncertainty in self.uncertainties.items()
        }

    def standing(self) -> dict[str, dict[str, Float64]]:
        """As a checkpoint holds it."""
        return {
            name: {"history": found.history, "uncertainty": found.uncertainty}
            for name, found in self.results().items()
        }

    @classmethod
    def from_standing(cls, standing: dict[str, dict[str, Float64]]) -> Refinements:
        histories = {name: list(kept["history"]) for name, kept in standing.items()}
        return cls(histories, {name: kept["uncertainty"] for name, kept in standing.items()})
