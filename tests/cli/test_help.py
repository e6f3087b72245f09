"""Help, versions, and what the command line loads."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from dataclasses import fields

import pytest

import exitwave
from exitwave.cli import group
from exitwave.config import configuration
from exitwave.io.options import Options

COMMANDS = ["compare", "demo", "info", "plan", "rechunk", "run", "simulate"]


def test_help_lists_every_command_and_the_exit_codes(command):
    outcome = command("--help")

    assert outcome.code == 0
    assert re.findall(r"^  (\w+)  +[A-Z]", outcome.out, re.MULTILINE) == COMMANDS
    assert "Exit codes: 0 success" in outcome.out


def test_without_arguments_the_help_is_shown(command):
    assert command() == command("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_an_example_that_is_a_valid_command_line(command, name):
    outcome = command(name, "--help")

    _, found, example = " ".join(outcome.out.split()).partition(f"Example: exitwave {name}")
    assert outcome.code == 0
    assert found
    with group.commands[name].make_context(name, shlex.split(example)) as context:
        assert context.params


def test_every_option_of_load_can_be_given():
    of_load = {field.name for field in fields(Options)}

    for name in ("run", "info", "plan"):
        given = [option.name for option in group.commands[name].params]
        assert {n.removeprefix("load_") for n in given if n.startswith("load_")} == of_load


def test_every_option_of_simulate_exists():
    known = inspect.signature(exitwave.simulate).parameters
    own = {"output", "overwrite", "debug"}

    assert {option.name for option in group.commands["simulate"].params} - own <= set(known)


def test_version_is_printed(command):
    assert command("--version").out == f"exitwave, version {exitwave.__version__}\n"


def test_help_is_fast_because_it_loads_no_numerics():
    heavy = ["numpy", "scipy", "h5py", "pydantic", "matplotlib", "rich"]
    code = f"import sys, exitwave.cli; print([name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert loaded.stdout == "[]\n"


def test_info_without_a_file_shows_what_this_installation_computes_with(command):
    outcome = command("info")

    shown = dict(re.split(r"  +", line, maxsplit=1) for line in outcome.out.splitlines())
    assert outcome.code == 0
    assert shown == configuration()
    assert list(shown) == [
        "exitwave", "Python", "libraries", "compiler", "SIMD", "threads", "FFT", "GPU", "MPI",
    ]  # fmt: skip
    assert not [fact for fact in shown.values() if "unknown" in fact]


def test_show_config_prints_the_same_as_info(command, capsys):
    exitwave.show_config()

    assert capsys.readouterr().out == command("info").out


def test_show_config_says_when_the_compiled_core_is_missing():
    code = (
        "import sys; sys.modules['exitwave._core'] = None; import exitwave; exitwave.show_config()"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    for label in ("compiler", "SIMD", "FFT", "GPU"):
        assert f"\n{label:<11}unknown: the compiled core exitwave._core is missing" in shown.stdout
