"""Bad input is refused before any work, in one sentence that names the argument."""

from __future__ import annotations

import gc
import re
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest

import exitwave
from exitwave import DeviceError, ExitwaveError, InvalidArgument, _core
from small_scan import FRAME, FRAMES, SmallScan, small_scan

ENGINE = {"name": "AP", "iterations": 1}


@pytest.fixture(scope="module")
def scan() -> SmallScan:
    return small_scan("far", 2, noise=True)


def call(scan: SmallScan, **changed: Any) -> exitwave.Result:
    """A run that works, with some arguments changed; other names go into params."""
    given: dict[str, Any] = {
        "data": scan.data,
        "obj": scan.obj,
        "probe": scan.probe,
        "pos": scan.positions,
        "mask": scan.mask,
    }
    params = {"engines": [ENGINE], "progress": False, "device": "cpu:1"}
    for name, value in changed.items():
        (given if name in given else params)[name] = value
    return exitwave.ptychography(**given, params=params)


def with_value(array: np.ndarray, index: tuple[int, ...], value: Any) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def valid_pixel(scan: SmallScan) -> tuple[int, int]:
    row, column = np.argwhere(scan.mask)[17]
    return int(row), int(column)


# argument, bad value from the scan, words of the message
BAD: dict[str, tuple[str, Any, str]] = {
    "data of two dimensions": ("data", lambda s: s.data[0], r"\(N, Y, X\)"),
    "data of four dimensions": ("data", lambda s: s.data[None], r"\(N, Y, X\)"),
    "no frame": ("data", lambda s: s.data[:0], r"at least one frame"),
    "frames without pixels": ("data", lambda s: s.data[:, :0], r"\(N, Y, X\)"),
    "frames of one row": ("data", lambda s: s.data[:, :1], r"1 x 20"),
    "complex data": ("data", lambda s: s.data * 1j, r"complex"),
    "bool data": ("data", lambda s: s.data > 3, r"bool"),
    "text data": ("data", lambda s: s.data.astype(str), r"type"),
    "data None": ("data", lambda s: None, r"shape"),
    "a ragged list": ("data", lambda s: [[1, 2], [3]], r"data"),
    "a NaN": (
        "data",
        lambda s: with_value(s.data.astype("f4"), (3, *valid_pixel(s)), np.nan),
        r"nan in frame 3 at pixel",
    ),
    "an infinity": (
        "data",
        lambda s: with_value(s.data.astype("f8"), (12, *valid_pixel(s)), np.inf),
        r"inf in frame 12",
    ),
    "a double too large for single precision": (
        "data",
        lambda s: with_value(s.data.astype("f8"), (2, *valid_pixel(s)), 1e300),
        r"frame 2",
    ),
    "a negative float": (
        "data",
        lambda s: with_value(s.data.astype("f4"), (0, *valid_pixel(s)), -1),
        r"-1.0 in frame 0",
    ),
    "a negative integer": (
        "data",
        lambda s: with_value(s.data.astype("i4"), (5, *valid_pixel(s)), -2),
        r"-2 in frame 5",
    ),
    "more than 32 bits": (
        "data",
        lambda s: with_value(s.data.astype("u8"), (5, *valid_pixel(s)), 2**40),
        r"1099511627776",
    ),
    "no counts at all": ("data", lambda s: 0 * s.data, r"no counts"),
    "no counts at valid pixels": ("data", lambda s: np.where(s.mask, 0, s.data), r"no counts"),
    "mask of another shape": ("mask", lambda s: s.mask.T, r"\(20, 12\)"),
    "mask of integers": ("mask", lambda s: s.mask.astype(int), r"bool"),
    "mask per frame": ("mask", lambda s: np.array([s.mask] * FRAMES), r"\(12, 20\)"),
    "mask without a valid pixel": ("mask", lambda s: 0 * s.mask > 0, r"no valid pixel"),
    "no positions": ("pos", lambda s: None, r"\(N, 2\)"),
    "too few positions": ("pos", lambda s: s.positions[1:], r"\(13, 2\)"),
    "three coordinates": ("pos", lambda s: np.zeros((13, 3)), r"\(13, 2\)"),
    "positions (2, N)": ("pos", lambda s: s.positions.T, r"\(13, 2\)"),
    "complex positions": ("pos", lambda s: s.positions + 1j, r"pos"),
    "text positions": ("pos", lambda s: [["a", "b"]] * 13, r"pos"),
    "ragged positions": ("pos", lambda s: [[1, 2]] * 12 + [[1]], r"pos"),
    "NaN position": ("pos", lambda s: with_value(s.positions, (4, 1), np.nan), r"frame 4"),
    "infinite position": ("pos", lambda s: with_value(s.positions, (4, 0), np.inf), r"frame 4"),
    "position before the object": (
        "pos",
        lambda s: with_value(s.positions, (7, 0), -0.51),
        r"frame 7 .*outside the object of 22 x 33",
    ),
    "position after the object": (
        "pos",
        lambda s: with_value(s.positions, (0, 1), 13.6),
        r"frame 0 .*outside the object of 22 x 33",
    ),
    "position far away": ("pos", lambda s: s.positions + 1e9, r"frame 0 .*outside"),
    "object smaller than a frame": ("obj", lambda s: s.obj[:, :11], r"outside the object"),
    "object of one dimension": ("obj", lambda s: np.ones(40), r"\(40,\)"),
    "object of four dimensions": ("obj", lambda s: s.obj[None], r"modes"),
    "empty object": ("obj", lambda s: s.obj[:0], r"\(0, 22, 33\)"),
    "NaN in the object": ("obj", lambda s: with_value(s.obj, (0, 2, 3), np.nan), r"finite"),
    "overflow in the object": ("obj", lambda s: s.obj.astype(complex) * 1e300, r"finite"),
    "text object": ("obj", lambda s: s.obj.astype(str), r"type"),
    "object of zeros": ("obj", lambda s: 0 * s.obj, r"power"),
    "probe of another shape": ("probe", lambda s: s.probe[:, :, :-1], r"\(12, 20\)"),
    "probe turned": ("probe", lambda s: s.probe.transpose(0, 2, 1), r"\(12, 20\)"),
    "probe of one dimension": ("probe", lambda s: s.probe[0, 0], r"\(20,\)"),
    "no probe mode": ("probe", lambda s: s.probe[:0], r"\(0, 12, 20\)"),
    "probe of zeros": ("probe", lambda s: 0 * s.probe, r"zero everywhere"),
    "infinity in the probe": ("probe", lambda s: with_value(s.probe, (1, 5, 5), np.inf), "finite"),
    "overflow in the probe": ("probe", lambda s: s.probe.astype(complex) * 1e100, r"finite"),
    "bool probe": ("probe", lambda s: np.ones(FRAME, bool), r"bool"),
    "more parts than frames": ("parts", lambda s: 14, r"13 frames"),
    "no parts": ("parts", lambda s: 0, r"at least 1"),
    "no batch": ("batch", lambda s: 0, r"at least 1"),
    "negative seed": ("seed", lambda s: -1, r"at least 0"),
    "no engine": ("engines", lambda s: [], r"engines"),
    "unknown engine": ("engines", lambda s: [{"name": "ePIEE"}], r"ePIE"),
    "engine without a name": ("engines", lambda s: [{"iterations": 3}], r"name"),
    "unknown key": ("iterations", lambda s: 3, r"iterations"),
    "support of another shape": (
        "engines",
        lambda s: [ENGINE | {"probe_support": np.ones((20, 12), bool)}],
        r"engines\[0\]\.probe_support .*\(12, 20\)",
    ),
    "flat region of another shape": (
        "engines",
        lambda s: [ENGINE | {"object_flat": np.ones((12, 20), bool)}],
        r"engines\[0\]\.object_flat .*\(22, 33\)",
    ),
    "fewer probe modes": (
        "engines",
        lambda s: [ENGINE | {"probe_modes": 1}],
        r"probe_modes is 1, but there are 2",
    ),
    "fewer object modes": (
        "engines",
        lambda s: [ENGINE | {"object_modes": 2}, ENGINE | {"object_modes": 1}],
        r"object_modes is 1, but there are 2",
    ),
    "background of another shape": (
        "background",
        lambda s: np.ones((20, 12)),
        r"background .*\(12, 20\) of a frame",
    ),
    "background below zero": ("background", lambda s: -1.0, r"at least 0"),
    "background of all counts": ("background", lambda s: 1e6, r"leaves nothing of the mean frame"),
    "no counts before saturation": ("saturation", lambda s: 0, r"above 0"),
    "callback that is none": ("callback", lambda s: 3, r"callback"),
    "device of no kind": ("device", lambda s: "gpu", r"cpu"),
    "no thread": ("device", lambda s: "cpu:0", r"cpu"),
    "centring in the near field": (
        "engines",
        lambda s: [ENGINE | {"probe_centring": 1}],
        r"near field",
    ),
    "near field without lengths": ("propagation", lambda s: {"regime": "near"}, r"wavelength_m"),
    "unknown regime": ("propagation", lambda s: {"regime": "middle"}, r"far"),
}
NEAR = {"regime": "near", "wavelength_m": 1e-10, "distance_m": 0.02, "pixel_size_m": 1e-7}


