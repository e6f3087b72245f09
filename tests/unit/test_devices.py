"""From the name of a device to threads, batches and parts."""

from __future__ import annotations

import pytest

from exitwave import DeviceError, InvalidArgument, _core
from exitwave.devices import available_threads, choose_lanes


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_cpu_takes_a_part_for_each_processor(name):
    lanes = choose_lanes(name, None, None, 1000)

    assert lanes.parts == lanes.settings.threads == available_threads()
    assert lanes.settings.batch == 1
    assert not lanes.settings.emulated


def test_threads_that_are_asked_for():
    lanes = choose_lanes("cpu:5", None, None, 1000)

    assert lanes.parts == lanes.settings.threads == 5


@pytest.mark.parametrize(("parts", "threads"), [(1, 1), (3, 3), (4, 4), (9, 4)])
def test_threads_without_a_part_are_not_started(parts, threads):
    lanes = choose_lanes("cpu:4", parts, None, 1000)

    assert lanes.parts == parts
    assert lanes.settings.threads == threads


@pytest.mark.parametrize(("device", "parts"), [("cpu:64", 2), ("emulated", 2)])
def test_no_more_parts_than_frames(device, parts):
    assert choose_lanes(device, None, None, 2).parts == parts
    with pytest.raises(InvalidArgument, match="parts is 3, but must be at most the 2 frames"):
        choose_lanes(device, 3, None, 2)


def test_emulated_device_takes_batches_and_parts():
    lanes = choose_lanes("emulated", None, None, 1000)

    assert lanes.settings.emulated
    assert lanes.settings.batch >= 3
    assert lanes.parts >= 3
    assert choose_lanes("emulated", 1, 7, 1000).settings.batch == 7


@pytest.mark.skipif(not _core.build_info()["cuda"], reason="this build can use CUDA")
def test_gpu_of_a_build_without_one_says_why():
    with pytest.raises(DeviceError, match=_core.build_info()["cuda"]):
        choose_lanes("cuda:1", None, None, 1000)
