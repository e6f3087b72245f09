"""What is asked for ahead is where the frames are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from exitwave.read_ahead import ReadAhead

FRAMES = np.random.default_rng(2).integers(0, 1000, (9, 5, 7)).astype(np.uint16)


def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(offset, size) of what the system is told."""
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "os.posix_fadvise", lambda file, offset, size, advice: seen.append((offset, size))
    )
    return seen


@pytest.mark.parametrize("kind", [{}, {"chunks": (1, 5, 7)}], ids=["contiguous", "chunks"])
def test_frames_are_where_they_are_said_to_be(tmp_path: Path, monkeypatch, kind: dict[str, Any]):
    path = tmp_path / "counts.h5"
    with h5py.File(path, "w") as file:
        file["before"] = np.arange(100)
        file.create_dataset("counts", data=FRAMES, **kind)
    places = asked(monkeypatch)
    with h5py.File(path) as file:
        ahead = ReadAhead(file["counts"], FRAMES[0].nbytes)
        ahead.expect([4, 0, 8])

    content = path.read_bytes()
    found = [np.frombuffer(content[o : o + n], np.uint16) for o, n in places]
    np.testing.assert_array_equal(np.reshape(found, (3, 5, 7)), FRAMES[[4, 0, 8]])


def test_so_much_is_asked_for_and_each_frame_once(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("exitwave.read_ahead._AHEAD_BYTES", 3 * FRAMES[0].nbytes)
    places = asked(monkeypatch)
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        counts = file.create_dataset("counts", data=FRAMES, chunks=(1, 5, 7), compression="gzip")
        ahead = ReadAhead(counts, FRAMES[0].nbytes)
        ahead.expect(range(5))
        assert len(places) == 3
        ahead.use(1)
        assert len(places) == 4
        ahead.use(4)
        assert len(places) == len(set(places)) == 5
        ahead.expect([8])
        assert len(places) == 6


@pytest.mark.parametrize(
    "kind", [{"chunks": (2, 5, 7)}, {"chunks": (1, 5, 4)}], ids=["frames", "pieces"]
)
def test_frames_that_share_a_chunk_are_left_to_the_library(tmp_path: Path, monkeypatch, kind):
    places = asked(monkeypatch)
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        ReadAhead(file.create_dataset("counts", data=FRAMES, **kind), 70).expect(range(9))
    assert places == []
