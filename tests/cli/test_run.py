"""run and demo: from a file with counts to a result file, a picture and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import exitwave

SHORT = ("--engines", "ePIE:12")


def error_in(text):
    """The Fourier error that a run prints."""
    (line,) = [line for line in text.splitlines() if line.startswith("Fourier error")]
    return float(line.split()[2])


def test_run_writes_a_result_and_a_picture(command, scan, tmp_path):
    outcome = command(
        "run", scan, "--engines", "DM:5,beta=0.9 ML:6,noise=amplitude", "--device", "cpu:1",
        "--parts", 2, "--batch", 3, "--seed", 4, "-o", "out.h5", "--plot", "out.png",
    )  # fmt: skip

    assert (outcome.code, outcome.err) == (0, "")
    assert "engines: DM:5 ML:6" in outcome.out
    assert "written: out.h5 and out.png" in outcome.out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    result = exitwave.load_result(tmp_path / "out.h5")
    assert [len(errors) for errors in result.errors] == [5, 6]
    assert result.source == str(scan)
    assert result.pixel_size_m == pytest.approx((1.29156e-7, 1.47607e-7), rel=1e-3)
    used = result.params
    assert (used["device"], used["parts"], used["batch"], used["seed"]) == ("cpu:1", 2, 3, 4)
    assert (used["engines"][0]["beta"], used["engines"][1]["noise"]) == (0.9, "amplitude")


def test_run_of_a_good_start_ends_near_the_truth(main, scan):
    outcome = main("run", scan, "--engines", "ePIE:40", "-o", "out.h5")

    assert error_in(outcome.out) < 0.05
    compared = main("compare", "out.h5", scan)
    (line,) = [line for line in compared.out.splitlines() if line.startswith("relative error")]
    assert float(line.split()[-1]) < 0.2


def test_without_engines_the_default_chain_is_printed(main, scan, tmp_path):
    outcome = main("run", scan)

    chain = exitwave.load_result(tmp_path / "scan_result.h5").engines
    assert outcome.code == 0
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("engines: ")]
    assert [word.split(":")[0] for word in line.split()[1:]] == chain


def test_quiet_run_prints_nothing(main, scan):
    outcome = main("run", scan, *SHORT, "--quiet")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_crop_and_bin_shrink_the_frames(main, scan, tmp_path):
    main("run", scan, *SHORT, "--crop", "24,20", "--bin", "2", "-o", "out.h5")

    assert exitwave.load_result(tmp_path / "out.h5").probe.shape == (1, 12, 10)


def test_probe_and_object_modes_grow(main, scan, tmp_path):
    main("run", scan, *SHORT, "--probe-modes", 3, "--object-modes", 2, "-o", "out.h5")

    result = exitwave.load_result(tmp_path / "out.h5")
    assert (len(result.probe), result.object.shape[0]) == (3, 2)


def test_options_win_over_the_recipe(main, scan, tmp_path):
    (tmp_path / "recipe.toml").write_text(
        'seed = 3\nparts = 2\n[load]\nbin = 2\nwavelength_m = 2e-10\nframes = "0:20"\n'
        '[[engines]]\nname = "RAAR"\niterations = 4\nprobe_start = "none"\n'
    )

    outcome = main(
        "run", scan, "--recipe", "recipe.toml", "--seed", 5, "--bin", 1, "--energy-ev", 8000,
        "-o", "out.h5",
    )  # fmt: skip

    assert outcome.code == 0
    result = exitwave.load_result(tmp_path / "out.h5")
    assert (result.params["seed"], result.params["parts"]) == (5, 2)
    assert result.params["engines"][0]["probe_start"] is None
    assert (len(result.positions), result.probe.shape[1:]) == (20, (32, 28))
    assert "object pixel 129.2 nm × 147.6 nm" in outcome.out


def test_a_result_starts_a_new_run(main, scan, tmp_path):
    first = main("run", scan, "--engines", "ePIE:30", "-o", "first.h5")
    second = main("run", scan, "--engines", "ML:3", "--start", "first.h5", "-o", "second.h5")

    assert (first.code, second.code) == (0, 0)
    continued = exitwave.load_result(tmp_path / "second.h5")
    assert continued.errors[0][0] == pytest.approx(error_in(first.out), rel=1e-3)
    np.testing.assert_array_equal(
        np.squeeze(continued.start["object"]), exitwave.load_result(tmp_path / "first.h5").object
    )


def test_start_of_another_scan_is_refused(main, scan):
    main("run", scan, *SHORT, "--frames", ":12", "-o", "first.h5")

    outcome = main("run", scan, *SHORT, "--start", "first.h5", "-o", "second.h5")

    assert outcome.code == 2
    assert "start first.h5 has 12 positions, but" in outcome.err


def test_slices_of_a_start_stay_slices_and_modes_are_not_taken_for_them(main, scan, tmp_path):
    (tmp_path / "thick.toml").write_text("[propagation]\nslice_distances_m = 2e-6\n")
    thick = ("--recipe", "thick.toml", "--engines", "ML:4,slices=3")
    main("run", scan, *thick, "-o", "slices.h5")
    main("run", scan, *SHORT, "--object-modes", 2, "-o", "modes.h5")

    (tmp_path / "thin.toml").write_text('[propagation]\nslice_distances_m = "none"\n')
    thin = ("--recipe", "thin.toml", *SHORT)
    as_modes = main("run", scan, *thin, "--start", "slices.h5", "-o", "out.h5")
    as_slices = main("run", scan, *thick, "--start", "modes.h5", "-o", "out.h5")
    again = main("run", scan, "--engines", "ML:4", "--start", "slices.h5", "-o", "again.h5")

    assert (as_modes.code, as_modes.err.count("\n")) == (2, 1)
    assert "start slices.h5 has a thick object of shape (3, " in as_modes.err
    assert (as_slices.code, as_slices.err.count("\n")) == (2, 1)
    assert "start modes.h5 has 2 modes of a thin object" in as_slices.err
    assert (again.code, again.err) == (0, "")
    assert "note: slice_distances_m and beam_tilt_rad are those of the start result." in again.out
    results = [exitwave.load_result(tmp_path / name) for name in ("slices.h5", "again.h5")]
    assert results[1].errors[0][0] == pytest.approx(results[0].error, rel=1e-3)


def test_a_start_is_gone_on_with_at_the_slice_distances_that_it_refined(main, scan, tmp_path):
    (tmp_path / "thick.toml").write_text("[propagation]\nslice_distances_m = 2e-6\n")
    refining = ("--engines", "ML:4,slices=3,slice_distance_start=0")
    main("run", scan, "--recipe", "thick.toml", *refining, "-o", "first.h5")

    more = ("--recipe", "thick.toml", "--engines", "ML:2,slices=3", "--start", "first.h5")
    outcome = main("run", scan, *more, "-o", "second.h5")

    first, second = (exitwave.load_result(tmp_path / f"{name}.h5") for name in ("first", "second"))
    found = tuple(first.refined["slice_distances_m"].value)
    assert "note: slice_distances_m is that of the start result, " in outcome.out
    assert second.params["propagation"]["slice_distances_m"] == found != (2e-6, 2e-6)
    assert second.errors[0][0] == pytest.approx(first.error, rel=1e-3)


def test_a_start_is_gone_on_with_at_the_intensities_that_it_refined(main, tmp_path):
    drift = {"intensity_drift": 0.2}
    s = exitwave.simulate((32, 28), 30, counts_per_frame=1e6, seed=1, imperfections=drift)
    s.save(tmp_path / "drift.h5")
    chains = {
        "first": ("LSQML:30,intensity_start=0",),
        "next": ("LSQML:2,intensity_start=1", "--start", "first.h5"),
        "without": ("LSQML:2", "--start", "first.h5"),
    }

    for name, chain in chains.items():
        main("run", "drift.h5", "--engines", *chain, "-o", f"{name}.h5")

    first, then, without = (exitwave.load_result(tmp_path / f"{name}.h5") for name in chains)
    assert then.errors[0][0] < 1.3 * first.error
    assert without.errors[0][0] > 3 * first.error


def test_a_start_is_gone_on_with_at_the_distance_that_it_refined(main, tmp_path):
    """Again and again, also where the run between does not refine it."""
    s = exitwave.simulate((32, 28), 16, regime="near", counts_per_frame=1e6, seed=1)
    s.save(tmp_path / "near.h5")
    options = ("--distance-m", 1.02 * s.propagation["distance_m"], "-o")
    main("run", "near.h5", "--engines", "RAAR:20,distance_start=2", *options, "first.h5")

    more = ("--engines", "ML:3", "--start")
    outcome = main("run", "near.h5", *more, "first.h5", *options, "second.h5")
    main("run", "near.h5", *more, "second.h5", *options, "third.h5")

    first, second, third = (
        exitwave.load_result(tmp_path / f"{name}.h5") for name in ("first", "second", "third")
    )
    refined = float(first.refined["distance_m"].value)
    assert "note: distance_m is that of the start result, " in outcome.out
    for before, after in ((first, second), (second, third)):
        assert after.params["propagation"]["distance_m"] == refined
        assert after.errors[0][0] == pytest.approx(before.error, rel=1e-3)


def test_result_in_place_of_counts_is_refused(main, scan):
    main("run", scan, *SHORT, "-o", "first.h5")

    outcome = main("run", "first.h5", "-o", "second.h5")

    assert outcome.code == 2
    assert (
        "first.h5 has no frames; give a file with counts (a result goes to --start)" in outcome.err
    )


def test_info_of_a_result_tells_how_it_ended(main, scan):
    main("run", scan, *SHORT, "-o", "out.h5")

    outcome = main("info", "out.h5")

    assert outcome.code == 0
    assert "engines                     ePIE:12" in outcome.out
    assert "ended                       after its last iteration" in outcome.out


def test_near_field_is_run_from_the_geometry_of_the_file(main, tmp_path):
    exitwave.simulate((32, 28), 20, regime="near", counts_per_frame=1e6).save(tmp_path / "near.h5")

    outcome = main("run", "near.h5", *SHORT, "-o", "out.h5")

    assert outcome.code == 0
    propagation = exitwave.load_result(tmp_path / "out.h5").params["propagation"]
    assert propagation["regime"] == "near"


def test_device_that_does_not_exist_is_refused(main, scan, tmp_path):
    outcome = main("run", scan, *SHORT, "--device", "cuda:7", "-o", "out.h5")

    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out.h5").exists()


def test_divergence_is_a_failure_with_advice_and_without_a_result(main, scan, tmp_path):
    wild = "rPIE:60,object_step=2,probe_step=2,object_alpha=1e-3,probe_alpha=1e-3"

    outcome = main("run", scan, "--engines", wild, "-o", "out.h5")

    assert outcome.code == 1
    assert outcome.err.startswith("exitwave: engines[0] rPIE")
    assert "raise object_alpha and probe_alpha" in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_warnings_are_one_line_each(command, scan):
    outcome = command("run", scan, "--engines", "ePIE:3,probe_support=0.2", "-o", "out.h5")

    assert outcome.code == 0
    assert outcome.err.startswith("exitwave: warning: engines[0] ePIE: the probe's supports cut ")
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT to a child process")
def test_interrupted_run_saves_what_it_has(scan, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "exitwave", "run", str(scan), "--engines", "ePIE:1000000",
         "-o", "out.h5"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    while not process.stdout.readline().startswith("engines:"):
        assert process.poll() is None
    time.sleep(2)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err.splitlines()[-1] == (
        "exitwave: interrupted; the state so far is in out.h5, go on with exitwave run --resume "
        "out.h5"
    )
    assert "Traceback" not in err
    result = exitwave.load_result(tmp_path / "out.h5")
    assert result.stopped == "interrupted"
    assert 0 < len(result.errors[0]) < 1000000


def test_counts_that_are_all_zero_are_refused(main, scan, tmp_path):
    with h5py.File(scan) as source, h5py.File(tmp_path / "dark.h5", "w") as file:
        for name in ("positions", "probe"):
            file[name] = source[name][()]
        file["data"] = np.zeros_like(source["data"][()])
        file.attrs.update(source.attrs)

    outcome = main("run", "dark.h5", *SHORT)

    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "dark_result.h5").exists()


def test_demo_reconstructs_its_sample(command, tmp_path):
    outcome = command("demo", "--frames", 40, "--frame-size", 32)

    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.h5", "demo.png"]
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("relative error")]
    assert float(line.split()[-1]) < 0.2
    assert len(exitwave.load_result(tmp_path / "demo.h5").positions) == 40


def test_start_probe_is_described_on_the_command_line(main, scan, tmp_path):
    (tmp_path / "recipe.toml").write_text(
        '[probe]\nkind = "lens"\nnumerical_aperture = 3e-4\ndefocus_m = 1e-3\nmodes = 2\n'
    )
    lens = "lens:numerical_aperture=3e-4,defocus_m=1e-3,modes=2"

    first = main("run", scan, *SHORT, "--start-probe", lens, "-o", "first.h5")
    second = main("run", scan, *SHORT, "--recipe", "recipe.toml", "-o", "second.h5")
    third = main("run", scan, *SHORT, "--start-probe", "first.h5", "-o", "third.h5")

    assert (first.code, second.code, third.code) == (0, 0, 0)
    results = [exitwave.load_result(tmp_path / f"{name}.h5") for name in ("first", "second")]
    assert results[0].start["probe"].shape == (2, 32, 28)
    np.testing.assert_array_equal(results[0].start["probe"], results[1].start["probe"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lens:defocus=1", "perhaps 'defocus_m'"),
        ("lens", "lacks numerical_aperture"),
        ("lens:numerical_aperture=1", "the detector ends at"),
        ("lense:numerical_aperture=1", "must be a file, or one of lens, zone_plate"),
    ],
)
def test_bad_start_probe_is_refused(main, scan, tmp_path, text, message):
    outcome = main("run", scan, *SHORT, "--start-probe", text, "-o", "out.h5")

    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert message in outcome.err
    assert not (tmp_path / "out.h5").exists()


def test_frames_are_treated_as_the_options_say(main, scan, tmp_path):
    options = ["--centre", "auto", "--find-bad-pixels", "--crop", "24,20"]

    outcome = main("run", scan, *SHORT, *options, "-o", "out.h5")

    assert outcome.code == 0
    assert "note: the centre of the frames was found at (16.0" in outcome.out
    assert "note: bad pixels that were found, and masked: none." in outcome.out
    assert exitwave.load_result(tmp_path / "out.h5").probe.shape == (1, 24, 20)
    padded = main("info", scan, "--pad", "40", "--centre", "16,14")
    assert "30 of 40 x 40" in padded.out
    assert "centre of the frames" in padded.out


def test_centre_must_be_auto_or_a_pair(main, scan):
    outcome = main("info", scan, "--centre", "middle")

    assert outcome.code == 2
    assert "neither auto nor two numbers" in outcome.err


def test_pixels_that_contradict_a_result_are_masked(main, scan, tmp_path):
    with h5py.File(scan) as source, h5py.File(tmp_path / "slow.h5", "w") as file:
        for name in ("positions", "probe"):
            file[name] = source[name][()]
        data = source["data"][()]
        data[:, 16, 17] //= 3
        file["data"] = data
        file.attrs.update(source.attrs)
    main("run", "slow.h5", "--engines", "ePIE:40", "-o", "first.h5")

    second = main("run", "slow.h5", *SHORT, "--start", "first.h5", "--mask-misfits", "-o", "b.h5")
    alone = main("run", "slow.h5", *SHORT, "--mask-misfits", "-o", "c.h5")

    assert second.code == 0
    assert "pixels that contradict first.h5 are masked" in second.out
    errors = [exitwave.load_result(tmp_path / name).error for name in ("first.h5", "b.h5")]
    assert errors[1] < errors[0]
    assert (alone.code, alone.err.count("\n")) == (2, 1)
    assert "add --start RESULT" in alone.err
