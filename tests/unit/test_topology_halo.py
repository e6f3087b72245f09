"""Halos of any partition: the pixels that parts exchange, counted one by one, and by the core."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exitwave.errors import InvalidArgument
from exitwave.fft_library import load_fft_library
from exitwave.partition import split_in_parts
from exitwave.topology import find_halo


def scan_of(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, (50, 90), (frames, 2))


def counted(positions, parts, frame, shape):
    """Pixels that parts send to owners, one pixel at a time."""
    corners = np.floor(positions + 0.5).astype(int)
    boxes, cores, tiles = [], [], []
    half = frame[0] // 2, frame[1] // 2
    for frames in parts:
        (y0, x0), (y1, x1) = corners[frames].min(axis=0), corners[frames].max(axis=0) + frame
        boxes.append((y0, x0, y1, x1))
        end = y1 - frame[0] + half[0], x1 - frame[1] + half[1]
        # Cores of parts in one row or column of frames are empty.
        cores.append((y0 + half[0], x0 + half[1], *end))
        tiles.append((y0 - 1, x0 - 1, y1 + 1, x1 + 1))

    def inside(rect, y, x):
        return rect[0] <= y < rect[2] and rect[1] <= x < rect[3]

    pixels: dict[tuple[int, int], int] = {}
    for y in range(shape[0]):
        for x in range(shape[1]):
            if not any(cy <= y < cy + frame[0] and cx <= x < cx + frame[1] for cy, cx in corners):
                continue
            first = [part for part, core in enumerate(cores) if inside(core, y, x)]
            owner = [*first, *(part for part, box in enumerate(boxes) if inside(box, y, x))][0]
            for sender, tile in enumerate(tiles):
                if inside(tile, y, x):
                    pixels[owner, sender] = pixels.get((owner, sender), 0) + 1
    return pixels


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 13])
@pytest.mark.parametrize("seed", range(3))
def test_halos_are_those_of_a_count_over_all_pixels(parts, seed):
    """On a scan with holes: pixels that no window reaches are nobody's."""
    positions, frame, shape = scan_of(23, seed), (9, 13), (61, 105)
    pieces = split_in_parts(positions, parts, frame_shape=frame)

    halo = find_halo(positions, pieces, frame, shape)

    expected = counted(positions, pieces, frame, shape)
    assert halo.owned_pixels.tolist() == [expected.get((p, p), 0) for p in range(parts)]
    sent = zip(halo.owner.tolist(), halo.sender.tolist(), halo.pixels.tolist(), strict=True)
    assert {(o, s): n for o, s, n in sent} == {k: n for k, n in expected.items() if k[0] != k[1]}


def test_halos_of_scattered_parts_are_right_too():
    """Any partition, not only compact ones; and in bands of few rows."""
    positions, frame = scan_of(16, 5), (11, 7)
    pieces = [np.arange(16)[start::3] for start in range(3)]
    shape = (62, 98)

    halo = find_halo(positions, pieces, frame, shape)

    expected = counted(positions, pieces, frame, shape)
    assert halo.pixels.sum() == sum(n for (o, s), n in expected.items() if o != s)


def test_bands_do_not_change_the_halo(monkeypatch):
    positions, frame = scan_of(200, 4), (12, 20)
    pieces = split_in_parts(positions, 9, frame_shape=frame)
    whole = find_halo(positions, pieces, frame, (63, 111))

    monkeypatch.setattr("exitwave.topology.halo._BAND_PIXELS", 500)
    banded = find_halo(positions, pieces, frame, (63, 111))

    for name in ("tiles", "owned_pixels", "owner", "sender", "pixels"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(banded, name))


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 8])
def test_halos_are_those_of_the_core(parts):
    """A second object mode adds 16 bytes per tile pixel, 8 per halo pixel at either
    end, and a wave of scratch for each part.

    Emulated devices count every byte that they hold, packed halo sums among them.
    """
    from exitwave import _core

    load_fft_library()
    positions, frame, shape = scan_of(40, 7), (12, 20), (62, 110)
    pieces = split_in_parts(positions, parts, frame_shape=frame)
    scan = _core.Scan(
        np.ones((40, *frame), np.uint16),
        np.ones(frame, bool),
        np.floor(positions + 0.5).astype(np.int32),
        np.zeros((40, 2), np.float32),
        shape,
        None,
        [piece.tolist() for piece in pieces],
    )
    settings = _core.CpuSettings()
    settings.threads, settings.batch, settings.emulated = 1, 1, parts

    def held(object_modes: int) -> int:
        options = _core.EngineOptions()
        options.name, options.object_modes, options.probe_modes = "ePIE", object_modes, 1
        obj, probe = np.ones((object_modes, *shape), np.complex64), np.ones((1, *frame))
        devices = _core.Engine(scan, options, obj, probe.astype(np.complex64), settings).memory
        return sum(device.peak for device in devices[:-1])

    halo = find_halo(positions, pieces, frame, shape)

    more = held(2) - held(1)
    assert more == 16 * (halo.tile_pixels.sum() + halo.pixels.sum()) + 8 * parts * math.prod(frame)


def test_windows_outside_the_object_and_empty_parts_are_refused():
    positions = scan_of(6)

    with pytest.raises(InvalidArgument, match="outside the object of 30 x 110 pixels"):
        find_halo(positions, [np.arange(6)], (12, 20), (30, 110))
    with pytest.raises(InvalidArgument, match="no frames in part 1"):
        find_halo(positions, [np.arange(6), np.arange(0)], (12, 20))