def assert_one_sentence(message: str) -> None:
    """One sentence, for a person: no line break, no words of Python, not too long."""
    assert "\n" not in message
    assert message[-1] == "." or not message.endswith(("!", ":", ","))
    assert not re.search(r"\. [A-Z]", message)
    assert len(message) < 300
    assert not re.search(r"object at 0x|<class|Traceback|pybind|dtype\(", message)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_sentence(case, scan):
    argument, make, words = BAD[case]
    extra = {"propagation": NEAR} if "near field" in words else {}

    with pytest.raises(InvalidArgument, match=words) as caught:
        call(scan, **({argument: make(scan)} | extra))

    message = str(caught.value)
    assert argument in message
    assert_one_sentence(message)
    assert caught.value.__cause__ is None


def test_all_errors_are_of_the_package_and_of_a_python_kind(scan):
    with pytest.raises(ValueError, match="data"):
        call(scan, data=scan.data[0])
    with pytest.raises(ExitwaveError, match="data"):
        call(scan, data=scan.data[0])
    with pytest.raises(RuntimeError, match="cuda"):
        call(scan, device="cuda:99")


@pytest.mark.skipif(not _core.build_info()["cuda"], reason="this build can use CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:0,1"])
def test_gpu_that_is_not_there(device, scan):
    with pytest.raises(DeviceError, match=f"'{device}' cannot be used: .*CUDA.*'cpu'") as caught:
        call(scan, device=device)

    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize("case", ["missing.h5", "folder", "empty.h5", "text.npz"])
