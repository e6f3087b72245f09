"""What the parameters promise: every value visible, every mistake named in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exitwave.errors import InvalidArgument
from exitwave.parameters import (
    ENGINES,
    Key,
    call_keys,
    default_chain,
    engine_keys,
    parameter_table,
    propagation_keys,
    validate_params,
)

NEAR = {"regime": "near", "wavelength_m": 1e-10, "distance_m": 0.5, "pixel_size_m": 1e-7}
TABLE = Path(__file__).parents[2] / "docs" / "parameters.md"


def engine(name: str, **keys: object) -> dict[str, object]:
    return {"engines": [{"name": name, **keys}]}


def first_engine(params: dict[str, object]) -> dict[str, object]:
    return validate_params(params).to_dict()["engines"][0]


def key_id(key: Key) -> str:
    return f"{key.owner}.{key.name}"


# --- defaults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [None, {}, {"engines": None}])
def test_without_engines_the_default_chain_runs(params):
    names = [(entry.name, entry.iterations) for entry in validate_params(params).engines]

    assert names == [(entry["name"], entry["iterations"]) for entry in default_chain()]


@pytest.mark.parametrize("name", ENGINES)
def test_to_dict_has_every_key_of_the_engine_with_its_default(name):
    used = first_engine(engine(name))

    keys = [key for key in engine_keys() if key.owner == name]
    assert used == {"name": name} | {key.name: key.default for key in keys}


def four_of(unknown: str) -> str:
    """What controls the refinement of something that all frames have in common."""
    return " ".join(f"{unknown}_{key}" for key in ("start", "stop", "every", "step"))


def test_engines_have_the_keys_of_the_contract_and_no_others():
    every = (
        "iterations probe_start probe_every probe_modes object_modes object_inertia probe_inertia "
        "probe_support probe_fourier_support probe_power object_clip object_positivity "
        "object_kappa object_flat object_tv smoothness object_l1 object_reweighted_l1 object_l2 "
        "object_prior_of probe_smoothness probe_centring "
        "position_start position_stop position_every position_step position_max_step_px "
        "position_limit_px position_affine position_search_px "
        "kappa_start kappa_stop object_blur_px constraint_every "
    ) + " ".join(map(four_of, ("map", "distance", "defocus")))
    projection = "power_bound"
    sliced = f"slices slice_smoothness {four_of('slice_distance')}"
    pie = f"{sliced} group_size object_step probe_step"
    alphas = "object_alpha probe_alpha"
    likelihood = "noise point_spread_px"
    background = "background_start background_stop background_smooth_px"
    own = {
        "AP": [projection],
        "DM": [projection, "beta exit_wave_storage"],
        "RAAR": [projection, "beta exit_wave_storage"],
        "ePIE": [pie],
        "rPIE": [pie, alphas],
        "mPIE": [pie, alphas, "momentum momentum_period"],
        "ML": [
            sliced,
            likelihood,
            background,
            "direction history",
            "probe_relaxation_start probe_relaxation_stop probe_relaxation_modes",
        ],
        "LSQML": [
            sliced,
            likelihood,
            "group_size object_step probe_step momentum intensity_start intensity_stop",
        ],
        "gradient": [
            f"{sliced} {likelihood} {background} {four_of('tilt')} group_size",
            "object_optimiser probe_optimiser object_rate probe_rate",
            "object_schedule probe_schedule position_schedule object_start object_stop probe_stop",
            "step_memory square_memory",
        ],
    }
    assert set(own) == set(ENGINES)
    for name, groups in own.items():
        expected = set(" ".join([every, *groups]).split())
        assert {key.name for key in engine_keys() if key.owner == name} == expected


def test_to_dict_starts_the_same_run_and_can_be_saved():
    params = {
        "engines": [{"name": "rPIE", "object_clip": (0, 1.5)}, {"name": "ML"}],
        "propagation": NEAR,
        "seed": 7,
    }

    used = validate_params(params).to_dict()

    assert validate_params(used).to_dict() == used
    assert validate_params(json.loads(json.dumps(used))).to_dict() == used


def test_engines_may_stand_in_a_tuple():
    assert validate_params({"engines": ({"name": "DM"},)}).engines[0].name == "DM"


def test_params_are_not_changed():
    params = {"engines": None, "propagation": dict(NEAR)}

    validate_params(params)

    assert params == {"engines": None, "propagation": NEAR}


# --- accepted values ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", engine_keys(), ids=key_id)
def test_alternative_of_every_engine_key_is_valid_and_differs_from_the_default(key):
    known: dict[str, object] = {"object_tv": 0.1} if key.name == "object_prior_of" else {}
    known |= {"object_kappa": 0.3} if key.name.startswith("kappa_") else {}
    known |= {"object_clip": (0, 1)} if key.name == "constraint_every" else {}
    known |= {"direction": "lbfgs"} if key.name == "history" else {}
    known |= {"probe_relaxation_start": 0} if key.name.startswith("probe_relaxation_") else {}
    for unknown in (
        *("position", "intensity", "background", "kappa"),
        *("map", "distance", "defocus", "slice_distance", "tilt"),
    ):
        known |= {f"{unknown}_start": 0} if key.name.startswith(f"{unknown}_") else {}
    known |= {"probe_start": None} if key.name.startswith("defocus_") else {}
    known |= {"object_start": 3} if key.name.startswith("tilt_") else {}
    params = engine(key.owner, **(known | {key.name: key.alternative}))
    # Slices are refused in a thin object, and lengths along the beam where there are none.
    thick = (
        {"propagation": NEAR | {"slice_distances_m": 1e-6}}
        if key.name.startswith(("slice", "tilt"))
        else {}
    )
    near = {"propagation": NEAR} if key.name.startswith(("distance", "defocus")) else {}

    used = first_engine(params | thick | near)

    assert used[key.name] == key.alternative != key.default


@pytest.mark.parametrize("key", call_keys(), ids=key_id)
def test_alternative_of_every_key_of_the_call_is_valid(key):
    # Times between checkpoints are refused without a checkpoint.
    needed = {"checkpoint": "run"} if key.name.startswith("checkpoint_") else {}

    used = validate_params(needed | {key.name: key.alternative})

    assert getattr(used, key.name) == key.alternative
    assert key.alternative != key.default or not key.changes_result


@pytest.mark.parametrize("key", propagation_keys(), ids=key_id)
def test_alternative_of_every_key_of_the_propagation_is_valid(key):
    # A tilt is refused in a thin object.
    needed = {"slice_distances_m": 1e-6} if key.name == "beam_tilt_rad" else {}
    params = {"propagation": NEAR | needed | {key.name: key.alternative}}

    used = validate_params(params).to_dict()["propagation"]

    assert used[key.name] == key.alternative != key.default


def test_numpy_scalars_become_python_numbers():
    used = first_engine(
        engine(
            "DM",
            iterations=np.int64(5),
            beta=np.float32(0.5),
            probe_support=np.float64(0.5),
            object_clip=np.array([0.0, 2.0]),
        )
    )

    values = [used["iterations"], used["beta"], used["probe_support"], *used["object_clip"]]
    assert values == [5, 0.5, 0.5, 0.0, 2.0]
    assert [type(value) for value in values] == [int, float, float, float, float]


def test_one_pixel_size_stands_for_rows_and_columns():
    assert validate_params({"propagation": NEAR}).propagation.pixel_size_m == (1e-7, 1e-7)


def test_support_array_is_a_copy_with_the_shape_of_a_frame():
    support = np.zeros((3, 5), bool)
    support[1, 1:4] = True
    params = engine("AP", probe_support=support)

    kept = validate_params(params, frame_shape=(3, 5)).engines[0].probe_support
    support[:] = False

    assert kept.sum() == 3
    with pytest.raises(InvalidArgument, match=r"probe_support is an array of shape \(3, 5\)"):
        validate_params(engine("AP", probe_support=~support), frame_shape=(5, 3))


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:12", "emulated", "cuda", "cuda:0,3"])
def test_known_devices_are_accepted(device):
    assert validate_params({"device": device}).device == device


# --- propagation and the geometry of a file -----------------------------------------------------


@pytest.mark.parametrize("given", [None, {}, {"regime": "near"}])
def test_geometry_of_the_file_is_used_where_params_leave_it_out(given):
    params = {} if given is None else {"propagation": given}

    assert validate_params(params, propagation=NEAR).propagation.distance_m == 0.5


def test_method_completes_the_geometry_of_the_file():
    params = {"propagation": {"method": "fresnel"}}

    used = validate_params(params, propagation=NEAR).propagation

    assert (used.method, used.distance_m) == ("fresnel", 0.5)


def test_lengths_never_come_from_both_params_and_file():
    given = {"regime": "near", "distance_m": 1.0}

    with pytest.raises(InvalidArgument, match=r"propagation\.wavelength_m is missing"):
        validate_params({"propagation": given}, propagation=NEAR)


def test_regime_of_params_wins_over_the_file():
    params = {"propagation": {"regime": "far"}}

    assert validate_params(params, propagation=NEAR).propagation.regime == "far"


# --- refusals -----------------------------------------------------------------------------------

REFUSED = [
    (3, "params is 3; it must be a dict or None"),
    ({"engine": []}, "engine is not a key of params; did you mean 'engines'?"),
    ({1: 2}, "1 is not a key of params; known are engines, propagation, "),
    ({"beta": 1.0}, "beta is no key of params itself; move it into an entry of engines"),
    ({"distance_m": 1.0}, "distance_m is no key of params itself; move it into propagation"),
    ({"engines": []}, "engines is []; it must be a list with at least one engine"),
    ({"engines": "DM"}, "engines is 'DM'; it must be a list"),
    ({"engines": {"name": "DM"}.items()}, "it must be a list with at least one engine"),
    ({"engines": ["DM"]}, "engines[0] is 'DM'; it must be a dict with \"name\" (AP, "),
    ({"engines": [{}]}, "engines[0].name is missing; it must be AP, DM, RAAR, ePIE, rPIE, "),
    (engine("DMM"), "engines[0].name is 'DMM'; it must be AP, DM, RAAR, "),
    (engine("epie"), "did you mean 'ePIE'?"),
    (
        engine("DM", noise="poisson"),
        "engines[0].noise is not used by DM, only by ML, LSQML, gradient; leave it out",
    ),
    (engine("ML", beta=0.5), "engines[0].beta is not used by ML, only by DM, RAAR; leave it out"),
    (engine("DM", itertions=5), "engines[0].itertions is not a key of DM; did you mean 'iter"),
    (engine("DM", device="cpu"), "engines[0].device is no key of an engine; move it to the top"),
    (engine("DM", iterations=0), "engines[0].iterations is 0; it must be a whole number of at"),
    (engine("DM", iterations=True), "engines[0].iterations is True; it must be a whole number"),
    (engine("DM", iterations=2.5), "engines[0].iterations is 2.5; it must be a whole number"),
    (engine("DM", beta=float("nan")), "engines[0].beta is nan; it must be a number above 0 and"),
    (engine("DM", beta="1"), "engines[0].beta is '1'; it must be a number above 0 and at most 1"),
    (engine("DM", beta=False), "engines[0].beta is False; it must be a number"),
    (engine("ML", noise="poison"), "engines[0].noise is 'poison'; it must be \"poisson\", "),
    (engine("AP", object_clip=[1, 0.5]), "engines[0].object_clip is [1, 0.5]; it must be None, or"),
    (engine("AP", object_clip=[0, "a"]), "engines[0].object_clip is [0, 'a']; it must be"),
    (engine("AP", object_clip=2), "engines[0].object_clip is 2; it must be"),
    (
        engine("AP", object_flat=np.ones((3, 4))),
        "engines[0].object_flat is an array of shape (3, 4)",
    ),
    (
        engine("AP", object_prior_of="phase"),
        "engines[0].object_prior_of is 'phase', but none of smoothness, object_tv, object_l1, "
        "object_reweighted_l1, object_l2 is above 0; set one of them, or leave it out.",
    ),
    (
        engine("AP", position_search_px=1.5),
        "engines[0].position_search_px is 1.5, but position_start is None; set position_start, or "
        "leave position_search_px out.",
    ),
    (engine("AP", position_affine=0.5, map_start=3), "position_affine is 0.5, but position_start"),
    (
        engine("AP", position_max_step_px=0.5),
        "engines[0].position_max_step_px is 0.5, but position_start and map_start are None; set "
        "position_start or map_start, or leave",
    ),
    (
        engine("AP", map_step=0.5, position_start=0),
        "engines[0].map_step is 0.5, but map_start is None; set map_start, or leave map_step out.",
    ),
    (
        engine("AP", iterations=5, map_start=5),
        "engines[0].map_start is 5, but the engine has 5 iterations, counted from 0; set it to",
    ),
    (engine("AP", iterations=5, position_start=9), "engines[0].position_start is 9, but the"),
    (
        engine("gradient", object_start=4, object_stop=4),
        "engines[0].object_stop is 4, but object_start is 4, so that nothing is updated; set "
        "object_stop to more, or to None.",
    ),
    (
        engine("gradient", probe_start=None, probe_stop=4),
        "engines[0].probe_stop is 4, but probe_start is None, so that nothing is updated",
    ),
    (
        engine("DM", map_start=4, map_stop=4),
        "engines[0].map_stop is 4, but map_start is 4, so that nothing is updated; set map_stop",
    ),
    (
        engine("rPIE", slice_distance_start=0),
        "engines[0].slice_distance_start is 0, but nothing says how far slices are apart; give",
    ),
    (
        engine("AP", position_limit_px=3.0),
        "engines[0].position_limit_px is 3.0, but position_start and map_start are None; set",
    ),
    (
        engine("AP", kappa_start=3),
        "engines[0].kappa_start is 3, but object_kappa is None; set object_kappa, or leave",
    ),
    (
        engine("ML", constraint_every=3, object_tv=0.1),
        "engines[0].constraint_every is 3, but none of object_clip, object_positivity, "
        "object_kappa, object_flat, object_blur_px, probe_smoothness, slice_smoothness is set; "
        "set one of them, or leave it out.",
    ),
    (
        engine("ML", history=3),
        "engines[0].history is 3, but direction is 'conjugate', which keeps no pairs; set "
        'direction to "lbfgs", or leave history out.',
    ),
    (engine("AP", probe_support=0), "engines[0].probe_support is 0; it must be None, a radius"),
    (engine("AP", probe_support=1.6), "engines[0].probe_support is 1.6; it must be"),
    (
        engine("AP", probe_support=np.ones((3, 4))),
        "engines[0].probe_support is an array of shape (3, 4) and type float64; it must be",
    ),
    (
        engine("AP", probe_support=np.zeros((3, 4), bool)),
        "engines[0].probe_support is an array of shape (3, 4) and type bool without a True; it",
    ),
    ({"propagation": "near"}, "propagation is 'near'; it must be a dict with \"regime\" (far or"),
    ({"propagation": {}}, "propagation.regime is missing; it must be far or near"),
    ({"propagation": {"regime": "fat"}}, "propagation.regime is 'fat'; it must be far or near"),
    (
        {"propagation": {"regime": "far", "distance_m": 1.0}},
        'propagation.distance_m is not used in the far field; set regime to "near" or leave it',
    ),
    (
        {"propagation": {"regime": "near"}},
        "propagation.wavelength_m is missing; it must be a number above 0 and below 1e-3, in "
        "metres (and 2 more: propagation.distance_m, propagation.pixel_size_m)",
    ),
    ({"propagation": NEAR | {"pixel_size_m": [1e-7, 0]}}, "propagation.pixel_size_m is [1e-07, 0]"),
    ({"propagation": NEAR | {"focus_m": 1.0}}, "did you mean 'focus_distance_m'?"),
    (
        {"propagation": NEAR, **engine("ePIE", probe_centring=2)},
        "engines[0].probe_centring is 2; it must be None in the near field",
    ),
    ({"device": "gpu"}, 'device is \'gpu\'; it must be "auto", "cpu"'),
    ({"device": "cpu:0"}, "device is 'cpu:0'; it must be"),
    ({"parts": 0}, "parts is 0; it must be None, or a whole number of at least 1"),
    ({"seed": -1}, "seed is -1; it must be a whole number of at least 0"),
    ({"progress": 1}, "progress is 1; it must be True, False or None"),
    ({"callback": 3}, "callback is 3; it must be a function or None"),
]


@pytest.mark.parametrize(("params", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refusal_says_in_one_sentence_what_is_wrong(params, message):
    with pytest.raises(InvalidArgument) as caught:
        validate_params(params)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))
    assert caught.value.__cause__ is None


def test_the_second_engine_is_named_by_its_index():
    params = {"engines": [{"name": "DM"}, {"name": "ML", "smoothness": -1}]}

    with pytest.raises(InvalidArgument, match=r"^engines\[1\]\.smoothness is -1; it must be"):
        validate_params(params)


@pytest.mark.parametrize("key", engine_keys(), ids=key_id)
def test_every_engine_key_refuses_a_value_of_a_wrong_kind(key):
    for wrong in ({"a": 1}, "three", object()):
        with pytest.raises(InvalidArgument, match=rf"engines\[0\]\.{key.name} is .*must be"):
            validate_params(engine(key.owner, **{key.name: wrong}))


# --- documentation ------------------------------------------------------------------------------


def test_committed_table_is_up_to_date():
    assert TABLE.read_text(encoding="utf-8") == parameter_table()


def test_table_is_written_by_its_command(tmp_path):
    path = tmp_path / "parameters.md"

    subprocess.run([sys.executable, "-m", "exitwave.parameters", str(path)], check=True)

    assert path.read_text(encoding="utf-8") == parameter_table()


def test_every_key_is_documented():
    table = parameter_table()

    for key in [*call_keys(), *propagation_keys(), *engine_keys()]:
        assert f"| `{key.name}` |" in table
        assert key.meaning in table


def test_lengths_of_a_file_are_kept_where_defocus_is_refined():
    """A thin object in the far field has no use for them otherwise."""
    known = {"regime": "far", "wavelength_m": 1e-10, "pixel_size_m": (1e-8, 1e-8)}
    engine = {"name": "rPIE", "iterations": 3}
    refining = engine | {"probe_start": None, "defocus_start": 0}

    found = validate_params({"engines": [engine, refining]}, propagation=known).propagation
    without = validate_params({"engines": [engine]}, propagation=known).propagation

    assert (found.wavelength_m, found.pixel_size_m) == (1e-10, (1e-8, 1e-8))
    assert (without.wavelength_m, without.pixel_size_m) == (None, None)
