"""run --resume: limits of time, signals, and going on with nothing but the name of the result."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import exitwave
from short_disk import python_with_full_disk
from small_scan import assert_same_bits

CHAIN = ("--engines", "DM:8 mPIE:8 ML:6", "--device", "cpu:1", "--parts", "2")
FOREVER = ("--engines", "DM:4 ML:1000000", "--device", "cpu:1", "--checkpoint-every", "2")


@pytest.fixture
def stopped(main, scan, tmp_path):
    """out.h5 and its checkpoint, of a run that a time limit ended at once."""
    outcome = main("run", scan, *CHAIN, "--time-limit", "1e-9s", "-o", "out.h5")
    assert outcome.code == 2  # no such time
    outcome = main("run", scan, *CHAIN, "--time-limit", "0.001s", "-o", "out.h5")
    assert outcome.code == 75
    assert outcome.err.splitlines() == [
        "exitwave: stopped at the time limit; the state so far is in out.h5, go on with exitwave "
        "run --resume out.h5"
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"out.h5", "out.h5.checkpoint"}


def test_a_resumed_run_ends_like_one_that_was_never_stopped(main, scan, tmp_path, stopped):
    main("run", scan, *CHAIN, "-o", "whole.h5")

    for _ in range(3):
        outcome = main("run", "--resume", "out.h5", "--time-limit", "0.001s")
        assert outcome.code == 75
    assert "out.h5.checkpoint: going on after 3 iterations" in outcome.out
    assert exitwave.load_result(tmp_path / "out.h5").stopped == "time_limit"
    again = main("run", "--resume", "out.h5", "--time-limit", "1h", "--plot", "out.png")

    assert again.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out.h5", "whole.h5", "out.png"}
    whole, resumed = (exitwave.load_result(tmp_path / n) for n in ("whole.h5", "out.h5"))
    assert_same_bits(whole, resumed)
    assert resumed.stopped is None
    assert resumed.source == whole.source
    assert resumed.pixel_size_m == whole.pixel_size_m
    assert resumed.seconds > 0


def test_options_of_load_are_remembered(main, scan, tmp_path):
    cut = ("--crop", "24,20", "--frames", "::2", "-o")
    main("run", scan, *CHAIN, *cut, "whole.h5")
    main("run", scan, *CHAIN, "--time-limit", "0.001s", *cut, "out.h5")

    main("run", "--resume", "out.h5.checkpoint", "--time-limit", "1h", "-o", "other.h5")

    whole, resumed = (exitwave.load_result(tmp_path / n) for n in ("whole.h5", "other.h5"))
    assert_same_bits(whole, resumed)
    assert not (tmp_path / "out.h5.checkpoint").exists()


def test_a_moved_file_is_named(main, scan, tmp_path):
    shutil.copy(scan, tmp_path / "scan.h5")
    main("run", "scan.h5", *CHAIN, "--time-limit", "0.001s", "-o", "out.h5")
    (tmp_path / "scan.h5").rename(tmp_path / "moved.h5")

    refused = main("run", "--resume", "out.h5", "--time-limit", "1h")
    done = main("run", "moved.h5", "--resume", "out.h5", "--time-limit", "1h")

    assert refused.code == 2
    assert "which does not exist; give the data" in refused.err
    assert done.code == 0


def test_what_a_run_began_with_cannot_be_given_anew(main, scan, stopped):
    for option in (["--seed", 3], ["--engines", "DM:3"], ["--crop", 16], ["--parts", 3]):
        outcome = main("run", "--resume", "out.h5", *option)
        assert outcome.code == 2
        assert f"{option[0]} cannot be given with --resume" in outcome.err


def test_a_stopped_run_is_not_overwritten_by_chance(main, scan, tmp_path, stopped):
    outcome = main("run", scan, *CHAIN, "-o", "out.h5")
    assert outcome.code == 2
    assert "go on with it by exitwave run --resume out.h5, or add --overwrite" in outcome.err

    outcome = main("run", scan, *CHAIN, "-o", "out.h5", "--overwrite")
    assert outcome.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out.h5"}


def test_nothing_to_resume_is_said(main, scan, tmp_path):
    missing = main("run", "--resume", "out.h5")
    main("run", scan, *CHAIN, "-o", "out.h5")
    done = main("run", "--resume", "out.h5")

    assert "there is no checkpoint 'out.h5'" in missing.err
    assert "no checkpoint of exitwave" in done.err
    assert (missing.code, done.code) == (2, 2)


def test_no_checkpoint_where_none_is_wanted(main, scan, tmp_path):
    outcome = main("run", scan, *CHAIN, "--time-limit", "0.001s", "-o", "out.h5", "--no-checkpoint")

    assert outcome.code == 75
    assert outcome.err == "exitwave: stopped at the time limit; the state so far is in out.h5\n"
    assert {path.name for path in tmp_path.iterdir()} == {"out.h5"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM to a child process")
def test_sigterm_ends_with_a_checkpoint_and_its_own_code(main, scan, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "exitwave", "run", str(scan), *FOREVER, "-o", "out.h5"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "out.h5.checkpoint").exists():
        assert process.poll() is None
        time.sleep(0.01)

    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 143
    assert err.splitlines() == [
        "exitwave: terminated; the state so far is in out.h5, go on with exitwave run --resume "
        "out.h5"
    ]
    before = exitwave.load_result(tmp_path / "out.h5")
    assert before.stopped == "terminated"
    outcome = main("run", "--resume", "out.h5", "--time-limit", "0.5s")
    after = exitwave.load_result(tmp_path / "out.h5")
    assert outcome.code == 75
    assert sum(map(len, after.errors)) > sum(map(len, before.errors))


def test_a_cut_file_is_refused(main, scan, tmp_path):
    shutil.copy(scan, tmp_path / "scan.h5")
    main("run", "scan.h5", *CHAIN, "--time-limit", "0.001s", "-o", "out.h5")
    os.truncate(tmp_path / "scan.h5", 5000)

    outcome = main("run", "--resume", "out.h5", "--time-limit", "1h")

    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "scan.h5: the file is damaged" in outcome.err
    assert (tmp_path / "out.h5.checkpoint").exists()


def test_a_failure_says_that_the_last_checkpoint_is_kept(main, scan, tmp_path, stopped):
    """Here the disk is full, or so it seems."""
    done = python_with_full_disk(
        "from exitwave.cli import main\n"
        'main(["run", "--resume", "out.h5", "--time-limit", "1h", "--checkpoint-every", "3"])\n',
        tmp_path,
        20_000,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "exitwave: the last checkpoint is kept; go on with exitwave run --resume out.h5.checkpoint",
        "exitwave: out.h5.checkpoint cannot be written (File too large); free space or choose "
        "another folder.",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"out.h5", "out.h5.checkpoint"}
    assert main("run", "--resume", "out.h5", "--time-limit", "1h").code == 0
