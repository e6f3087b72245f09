"""Every mistake in the parameters is named in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from exitwave.errors import InvalidArgument
from exitwave.parameters import Key, engine_keys, validate_params

NEAR = {"regime": "near", "wavelength_m": 1e-10, "distance_m": 0.5, "pixel_size_m": 1e-7}


def engine(name: str, **keys: object) -> dict[str, object]:
    return {"engines": [{"name": name, **keys}]}


def key_id(key: Key) -> str:
    return f"{key.owner}.{key.name}"


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
