"""Whatever is wrong: one line on standard error, an exit code, and nothing left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

USAGE = [
    (["fly"], "exitwave: No such command 'fly'; see 'exitwave --help'"),
    (["run"], "exitwave: Missing argument 'FILE'; see 'exitwave run --help'"),
    (["run", "scan.h5", "--engins", "DM"], "No such option '--engins'"),
    (["run", "none.h5"], "exitwave: none.h5: the file does not exist"),
    (["run", "scan.h5", "--engines", "DMM:5"], "did you mean 'DM'?"),
    (["run", "scan.h5", "--engines", "DM:0"], "engines[0].iterations is 0; it must be"),
    (["run", "scan.h5", "--engines", "DM:5,noise=poisson"], "noise is not used by DM, only by ML"),
    (["run", "scan.h5", "--probe-modes", "0"], "engines[0].probe_modes is 0; it must be"),
    (["run", "scan.h5", "--device", "tpu"], "device is 'tpu'; it must be"),
    (["run", "scan.h5", "--parts", "0"], "parts is 0; it must be"),
    (["run", "scan.h5", "--seed", "-1"], "seed is -1; it must be"),
    (["run", "scan.h5", "-o", "none/out.h5"], "is in a folder that does not exist; make it first"),
    (["run", "scan.h5", "-o", "."], "output . is a folder; name a file in it"),
    (["run", "scan.h5", "-o", "half.h5"], "output half.h5 exists; add --overwrite or name another"),
    (["run", "scan.h5", "-o", "scan.h5", "--overwrite"], "output scan.h5 is an input of this run"),
    (["run", "scan.h5", "--plot", "out.gif"], "plot out.gif must end in .png, .pdf, .svg"),
    (["run", "scan.h5", "--recipe", "none.toml"], "recipe none.toml cannot be read: No such file"),
    (["run", "scan.h5", "--crop", "a"], "Invalid value for '--crop': 'a' is not a number"),
    (["run", "scan.h5", "--crop", "1000"], "crop"),
    (["run", "scan.h5", "--regime", "middle"], "Invalid value for '--regime'"),
    (["run", "scan.h5", "--energy-ev", "-5"], "energy_ev was -5.0, but must be"),
    (["run", "scan.h5", "--data", "/counts"], "counts"),
    (["run", "half.h5"], "exitwave: half.h5: "),
    (["run", "text.h5"], "exitwave: text.h5: the file is neither HDF5 nor npz"),
    (["run", "nan.h5"], "data"),
    (["info", "none.h5"], "exitwave: none.h5: the file does not exist"),
    (["info", "half.h5"], "exitwave: half.h5: "),
    (["info", "--bin", "2"], "options on how to read a file need a FILE"),
    (["simulate", "scan.h5"], "output scan.h5 exists; add --overwrite or name another file"),
    (["simulate", "new.h5", "--frames", "0"], "frames was 0, but must be a whole number"),
    (["simulate", "new.h5", "--probe", "laser"], "probe was 'laser', but must be one of"),
    (["simulate", "new.h5", "--probe-setting", "size"], "probe-setting is 'size'; it must be KEY="),
    (["compare", "scan.h5", "none.h5"], "exitwave: none.h5: the file does not exist"),
    (["compare", "scan.h5", "scan.h5::/a"], "scan.h5: the file has no dataset /a; name another"),
    (["compare", "scan.h5", "scan.h5::/truth/positions_px/x"], "the file has no dataset"),
    (["compare", "text.h5::/a", "scan.h5"], "text.h5: the file is neither HDF5 nor npz"),
    (["compare", "bare.h5", "scan.h5"], "bare.h5: the file has no object; name it as bare.h5::"),
    (["demo", "-o", "none/demo.h5"], "is in a folder that does not exist; make it first"),
    (["demo", "--frame-size", "1"], "frame_shape"),
]


@pytest.fixture
def folder(tmp_path, scan):
    """Good and bad files in the folder where commands run."""
    shutil.copy(scan, tmp_path / "scan.h5")
    (tmp_path / "half.h5").write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
    (tmp_path / "text.h5").write_text("no numbers here\n")
    with h5py.File(scan) as source, h5py.File(tmp_path / "nan.h5", "w") as file:
        data = source["data"][()].astype(np.float32)
        data[3, 5, 7] = np.nan
        file["data"], file["positions"] = data, source["positions"][()]
        file.attrs.update(source.attrs)
    with h5py.File(scan) as source, h5py.File(tmp_path / "bare.h5", "w") as file:
        file["data"], file["positions"] = source["data"][()], source["positions"][()]
        file.attrs.update(source.attrs)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_bad_input_is_one_line_and_leaves_nothing_behind(main, folder, arguments, message):
    before = contents(folder)

    outcome = main(*arguments)

    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.startswith("exitwave: ")
    assert outcome.err.count("\n") == 1
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("seed = ", "recipe.toml is not valid TOML"),
        ('[[engines]]\nname = "DM"\nnoise = "poisson"', "noise is not used by DM, only by ML"),
        ("[load]\nbinning = 2", "load has no option 'binning'"),
        ("sed = 3", "sed is not a key of params; did you mean 'seed'?"),
        ("engines = 3", "engines is 3; it must be a list"),
    ],
)
def test_bad_recipe_is_refused(main, folder, recipe, message):
    (folder / "recipe.toml").write_text(recipe)

    for more in ([], ["--probe-modes", "2"]):
        outcome = main("run", "scan.h5", "--recipe", "recipe.toml", *more)

        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err


def test_debug_shows_the_traceback_before_the_line(command, folder):
    outcome = command("run", "none.h5", "--debug")

    assert outcome.code == 2
    assert outcome.err.startswith("Traceback (most recent call last):")
    assert outcome.err.splitlines()[-1].startswith("exitwave: none.h5: the file does not exist")


def test_reader_that_goes_away_is_no_error(folder):
    pipe = f"{sys.executable} -m exitwave info scan.h5 | true"
    done = subprocess.run(pipe, shell=True, cwd=folder, capture_output=True, text=True, check=False)

    assert done.stderr == ""
