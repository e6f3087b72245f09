"""What a case hands back, and the results file: one JSON line for each measurement."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    Attributes
    ----------
    case : str
        "group/name"; several measurements of a case differ in ``quantity``.
    quantity : str
        What ``value`` is.
    value : float
        Seconds where ``unit`` is "s"; not finite where a run diverged.
    target : float or None
        What must be reached: a limit of ``value``, or of ``ratio`` where ``judged`` says so. None:
        only reported.
    floor : float or None
        What ``value`` is compared with, in its unit: time of the Fourier transforms alone, error
        that counting statistics leave, bytes of the arrays that must be held.
    correct : bool
        Whether the reconstruction behind the value is right. A fast wrong one reaches nothing.
    details : dict
        Sizes, settings, further numbers; JSON types.
    """

    case: str
    quantity: str
    value: float
    unit: str = ""
    target: float | None = None
    judged: Literal["value", "ratio"] = "value"
    at_least: bool = False
    floor: float | None = None
    correct: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return None if not self.floor else self.value / self.floor

    @property
    def reached(self) -> bool | None:
        """None where there is no target."""
        if self.target is None:
            return None
        judged = self.value if self.judged == "value" else self.ratio
        if judged is None or not math.isfinite(judged) or not self.correct:
            return False
        return bool(judged >= self.target if self.at_least else judged <= self.target)


def to_line(measurement: Measurement, environment: dict[str, Any]) -> str:
    """One line of a results file; numbers that are not finite become null."""
    record = asdict(measurement) | {
        "ratio": measurement.ratio,
        "reached": measurement.reached,
        "environment": environment,
    }
    return json.dumps(_finite(record), allow_nan=False)


def append(path: Path, measurement: Measurement, environment: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(to_line(measurement, environment) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Records of a results file, oldest first.

    Raises
    ------
    ValueError
        A line is not a record; the message has its number.
    """
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            missing = {"case", "quantity", "value", "environment"} - record.keys()
        except (json.JSONDecodeError, AttributeError) as error:
            raise ValueError(f"{path.name}, line {number}: not a record ({error})") from error
        if missing:
            raise ValueError(f"{path.name}, line {number}: lacks {', '.join(sorted(missing))}")
        records.append(record)
    return records


def latest(records: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The last record of each (case, quantity)."""
    return {(record["case"], record["quantity"]): record for record in records}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
