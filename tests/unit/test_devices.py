"""From the name of a device to threads, batches and parts."""

from __future__ import annotations

import re

import pytest

from exitwave import DeviceError, InvalidArgument, _core
from exitwave.cuda_library import why_no_gpu
from exitwave.devices import available_threads, choose_device, choose_lanes, free_device_bytes
from exitwave.memory_limit import MemoryLimits


def test_cpu_takes_a_part_for_each_processor():
    lanes = choose_lanes("cpu", None, None, 1000)

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


@pytest.mark.skipif(not why_no_gpu(), reason="this build can use CUDA")
def test_auto_is_the_cpu_where_there_is_no_gpu():
    assert choose_device("auto") == "cpu"
    assert choose_lanes("auto", None, None, 1000).settings.threads == available_threads()


@pytest.mark.skipif(not why_no_gpu(), reason="this build can use CUDA")
def test_gpu_of_a_build_without_one_says_why():
    with pytest.raises(DeviceError, match=re.escape(why_no_gpu())):
        choose_lanes("cuda:1", None, None, 1000)


@pytest.mark.skipif(bool(why_no_gpu()), reason="no GPU, nor a stand-in for one, can be used")
class TestGpus:
    def test_each_has_two_streams_and_as_many_parts(self):
        lanes = choose_lanes("cuda", None, None, 1000)

        assert lanes.settings.devices == [0]
        assert lanes.parts == lanes.settings.streams == 2
        assert choose_lanes("cuda:0", None, None, 1).parts == 1

    def test_the_batch_is_what_the_cache_holds_or_what_is_asked_for(self):
        waves = 8 * 64 * 64
        lanes = choose_lanes("cuda", None, None, 1000)

        cache = _core.cuda_devices()[0].cache_bytes
        assert lanes.planning(waves).batch == max(1, cache // (4 * waves))
        assert choose_lanes("cuda", None, 7, 1000).planning(waves).batch == 7

    def test_settings_reach_the_core(self):
        lanes = choose_lanes("cuda", 3, 2, 1000, deterministic=True)

        settings = lanes.limited(MemoryLimits(12345, 678), 999)

        assert settings.deterministic
        assert (settings.memory_limit, settings.host_limit) == (12345, 678)
        assert settings.wave_bytes == 999
        assert not settings.planning

    def test_wrong_names_say_what_is_there(self):
        with pytest.raises(InvalidArgument, match="each GPU once"):
            choose_lanes("cuda:0,0", None, None, 1000)
        with pytest.raises(DeviceError, match="there is only cuda:0"):
            choose_lanes("cuda:0,99", None, None, 1000)

    def test_free_memory_is_that_of_the_fullest(self):
        assert 0 < free_device_bytes("cuda") <= _core.cuda_devices()[0].bytes
        assert free_device_bytes("cpu") is None
