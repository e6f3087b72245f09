"""Arrays of other libraries in, and arrays on GPUs out."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import exitwave
import exitwave.plots
from exitwave import DeviceError, InvalidArgument, _core
from exitwave.cuda_library import why_no_gpu
from foreign_arrays import (
    ForeignArray,
    ForeignTensor,
    HostTensor,
    break_gpu,
    from_gpu,
    stand_in,
    to_gpu,
)
from short_memory import plan_of, short_limit
from small_scan import PIES, SmallScan, assert_same_bits, devices, small_scan

GPUS = devices()
on_stand_in = pytest.mark.skipif(
    bool(why_no_gpu()) or stand_in() is None, reason="asks the stand-in for GPUs"
)


def engine(name: str, **options: Any) -> dict[str, Any]:
    given = {"name": name, "iterations": 3, "probe_start": 1} | options
    return given | ({"group_size": 5} if name in PIES else {})


@pytest.fixture
def scan() -> SmallScan:
    return small_scan("far", 2, noise=True)


def elsewhere(scan: SmallScan, place: Any) -> SmallScan:
    """The same scan, all arrays as another library has them."""
    moved = {
        "data": scan.data,
        "obj": scan.obj,
        "probe": scan.probe,
        "positions": scan.positions,
        "mask": scan.mask,
    }
    return replace(scan, **{name: place(array) for name, array in moved.items()})


# In


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
def test_arrays_of_the_host_come_by_dlpack(device, scan):
    expected = scan.run(engine("DM"), device=device)

    assert_same_bits(elsewhere(scan, HostTensor).run(engine("DM"), device=device), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["cpu:2", "emulated", *GPUS])
@pytest.mark.parametrize("name", ["DM", "rPIE", "ML"])
def test_arrays_on_a_gpu_give_the_bits_of_those_on_the_host(name, device, scan):
    expected = scan.run(engine(name), device=device)
    foreign = elsewhere(scan, to_gpu)

    assert_same_bits(foreign.run(engine(name), device=device), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["DM", "ML"])
def test_frames_on_another_gpu_are_copied_once(name, scan):
    if "cuda:0,1" not in GPUS:
        pytest.skip("needs two GPUs")
    expected = scan.run(engine(name), device="cuda:0", parts=3)
    foreign = elsewhere(scan, lambda array: to_gpu(array, 1))

    assert_same_bits(foreign.run(engine(name), device="cuda:0", parts=3), expected)


@pytest.mark.gpu
def test_counts_on_the_gpu_of_the_run_take_no_more_of_its_memory(scan):
    there = replace(scan, data=to_gpu(scan.data))
    where = {"device": "cuda:0", "parts": 2}

    held = plan_of(there, engine("ePIE"), **where).engines[0].memory[0].uses["counts"]
    copied = plan_of(scan, engine("ePIE"), **where).engines[0].memory[0].uses["counts"]

    assert copied - held == scan.data.nbytes - 4 * len(scan.data)  # their places
    # Exit waves that do not fit beside them come and go as ever.
    limit = short_limit(there, engine("DM"), "device", **where)
    expected = scan.run(engine("DM"), **where)
    assert_same_bits(there.run(engine("DM"), memory_limit=limit, **where), expected)


@on_stand_in
def test_what_is_in_its_place_is_left_as_it_was_on_a_gpu(scan):
    foreign = elsewhere(scan, ForeignArray)

    foreign.run(engine("ML"), device="cuda")

    for array in (foreign.data, foreign.obj, foreign.probe, foreign.positions, foreign.mask):
        np.testing.assert_array_equal(array.on_host(), array.values)


@on_stand_in
@pytest.mark.parametrize("device", ["cpu:1", "cuda"])
def test_gpu_arrays_come_by_dlpack(device, scan):
    tensors = []

    def tensor(array: np.ndarray) -> ForeignTensor:
        tensors.append(ForeignTensor(array))
        return tensors[-1]

    expected = scan.run(engine("rPIE"), device=device)
    result = elsewhere(scan, tensor).run(engine("rPIE"), device=device)

    assert_same_bits(result, expected)
    assert [tensor.let_go for tensor in tensors] == [1] * 5


@on_stand_in
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {"data": ForeignArray(s.data.astype(np.int64))},
            r"data is on a GPU with type int64, but must be unsigned integers or float32 there; "
            "convert it before the call, or install CuPy",
        ),
        (
            lambda s: {"obj": ForeignArray(s.obj.astype(np.complex128))},
            "obj is on a GPU with type complex128, but must be complex64 there",
        ),
        (
            lambda s: {
                "data": ForeignArray(
                    s.data, shape=s.data.shape, strides=(s.data[0].nbytes, 2, 2 * s.data.shape[1])
                )
            },
            "data is on a GPU, but not in C order; convert it",
        ),
        (
            lambda s: {"obj": ForeignArray(np.where(s.obj == s.obj[0, 3, 4], np.nan, s.obj))},
            "obj has values that are not finite",
        ),
        (lambda s: {"probe": ForeignArray(s.probe[:, :5])}, r"probe has shape \(2, 5, 20\)"),
        (lambda s: {"data": ForeignArray(s.data[:, 0])}, r"data has shape \(13, 20\)"),
        (lambda s: {"data": ForeignArray(0 * s.data)}, "data has no counts at valid pixels"),
    ],
)
def test_wrong_arrays_on_a_gpu_are_refused(change, message, scan):
    with pytest.raises(InvalidArgument, match=message):
        replace(scan, **change(scan)).run(engine("DM"), device="cuda")


@on_stand_in
@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_bad_counts_on_a_gpu_are_named(value, scan):
    """As those on the host are; where the mask hides them they do not matter."""
    data = scan.data.astype(np.float32)
    frame, row, column = 7, *np.argwhere(scan.mask)[11]
    data[:, ~scan.mask] = value
    hidden = replace(scan, data=ForeignArray(data)).run(engine("DM"), device="cuda")
    assert_same_bits(hidden, replace(scan, data=data).run(engine("DM"), device="cuda"))

    data[frame, row, column] = value
    for foreign in (data, ForeignArray(data)):
        with pytest.raises(
            InvalidArgument, match=rf"data has {value} in frame 7 at pixel \({row}, {column}\)"
        ):
            replace(scan, data=foreign).run(engine("DM"), device="cuda")


def test_arrays_on_unknown_devices_are_refused(scan):
    class Elsewhere:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 10, 0

        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError

    with pytest.raises(InvalidArgument, match="data is on a device of DLPack's kind 10"):
        replace(scan, data=Elsewhere()).run(engine("DM"))


@pytest.mark.skipif(not why_no_gpu(), reason="this build can read arrays on GPUs")
def test_array_on_a_gpu_that_cannot_be_used_says_why(scan):
    there = SimpleNamespace(
        __cuda_array_interface__={
            "shape": scan.data.shape,
            "typestr": "<u2",
            "data": (4096, False),
            "version": 3,
        }
    )
    with pytest.raises(InvalidArgument, match=r"data is on a GPU, and .*; convert it"):
        replace(scan, data=there).run(engine("DM"))


# Out


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CuPy cannot be had, what it would be given: arrays that have the array interface."""
    if stand_in() is not None:
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=lambda array: array))