def test_path_that_cannot_be_read(case, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.h5").touch()
    (tmp_path / "text.npz").write_text("no counts here")

    with pytest.raises(exitwave.FileFormatError) as caught:
        exitwave.ptychography(tmp_path / case)

    assert case in str(caught.value)
    assert_one_sentence(str(caught.value).replace(str(tmp_path), ""))


def test_positions_in_metres_or_nanometres_are_no_object(scan):
    """Without an object to refuse them, one that no memory holds would be made."""
    with pytest.raises(
        InvalidArgument, match=r"pos spans 9.6e\+07 pixels.*in object pixels"
    ) as caught:
        call(scan, obj=None, pos=np.linspace(0, 2e8, 26).reshape(2, 13).T)

    assert_one_sentence(str(caught.value))


def test_memory_that_is_not_there_is_an_error_and_is_given_back(scan):
    """The core alone, with a limit that the exit waves pass."""
    core_scan = _core.Scan(
        scan.data,
        scan.mask,
        np.zeros((FRAMES, 2), np.int32),
        np.zeros((FRAMES, 2), np.float32),
        FRAME,
        None,
        [list(range(FRAMES))],
    )
    options, settings = _core.EngineOptions(), _core.CpuSettings()
    options.name = "DM"
    field = np.ones((1, *FRAME), np.complex64)
    enough = _core.Engine(core_scan, options, field, field, settings).memory[0].peak

    settings.memory_limit = enough - 1
    with pytest.raises(MemoryError, match="memory"):
        _core.Engine(core_scan, options, field, field, settings)
    settings.memory_limit = enough
    assert _core.Engine(core_scan, options, field, field, settings).memory[0].peak == enough


@pytest.mark.parametrize(
    ("index", "bad", "words"),
    [
        (0, np.zeros((13, 12, 20), np.int16), "data"),
        (0, np.zeros((12, 20), np.uint16), "data"),
        (1, np.ones((20, 12), bool), "mask"),
        (2, np.full((13, 2), 3, np.int32), "frame 0 leaves the object"),
        (2, np.full((13, 2), -1, np.int32), "frame 0 leaves the object"),
        (2, np.zeros((12, 2), np.int32), "corner"),
        (3, np.zeros((13, 1), np.float32), "fraction"),
        (5, np.ones((20, 11), np.complex64), "kernel"),
        (6, [[13]], "parts"),
        (6, [[-1]], "parts"),
    ],
)
def test_core_refuses_what_would_leave_its_arrays(index, bad, words, scan):
    """Python checks before; the core never trusts."""
    arguments: list[Any] = [
        scan.data,
        scan.mask,
        np.zeros((FRAMES, 2), np.int32),
        np.zeros((FRAMES, 2), np.float32),
        FRAME,
        None,
        [list(range(FRAMES))],
    ]
    arguments[index] = bad

    with pytest.raises(InvalidArgument, match=words):
        _core.Scan(*arguments)


def test_closed_dataset_is_refused(scan, tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        counts = file.create_dataset("counts", data=scan.data)

    with pytest.raises(InvalidArgument, match="data"):
        call(scan, data=counts)


def test_refused_before_any_work(scan, capfd):
    """The most expensive look at the data comes first; nothing is printed, no engine is run."""
    calls = []

    with pytest.raises(InvalidArgument):
        call(
            scan,
            engines=[ENGINE, ENGINE | {"probe_modes": 1}],
            callback=lambda state: calls.append(state),
        )

    assert not calls
    assert capfd.readouterr() == ("", "")


def test_nothing_is_left_behind(scan):
    """No thread, no open file, no handler of Ctrl-C, no memory that grows."""
    process = psutil.Process()

    def one_round() -> None:
        for case in BAD:
            argument, make, words = BAD[case]
            extra = {"propagation": NEAR} if "near field" in words else {}
            with pytest.raises(InvalidArgument):
                call(scan, **({argument: make(scan)} | extra))
        with pytest.raises(DeviceError):
            call(scan, device="cuda:99")

    one_round()
    gc.collect()
    threads, files = process.num_threads(), process.num_fds()
    memory = process.memory_info().rss
    for _ in range(5):
        one_round()
    gc.collect()

    assert process.num_threads() == threads
    assert process.num_fds() == files
    assert process.memory_info().rss < memory + 30e6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert call(scan).error > 0


def test_threads_end_with_their_run(scan):
    process = psutil.Process()
    call(scan)
    before = process.num_threads()

    for _ in range(10):
        call(scan, device="cpu:3")
    gc.collect()

    assert process.num_threads() == before


def test_the_same_call_works_after_an_error(scan):
    expected = call(scan)
    with pytest.raises(InvalidArgument):
        call(scan, data=scan.data[:0])

    np.testing.assert_array_equal(call(scan).object, expected.object)
