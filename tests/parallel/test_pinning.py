"""Counts that come and go in blocks are pinned where they are, and let go whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exitwave import DeviceError
from exitwave.cuda_library import why_no_gpu
from foreign_arrays import break_gpu, is_pinned, stand_in
from short_memory import short_limit
from small_scan import assert_same_bits, small_scan

pytestmark = pytest.mark.skipif(
    bool(why_no_gpu()) or stand_in() is None, reason="asks the stand-in for GPUs"
)
ENGINE = {"name": "ML", "iterations": 3}
WHERE = {"device": "cuda", "parts": 3}


def test_streamed_counts_are_pinned_during_a_run_on_a_gpu():
    scan = small_scan("far", noise=True, frames=31)
    limit = short_limit(scan, ENGINE, "device", **WHERE)
    seen = []

    resident = scan.run(ENGINE, callback=lambda _: seen.append(is_pinned(scan.data)), **WHERE)
    streamed = scan.run(
        ENGINE, callback=lambda _: seen.append(is_pinned(scan.data)), memory_limit=limit, **WHERE
    )

    assert seen == [False] * 3 + [True] * 3
    assert not is_pinned(scan.data)
    assert_same_bits(resident, streamed)


def test_what_was_pinned_is_let_go_when_a_gpu_fails():
    scan = small_scan("far", noise=True, frames=31)
    limit = short_limit(scan, ENGINE, "device", **WHERE)

    def fail(state):
        assert is_pinned(scan.data)
        break_gpu(0, True)

    try:
        with pytest.raises(DeviceError, match="device cuda:0"):
            scan.run(ENGINE, callback=fail, memory_limit=limit, **WHERE)
    finally:
        break_gpu(0, False)

    assert not is_pinned(scan.data)
    assert_same_bits(scan.run(ENGINE, **WHERE), scan.run(ENGINE, memory_limit=limit, **WHERE))


def test_where_nothing_can_be_pinned_gpus_are_given_copies():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from parallel.test_pinning import ENGINE, WHERE\n"
        "from foreign_arrays import is_pinned\n"
        "from short_memory import short_limit\n"
        "from small_scan import assert_same_bits, small_scan\n"
        "scan = small_scan('far', noise=True, frames=31)\n"
        "limit = short_limit(scan, ENGINE, 'device', **WHERE)\n"
        "pinned = lambda state: print(is_pinned(scan.data))\n"
        "streamed = scan.run(ENGINE, memory_limit=limit, callback=pinned, **WHERE)\n"
        "assert_same_bits(scan.run(ENGINE, **WHERE), streamed)\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, tests],
        env=os.environ | {"EXITWAVE_CUDA_ON_HOST": "pinnable=0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("False\n" * 3, "")