@pytest.mark.gpu
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("device", GPUS)
def test_result_stays_on_the_gpu(device, scan):
    chain = engine("DM"), engine("ML", probe_modes=3, object_modes=2)
    expected = scan.run(*chain, device=device)

    result = scan.run(*chain, device=device, output="device")
    squeezed = exitwave.ptychography(
        scan.data, scan.obj[0], scan.probe, scan.positions, scan.mask,
        {"engines": [engine("DM")], "device": device, "output": "device", "orthogonalise": False},
    )  # fmt: skip

    np.testing.assert_array_equal(from_gpu(result.object), expected.object)
    np.testing.assert_array_equal(from_gpu(result.probe), expected.probe)
    assert isinstance(result.start["object"], np.ndarray)
    np.testing.assert_array_equal(result.on_host().object, expected.object)
    assert tuple(squeezed.object.shape) == scan.obj.shape[1:]


@pytest.mark.gpu
@pytest.mark.skipif(not GPUS, reason="needs a GPU, or the stand-in")
def test_product_of_slices_is_made_on_the_gpu_and_drawn():
    thick = exitwave.simulate(24, 9, slices=2)
    result = exitwave.Result(
        to_gpu(thick.object),
        to_gpu(thick.probe),
        thick.positions_px,
        errors=[np.array([0.2, 0.1])],
        error=0.1,
        engines=["rPIE"],
        params={"propagation": thick.propagation},
        seconds=1.0,
    )

    np.testing.assert_allclose(from_gpu(result.transmission), thick.object.prod(axis=0), rtol=1e-6)
    exitwave.plots.plot_result(result)


