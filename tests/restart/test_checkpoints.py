"""When a checkpoint is written, what refuses it, and what ends a run early."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import exitwave
from exitwave.checkpoint import Checkpoints
from exitwave.durations import seconds_of
from exitwave.io.checkpoint_file import read_checkpoint
from exitwave.parameters import validate_params
from small_scan import assert_same_bits, small_scan

DM = {"name": "DM", "iterations": 6}
ML = {"name": "ML", "iterations": 5}
FOREVER = {"name": "ePIE", "iterations": 10**6}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Iterations of the chain after which a checkpoint was written."""
    seen: list[int] = []
    write = Checkpoints.write

    def remember(self: Checkpoints, checkpoint: Any, core: Any) -> None:
        write(self, checkpoint, core)
        seen.append(len(checkpoint.engine.errors) + sum(map(len, checkpoint.errors)))

    monkeypatch.setattr(Checkpoints, "write", remember)
    return seen


def test_every_so_many_iterations_of_the_chain(written, tmp_path):
    scan = small_scan()

    scan.run(DM, ML, checkpoint=tmp_path / "run", checkpoint_every=4)

    assert written == [4, 8]
    assert list(tmp_path.iterdir()) == []


def test_every_so_many_minutes(written, tmp_path):
    scan = small_scan()

    scan.run(DM, checkpoint=tmp_path / "run", checkpoint_minutes=1e-9)
    assert written == [1, 2, 3, 4, 5, 6]

    written.clear()
    scan.run(DM, checkpoint=tmp_path / "run", checkpoint_minutes=1e-9, checkpoint_every=1)
    assert written == [1, 2, 3, 4, 5, 6]

    written.clear()
    scan.run(DM, checkpoint=tmp_path / "run")
    assert written == []


def test_a_callback_that_stops_the_run_leaves_a_checkpoint(written, tmp_path):
    small_scan().run(DM, checkpoint=tmp_path / "run", callback=lambda state: state.iteration == 2)

    assert written == [3]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    tree = read_checkpoint(tmp_path / "run")
    assert (len(tree.errors), len(tree.engine.errors), tree.parts) == (0, 3, 1)


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_ends_the_run_after_the_iteration(number, reason, written, tmp_path):
    def send(state: exitwave.State) -> None:
        if state.iteration == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    result = small_scan().run(FOREVER, checkpoint=tmp_path / "run", callback=send)

    assert result.stopped == reason
    assert len(result.errors[0]) == 4
    assert written == [4]
    assert signal.getsignal(number) is before


def test_a_signal_that_arrives_twice_is_one(written, tmp_path):
    """Batch systems send it to launchers and to processes."""

    def send(state: exitwave.State) -> None:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)

    result = small_scan().run(FOREVER, checkpoint=tmp_path / "run", callback=send)

    assert result.stopped == "terminated"
    assert written == [1]


def test_a_later_signal_ends_the_process_at_once(tmp_path):
    def send(state: exitwave.State) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.1)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as left:
        small_scan().run(FOREVER, checkpoint=tmp_path / "run", callback=send)

    assert left.value.code == 143
    assert list(tmp_path.iterdir()) == []


def test_the_run_ends_before_the_time_limit(written, tmp_path):
    began = time.perf_counter()
    result = small_scan().run(
        FOREVER, checkpoint=tmp_path / "run", time_limit=2.5, callback=lambda state: time.sleep(0.7)
    )

    assert time.perf_counter() - began < 2.5
    assert result.stopped == "time_limit"
    assert 1 <= len(result.errors[0]) <= 4
    assert written == [len(result.errors[0])]


def test_a_run_that_ends_by_itself_was_not_stopped_by_the_limit():
    result = small_scan().run({"name": "ePIE", "iterations": 1}, time_limit=1e-9)

    assert result.stopped is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90),
        ("90", None),
        ("1h30m", 5400),
        ("1.5 h", 5400),
        ("2d", 172800),
        ("45s", 45),
        ("01:30:00", 5400),
        ("1-12:00:00", 129600),
        ("", None),
        ("soon", None),
        ("30m1h", None),
        (0, None),
        (-1, None),
        (True, None),
    ],
)
def test_times_are_read_as_batch_systems_and_people_write_them(text, seconds):
    if seconds is not None:
        assert seconds_of(text) == seconds
        return
    with pytest.raises(ValueError):
        seconds_of(text)
    with pytest.raises(exitwave.InvalidArgument, match="time_limit is"):
        validate_params({"time_limit": text})


