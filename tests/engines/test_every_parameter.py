"""Every parameter does something, and those that promise to change nothing do not.

The cases come from the schema, so that a new parameter is tested from its first day.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exitwave
from exitwave.parameters import ENGINES, Key, call_keys, engine_keys, propagation_keys
from small_scan import PROPAGATIONS, SmallScan, relative, small_scan

# A change is at least this large (rounding is ten thousand times smaller) ...
SEEN = 1e-3
SLIGHTLY_SEEN = 1e-4
# ... and what must not change the result may change the order of additions.
ROUNDING = 1e-5

# X-ray lengths, at which each of the alternatives matters; for the difference between the
# propagators the waves must be as long as the pixels.
_X_RAYS = {
    "regime": "near",
    "wavelength_m": 1e-10,
    "distance_m": 0.02,
    "pixel_size_m": (1e-7, 1.3e-7),
}
# Parameters that another one must be given with.
_NEEDS = {
    "checkpoint_every": {"checkpoint": "run.checkpoint"},
    "checkpoint_minutes": {"checkpoint": "run.checkpoint"},
}
_THICK = {
    "regime": "far",
    "wavelength_m": 5e-7,
    "pixel_size_m": 1e-6,
    "slice_distances_m": [2e-5],
}
_PROPAGATION = {
    "method": PROPAGATIONS["near"],
    "beam_tilt_rad": _X_RAYS | {"slice_distances_m": [1e-3]},
}


# What is refined beside object and probe.
REFINED_EVERY_FEW = {"map", "distance", "defocus", "slice_distance", "tilt"}
REFINED = REFINED_EVERY_FEW | {"position", "intensity", "background", "kappa"}


def case(key: Key) -> str:
    return f"{key.owner}.{key.name}"


@cache
def scan_of(regime: str) -> SmallScan:
    """Two probe modes; the start probe is off centre, too strong, and too wide."""
    scan = small_scan(regime, 2, noise=True)
    probe = 1.3 * np.roll(scan.probe, (2, -3), (1, 2))
    return SmallScan(**(vars(scan) | {"probe": probe}))


def run(
    engine: dict[str, Any], propagation: dict[str, Any] | None = None, **params: Any
) -> exitwave.Result:
    propagation = propagation or {"regime": "far"}
    scan = scan_of(propagation["regime"])
    given = {"engines": [engine], "propagation": propagation, "device": "cpu:1", "parts": 1}
    return exitwave.ptychography(
        scan.data, scan.obj[0], scan.probe, scan.positions, scan.mask, given | params
    )


def base_engine(name: str) -> dict[str, Any]:
    return {"name": name, "iterations": 6}


def acting_engine(key: Key) -> dict[str, Any]:
    """An engine on which the parameter acts: those of what is refined need that it is, a refined
    defocus needs a probe that is held, a tilt an object that is, and that of what is known of the
    object something known."""
    acts: dict[str, Any] = {}
    unknown = key.name.partition("_")[0]
    unknown = "slice_distance" if key.name.startswith("slice_distance") else unknown
    if unknown in REFINED and not key.name.endswith("_start"):
        acts = {f"{unknown}_start": 0}
    if key.name.endswith("_stop") and unknown in REFINED_EVERY_FEW:
        acts |= {f"{unknown}_every": 2}
    if key.name in ("probe_relaxation_stop", "probe_relaxation_modes"):
        acts = {"probe_relaxation_start": 0}
    if unknown == "defocus":
        acts |= {"probe_start": None}
    if unknown == "tilt":
        acts |= {"object_start": 5}
    if key.name == "object_prior_of":
        acts = {"object_tv": 0.1}
    if unknown == "kappa":
        acts |= {"object_kappa": 0.3}
    if key.name == "constraint_every":
        acts = {"object_clip": (0.2, 0.7), "iterations": 5}
    if key.name == "position_limit_px":
        acts = {"position_start": 1}
    if key.name == "history":
        acts = {"direction": "lbfgs"}
    return base_engine(key.owner) | acts


def acting_propagation(key: Key) -> dict[str, Any] | None:
    """Where there are slices; where lengths are refined, the near field with a wrong distance."""
    if key.name.startswith(("distance_", "defocus_")):
        return PROPAGATIONS["near"] | {"distance_m": 2.03e-5}
    return _THICK if key.name.startswith(("slice", "tilt_")) else None


@cache
def base_run(name: str) -> exitwave.Result:
    return run(base_engine(name))


def difference(one: exitwave.Result, two: exitwave.Result) -> float:
    """Of object, probe or positions (pixels), whichever is largest; infinite for other shapes."""
    if one.object.shape != two.object.shape or one.probe.shape != two.probe.shape:
        return np.inf
    moved = float(np.abs(one.positions - two.positions).max())
    return max(relative(one.object, two.object), relative(one.probe, two.probe), moved)


@pytest.mark.filterwarnings("ignore:.*supports cut")
@pytest.mark.filterwarnings("ignore:.*ended at position_limit_px")
@pytest.mark.parametrize("key", engine_keys(), ids=case)
def test_engine_parameter_changes_the_result(key: Key):
    assert key.changes_result
    assert key.alternative != key.default

    where = acting_propagation(key)
    one = run(acting_engine(key), where)
    other = run(acting_engine(key) | {key.name: key.alternative}, where)

    changed = difference(one, other)
    assert changed > (SLIGHTLY_SEEN if key.slight else SEEN)


@pytest.mark.parametrize("key", propagation_keys(), ids=case)
def test_propagation_parameter_changes_the_result(key: Key):
    assert key.changes_result
    base = _PROPAGATION.get(key.name, _X_RAYS)
    assert key.alternative != base.get(key.name, key.default)

    one = run(base_engine("ePIE"), base)
    other = run(base_engine("ePIE"), base | {key.name: key.alternative})

    changed = difference(one, other)
    assert changed > SEEN


@pytest.mark.parametrize("key", [k for k in call_keys() if k.changes_result], ids=case)
def test_call_parameter_changes_the_result(key: Key):
    assert key.alternative != key.default

    other = run(base_engine("ePIE"), **{key.name: key.alternative})

    changed = difference(base_run("ePIE"), other)
    assert changed > SEEN


# "output" needs a GPU, see test_device_arrays.py.
_PROMISED = [k for k in call_keys() if not k.changes_result and k.name != "output"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", _PROMISED, ids=case)
def test_call_parameter_that_promises_so_changes_nothing(
    key: Key, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    alternative = (lambda state: None) if key.name == "callback" else key.alternative
    assert alternative != key.default

    other = run(base_engine(engine), **_NEEDS.get(key.name, {}), **{key.name: alternative})

    changed = difference(base_run(engine), other)
    assert changed < ROUNDING
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ENGINES)
def test_result_tells_every_value_that_was_used(engine: str):
    """Defaults included; a run with what it tells is the same run."""
    result = base_run(engine)

    told = result.params["engines"][0]
    assert told["name"] == engine
    assert set(told) == {"name"} | {key.name for key in engine_keys() if key.owner == engine}
    defaults = {key.name: key.default for key in engine_keys() if key.owner == engine}
    assert {k: v for k, v in told.items() if defaults.get(k, v) != v} == {"iterations": 6}
    kept = {key.name for key in call_keys() if key.name not in ("callback", "comm")}
    assert set(result.params) == kept | {
        "engines",
        "propagation",
    }
    again = run(told, **{k: v for k, v in result.params.items() if k in ("seed", "scale_start")})
    assert difference(result, again) == 0


def test_near_field_result_tells_its_lengths():
    result = run(base_engine("AP"), _X_RAYS)

    told = result.params["propagation"]
    assert told == _X_RAYS | {
        "focus_distance_m": None,
        "method": "angular_spectrum",
        "slice_distances_m": None,
        "beam_tilt_rad": (0.0, 0.0),
    }
