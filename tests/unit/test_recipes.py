"""Parameters as text: chains of engines in a line, recipes in files."""

from __future__ import annotations

import pytest

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.parameters import parse_engines, read_recipe, validate_params


def test_engines_are_read_from_text():
    assert parse_engines("DM:200 ML:100,noise=poisson,probe_start=none") == [
        {"name": "DM", "iterations": 200},
        {"name": "ML", "iterations": 100, "noise": "poisson", "probe_start": None},
    ]
    assert parse_engines("epie raar,beta=9e-1,object_clip=0,1.2") == [
        {"name": "ePIE"},
        {"name": "RAAR", "beta": 0.9, "object_clip": (0, 1.2)},
    ]


def test_groups_of_engines_are_repeated():
    names = [entry["name"] for entry in parse_engines("2*(DM:2 2*(ML:3)) AP:1")]

    assert names == ["DM", "ML", "ML", "DM", "ML", "ML", "AP"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "engines is ''; it must name at least one engine"),
        ("DM;3", "engines has 'DM;3'; an engine must be written as NAME:ITERATIONS,key=value"),
        ("(DM:3", "engines has '(DM:3'; an engine must be written"),
        ("DM:", "engines[0].iterations is ''; it must be a whole number"),
        ("DM:2.5", "engines[0].iterations is 2.5; it must be a whole number"),
        ("DM:5,beta", "engines has 'beta' in 'DM:5,beta', where key=value must stand"),
        ("DM:5,iterations=3", "engines has iterations twice in 'DM:5,iterations=3'"),
        ("AP:5 DM:5,noise=poisson", "engines[1].noise is not used by DM, only by ML"),
        ("0*(DM:3)", "a group must be repeated at least once"),
        ("999*(999*(DM:3))", "at most 1000 engines"),
        ("12345*(DM:3)", "engines has '12345*(DM:3)'; an engine must be written"),
    ],
)
def test_text_that_is_no_chain_of_engines_is_refused(text, message):
    with pytest.raises(InvalidArgument) as caught:
        parse_engines(text)

    assert message in str(caught.value)


def test_recipe_gives_parameters_and_options_of_load(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'seed = 3\n[load]\nbin = 2\n[propagation]\nregime = "far"\n'
        '[[engines]]\nname = "DM"\niterations = 5\nprobe_start = "none"\n'
    )

    recipe = read_recipe(path)

    assert recipe.load == {"bin": 2}
    used = validate_params(recipe.params)
    assert (used.seed, used.engines[0].iterations, used.engines[0].probe_start) == (3, 5, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed = ", "is not valid TOML"),
        ("load = 3", r"has load = 3; it must be a table \[load\]"),
        (None, "cannot be read: No such file"),
    ],
)
def test_recipe_that_cannot_be_read_is_refused(tmp_path, content, message):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(FileFormatError, match=message):
        read_recipe(path)
