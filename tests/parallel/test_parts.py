"""Any number of parts, threads and batches gives the result of one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import exitwave
from exitwave.fft_library import find_fft_library
from small_scan import (
    ENGINES,
    OBJECT,
    SmallScan,
    assert_same_bits,
    devices,
    everything,
    relative,
    small_scan,
)

MODES = [(1, 1), (2, 2)]
# The order of additions differs, nothing else.
TOLERANCE = 1e-5
# So do transforms; ML with a tight support of the probe makes the most of it.
TOLERANCE_OF_GPUS = 5e-5


@cache
def scan_of(regime: str, modes: tuple[int, int]) -> SmallScan:
    """Start values a little off, and frames in an order that is not that of the scan."""
    return small_scan(regime, *modes)


@cache
def one_part(name: str, regime: str, modes: tuple[int, int]) -> exitwave.Result:
    return scan_of(regime, modes).run(everything(name), device="cpu:1", parts=1)


def assert_close(one: exitwave.Result, two: exitwave.Result) -> None:
    off_object, off_probe = relative(two.object, one.object), relative(two.probe, one.probe)
    on_gpu = two.params["device"].startswith("cuda")
    assert off_object < (TOLERANCE_OF_GPUS if on_gpu else TOLERANCE)
    assert off_probe < (TOLERANCE_OF_GPUS if on_gpu else TOLERANCE)
    np.testing.assert_allclose(two.errors[0], one.errors[0], rtol=1e-4)
    assert two.error == pytest.approx(one.error, rel=1e-4)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("device", devices("cpu:1", "cpu:2", "emulated", "emulated:1"))
@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", ENGINES)
def test_parts_do_not_change_the_result(name, regime, modes, device, parts):
    expected = one_part(name, regime, modes)

    # As it is for users: on GPUs with atomic additions.
    how = {"device": device, "parts": parts, "deterministic": False}
    result = scan_of(regime, modes).run(everything(name), **how)

    assert_close(expected, result)
    # Something happened that a wrong exchange would have spoilt.
    assert result.errors[0][-1] < 0.7 * result.errors[0][0]


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ["DM", "rPIE", "ML"])
def test_parts_find_the_same_ratio_of_one_material(name, device):
    """And smooth over their borders."""
    options = {"name": name, "iterations": 4, "object_kappa": 0.3, "kappa_start": 0}
    options |= {"constraint_every": 2, "object_blur_px": 0.8}
    one, several = (
        scan_of("far", (2, 2)).run(options, device=device, parts=parts) for parts in (1, 3)
    )

    assert_close(one, several)
    found = [result.refined["kappa"].history for result in (one, several)]
    assert len(found[0]) == 3
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)
    assert abs(found[0][-1] - 0.3) > 0.01


@pytest.mark.parametrize("device", devices("cpu:1", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_as_many_parts_as_frames(name, device):
    expected = one_part(name, "far", (1, 1))

    assert_close(expected, scan_of("far", (1, 1)).run(everything(name), device=device, parts=13))


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_mean_of_a_flat_region_is_that_of_all_parts(name, device):
    """Half of the object, which every part has some pixels of."""
    options = everything(name, object_flat=np.indices(OBJECT)[0] < 10)
    expected = scan_of("far", (1, 2)).run(options, device="cpu:1", parts=1)

    result = scan_of("far", (1, 2)).run(options, device=device, parts=4)

    assert_close(expected, result)
    assert np.ptp(np.abs(result.object[0][7:10, 9:20])) < 1e-6


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("regime", ["far", "near"])
@pytest.mark.parametrize("name", ENGINES)
def test_batches_agree_to_the_bit(name, regime, modes, device):
    """1, 2, 3 and 5 frames a step: parts of 7 and 6 frames end in batches that are not full."""
    one, *others = (
        scan_of(regime, modes).run(everything(name), device=device, parts=2, batch=batch)
        for batch in (1, 2, 3, 5)
    )

    for other in others:
        assert_same_bits(one, other)


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("name", ENGINES)
def test_same_run_twice_agrees_to_the_bit(name, device):
    scan = scan_of("far", (2, 2))
    assert_same_bits(
        scan.run(everything(name), device=device, parts=3),
        scan.run(everything(name), device=device, parts=3),
    )


@pytest.mark.parametrize("name", ENGINES)
def test_threads_do_not_change_a_bit(name):
    """The same parts on one thread and on several."""
    scan = scan_of("near", (2, 2))
    one, *others = (
        scan.run(everything(name), device=f"cpu:{threads}", parts=4) for threads in (1, 2, 3, 4)
    )

    for other in others:
        assert_same_bits(one, other)


@pytest.mark.parametrize("name", ENGINES)
def test_chain_and_centring_in_parts(name):
    """Exit waves that move with the probe, and modes that grow, on every device."""
    scan = scan_of("far", (1, 1))
    chain = [
        everything(name, iterations=3, probe_centring=1, probe_support=None),
        everything("ePIE", iterations=2, probe_modes=2),
    ]

    expected = scan.run(*chain, device="cpu:1", parts=1)

    for device, parts in (("cpu:2", 5), ("emulated", 4)):
        result = scan.run(*chain, device=device, parts=parts)
        off_object = relative(result.object, expected.object)
        off_probe = relative(result.probe, expected.probe)
        assert off_object < TOLERANCE
        assert off_probe < TOLERANCE


@pytest.mark.parametrize("regime", ["far", "near"])
def test_whole_positions_take_the_short_way_to_the_same_result(regime):
    """Positions that are whole need no shift; a millionth of a pixel changes next to nothing.

    Without a support: behind one the unmoved probe is dark, and the moved one is not quite.
    """
    scan = small_scan(regime, 2, fractional=False)
    moved = SmallScan(**(vars(scan) | {"positions": scan.positions + 2.0**-20}))

    for name in ENGINES:
        given = everything(name, probe_support=None)
        short, long = (each.run(given, parts=2) for each in (scan, moved))
        off = relative(long.object, short.object)
        assert off < 1e-4


@pytest.mark.parametrize("plans", ["own", "measured", "estimated"])
def test_another_process_gives_the_same_bits(plans, tmp_path):
    """A library's plans come from the kept wisdom, or are estimated: never measured anew."""
    code = (
        "import sys, zlib; sys.path.insert(0, sys.argv[1])\n"
        "from small_scan import small_scan\n"
        "r = small_scan('far', 2).run({'name': 'DM', 'iterations': 5}, parts=3)\n"
        "print(zlib.crc32(r.object.tobytes() + r.probe.tobytes()))"
    )
    tests = Path(__file__).resolve().parents[1]
    environment = os.environ | {"EXITWAVE_CACHE": "" if plans == "estimated" else str(tmp_path)}
    if plans != "own":
        environment["EXITWAVE_FFT"] = find_fft_library()

    sums = {
        subprocess.run(
            [sys.executable, "-c", code, str(tests)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for _ in range(3)
    }

    assert len(sums) == 1
    assert len(list(tmp_path.iterdir())) == (1 if plans == "measured" else 0)
