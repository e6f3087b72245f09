"""rechunk: what a run that streams from a file in bad chunks is told to do."""

from __future__ import annotations

import re
import warnings
from typing import Any

import h5py
import pytest

import exitwave
from small_scan import SmallScan, assert_same_bits, small_scan


def streamed(scan: SmallScan, stored: h5py.Dataset, name: str) -> exitwave.Result:
    """Two engines on counts that stay in their file."""
    engines: list[dict[str, Any]] = [{"name": name, "iterations": n} for n in (2, 1)]
    from_file = SmallScan(**(vars(scan) | {"data": stored}))
    return from_file.run(*engines, memory_limit={"host": 3 * scan.data.nbytes // 2})


def test_the_warning_comes_once_and_doing_what_it_says_ends_it(main, tmp_path):
    """And changes no bit."""
    scan = small_scan("far", noise=True, frame=(32, 32), frames=400)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        stored = file.create_dataset("counts", data=scan.data, chunks=(40, 16, 32))
        with pytest.warns(UserWarning, match="data stay in their file") as seen:
            whole = streamed(scan, stored, "ePIE")
    assert len(seen) == 1
    text = str(seen[0].message)
    assert "about 40.0 times what it needs" in text
    command = re.search(r"exitwave (rechunk .*) NEW_FILE (.*)\.$", text)
    assert command is not None

    outcome = main(*command[1].split(), "new.h5", *command[2].split())

    assert (outcome.code, outcome.err) == (0, "")
    assert "chunks of 40 × 16 × 32, now chunks of 1 × 32 × 32" in outcome.out
    with h5py.File(tmp_path / "new.h5") as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_bits(whole, streamed(scan, file["counts"], "ePIE"))


def test_engines_that_read_in_order_are_content_with_longer_chunks(tmp_path):
    scan = small_scan("far", noise=True, frame=(32, 32), frames=400)
    with h5py.File(tmp_path / "scan.h5", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = file.create_dataset("counts", data=scan.data, chunks=(40, 16, 32))
        streamed(scan, stored, "AP")


def test_rechunk_refuses_to_overwrite(main, scan, tmp_path):
    (tmp_path / "new.h5").write_bytes(b"mine")

    outcome = main("rechunk", scan, "new.h5")

    assert outcome.code == 2
    assert "output new.h5 exists; add --overwrite" in outcome.err
    assert (tmp_path / "new.h5").read_bytes() == b"mine"