def test_times_between_checkpoints_need_a_checkpoint():
    with pytest.raises(exitwave.InvalidArgument, match="every is 3, but checkpoint is None"):
        validate_params({"checkpoint_every": 3})
    with pytest.raises(exitwave.InvalidArgument, match="checkpoint_minutes is 3"):
        validate_params({"checkpoint_minutes": 3.0})


def stop_at_once(place: Path) -> None:
    small_scan().run(DM, checkpoint=place, callback=lambda state: True)


def test_a_checkpoint_that_nobody_went_on_with_is_not_overwritten(tmp_path):
    stop_at_once(tmp_path / "run")
    before = (tmp_path / "run").read_bytes()

    with pytest.raises(exitwave.InvalidArgument, match=r"go on with it by exitwave\.resume"):
        small_scan().run(DM, checkpoint=tmp_path / "run")

    assert (tmp_path / "run").read_bytes() == before


@pytest.mark.parametrize("place", ["missing/run", "."])
def test_a_place_where_no_file_can_be_is_refused_before_the_work(place, written, tmp_path):
    with pytest.raises(exitwave.InvalidArgument, match=r"^checkpoint is "):
        small_scan().run(DM, checkpoint=str(tmp_path / place), checkpoint_every=1)

    assert written == []


def test_other_data_are_refused(tmp_path):
    stop_at_once(tmp_path / "run")
    data = small_scan().data
    other = data.copy()
    other[[3, 4]] = other[[4, 3]]  # the mean does not tell

    for wrong in (data[:-1], data.astype(np.uint16), other):
        with pytest.raises(exitwave.InvalidArgument):
            exitwave.resume(tmp_path / "run", wrong)
    with pytest.raises(exitwave.InvalidArgument, match="data is None, but the run had its counts"):
        exitwave.resume(tmp_path / "run")


def test_what_would_change_the_result_cannot_be_given_anew(tmp_path):
    stop_at_once(tmp_path / "run")

    for params in ({"seed": 3}, {"engines": [ML]}, {"parts": 2}, {"checkpoint": "x"}):
        with pytest.raises(exitwave.InvalidArgument, match=f"params has '{next(iter(params))}'"):
            exitwave.resume(tmp_path / "run", small_scan().data, params)


def test_another_kind_of_device_is_refused(tmp_path):
    mpie = {"name": "mPIE", "iterations": 4}
    scan = small_scan()
    stop = {"checkpoint": tmp_path / "run", "callback": lambda state: True}
    scan.run(mpie, device="emulated", parts=3, **stop)

    with pytest.raises(exitwave.FileFormatError, match="on the kind of device"):
        exitwave.resume(tmp_path / "run", scan.data, {"device": "cpu:1"})
    assert_same_bits(
        scan.run(mpie, device="emulated", parts=3), exitwave.resume(tmp_path / "run", scan.data)
    )


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(exitwave.InvalidArgument, match=re.escape("'out.h5.checkpoint' beside it")):
        exitwave.resume(tmp_path / "out.h5")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text").write_text("not HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 1

    with pytest.raises(exitwave.FileFormatError, match="is damaged or still being written"):
        exitwave.resume(tmp_path / "text")
    with pytest.raises(exitwave.FileFormatError, match="no checkpoint of exitwave"):
        exitwave.resume(tmp_path / "other.h5")


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path):
    stop_at_once(tmp_path / "run")
    with h5py.File(tmp_path / "run", "r+") as file:
        file.attrs["exitwave_checkpoint"] = 99

    with pytest.raises(exitwave.FileFormatError, match="update exitwave"):
        exitwave.resume(tmp_path / "run", small_scan().data)


def test_another_version_is_warned_of(tmp_path, monkeypatch):
    stop_at_once(tmp_path / "run")
    monkeypatch.setattr(exitwave, "__version__", "99")

    with pytest.warns(UserWarning, match=r"written by exitwave 0\.1\.0, and this is 99"):
        exitwave.resume(tmp_path / "run", small_scan().data)