@pytest.mark.gpu
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("device", GPUS)
def test_callback_sees_arrays_on_the_gpu(device, scan):
    seen, pointers = [], set()

    def callback(state: Any) -> None:
        pointers.add(state.object.__cuda_array_interface__["data"][0])
        seen.append([from_gpu(state.object), from_gpu(state.probe)])

    def on_host(state: Any) -> None:
        expected.append([state.object.copy(), state.probe.copy()])

    expected: list[Any] = []
    scan.run(engine("rPIE"), device=device, callback=on_host)
    scan.run(engine("rPIE"), device=device, callback=callback, output="device")

    assert len(seen) == 3
    for got, wanted in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(got[0], wanted[0])
        np.testing.assert_array_equal(got[1], wanted[1])
    if device == "cuda":
        assert len(pointers) == 1, "the array itself, in every iteration"


@pytest.mark.gpu
@pytest.mark.usefixtures("cupy")
def test_result_on_the_gpu_counts_in_its_plan(scan):
    where = {"device": "cuda", "parts": 2}

    on_host = plan_of(scan, engine("ePIE"), **where)
    there = plan_of(scan, engine("ePIE"), output="device", **where)

    assert there.device_bytes == on_host.device_bytes + there.arrays_bytes
    with pytest.raises(exitwave.OutOfMemory):
        plan_of(
            scan, engine("ePIE"), output="device",
            memory_limit={"device": on_host.device_bytes}, **where,
        )  # fmt: skip


@pytest.mark.parametrize("device", ["cpu:1", "emulated"])
def test_output_on_a_device_without_gpu_is_refused(device, scan):
    with pytest.raises(InvalidArgument, match=f"output is 'device', but the run is on '{device}'"):
        scan.run(engine("DM"), device=device, output="device")


@on_stand_in
def test_output_on_a_gpu_without_cupy_is_refused(scan, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="output is 'device', but CuPy is not installed"):
        scan.run(engine("DM"), device="cuda", output="device")


# Which device


@on_stand_in
def test_auto_takes_the_first_gpu_that_works_else_the_cpu(scan, capsys):
    def device() -> str:
        return scan.run(engine("DM"), device="auto").params["device"]

    last = len(_core.cuda_devices()) - 1
    try:
        assert device() == "cuda:0"
        break_gpu(0, True)
        assert device() == ("cuda:1" if last else "cpu")
        for number in range(last + 1):
            break_gpu(number, True)
        assert device() == "cpu"
        exitwave.show_config()
        assert "cannot be used: device cuda:0" in (said := capsys.readouterr().out)
        assert "device 'auto' is 'cpu'" in said
        with pytest.raises(DeviceError):
            scan.run(engine("DM"), device="cuda")
    finally:
        for number in range(last + 1):
            break_gpu(number, False)
    assert device() == "cuda:0"
