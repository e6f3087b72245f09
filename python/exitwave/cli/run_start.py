"""``exitwave run --start``: what a run takes from an earlier result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exitwave.errors import InvalidArgument

if TYPE_CHECKING:
    from exitwave.io import Dataset
    from exitwave.parameters import Parameters
    from exitwave.result import Result


def load_start(start: Path, dataset: Dataset) -> Result:
    """A result of the same scan.

    Raises
    ------
    InvalidArgument
        It has other frames.
    """
    from exitwave.io import load_result

    before = load_result(start)
    if len(before.positions) != len(dataset.positions_px):
        raise InvalidArgument(
            f"start {start} has {len(before.positions)} positions, but {dataset.source} has "
            f"{len(dataset.positions_px)} frames; start from a result of the same scan."
        )
    return before


def with_slices_of(before: Result, given: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Parameters as given, with what lies between the slices of the result's object, unless they
    say it themselves."""
    found = before.params.get("propagation", {})
    own = given.get("propagation") or {}
    if found.get("slice_distances_m") is None or "slice_distances_m" in own:
        return given
    taken = {key: found[key] for key in ("slice_distances_m", "beam_tilt_rad") if key in found}
    dataset.notes.append("slice_distances_m and beam_tilt_rad are those of the start result.")
    return given | {"propagation": taken | own}


def check_slices(before: Result, start: Path, params: Parameters) -> None:
    """Refuse a start whose slices would be taken for modes, or modes for slices."""
    distances = before.params.get("propagation", {}).get("slice_distances_m")
    thick = params.propagation.slice_distances_m is not None
    if distances is not None and not thick:
        raise InvalidArgument(
            f"start {start} has a thick object of shape {before.object.shape}, but the run has no "
            f"slice_distances_m; give it in [propagation] of a recipe, there it was {distances}."
        )
    if distances is None and thick and before.object.ndim > 2 and len(before.object) > 1:
        raise InvalidArgument(
            f"start {start} has {len(before.object)} modes of a thin object, which a run with "
            "slice_distances_m would take for slices; start from a result with one mode."
        )


def with_lengths_of(before: Result, params: Parameters, dataset: Dataset) -> Parameters:
    """What the result's object and probe were found with: in the near field the distance; of a
    thick object the distances between slices and the tilt, where they were refined."""
    known = params.propagation
    names = ("slice_distances_m", "beam_tilt_rad") if known.slice_distances_m is not None else ()
    for name in names:
        if name in before.refined:
            found = tuple(before.refined[name].value.tolist())
            dataset.notes.append(f"{name} is that of the start result, {found}.")
            params = _with_length(params, name, found)
    return _with_distance_of(before, params, dataset)


def _with_distance_of(before: Result, params: Parameters, dataset: Dataset) -> Parameters:
    known = params.propagation
    found = before.params.get("propagation", {}).get("distance_m")
    if "distance_m" in before.refined:
        found = float(before.refined["distance_m"].value)
    if known.regime == "far" or found is None or found == known.distance_m:
        return params
    dataset.notes.append(
        f"distance_m is that of the start result, {found:g}, not {known.distance_m:g}."
    )
    return _with_length(params, "distance_m", found)


def _with_length(params: Parameters, name: str, value: Any) -> Parameters:
    moved = params.propagation.model_copy(update={name: value})
    return params.model_copy(update={"propagation": moved})


def mask_misfits(dataset: Dataset, before: Result, start: Path) -> None:
    """Take the pixels that the start result cannot explain out of the mask, with a note."""
    from exitwave.prepare import find_misfits

    bad = find_misfits(dataset.data, before, dataset.mask).bad
    dataset.mask = ~bad if dataset.mask is None else dataset.mask & ~bad
    dataset.notes.append(f"{int(bad.sum())} pixels that contradict {start} are masked.")
