"""What is done to frames while they are read: bad pixels masked, centre found, window chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.io.dataset import Bool
from exitwave.io.frames import FrameReader
from exitwave.io.options import Options
from exitwave.io.window import Window

if TYPE_CHECKING:
    from exitwave.prepare import PixelStatistics


def statistics_needed(
    reader: FrameReader, wanted: range, options: Options
) -> PixelStatistics | None:
    """One look at the frames, where an option asks for what only they can tell."""
    if not options.find_bad_pixels and options.centre != "auto":
        return None
    from exitwave.prepare import pixel_statistics

    return pixel_statistics(reader, wanted)


def without_bad_pixels(known: PixelStatistics, mask: Bool | None, notes: list[str]) -> Bool | None:
    """The mask with the bad pixels that the frames show; a note says how many."""
    from exitwave.prepare import find_bad_pixels

    bad = find_bad_pixels(known, mask)
    count = int(bad.any.sum())
    notes.append(f"bad pixels that were found, and masked: {bad}.")
    if count == 0:
        return mask
    left = ~bad.any if mask is None else mask & ~bad.any
    if not left.any():
        raise FileFormatError("all valid pixels look bad; leave find_bad_pixels out.")
    return left


def chosen_window(
    shape: tuple[int, int],
    known: PixelStatistics | None,
    mask: Bool | None,
    options: Options,
    regime: str,
    notes: list[str],
) -> Window:
    """Crop or pad, around the centre that was given or found.

    Raises
    ------
    InvalidArgument
        crop is larger than the frames, pad smaller, or a centre is given in the near field.
    """
    if options.crop is not None and any(c > n for c, n in zip(options.crop, shape, strict=True)):
        raise InvalidArgument(
            f"crop is {options.crop}, but frames are only {shape}; give a smaller crop, or pad."
        )
    if options.pad is not None and any(p < n for p, n in zip(options.pad, shape, strict=True)):
        raise InvalidArgument(
            f"pad is {options.pad}, but frames are {shape} already; give a larger pad, or crop."
        )
    if options.centre is not None and regime == "near":
        raise InvalidArgument(
            "centre is given, but near-field frames have no zero frequency; leave it out."
        )
    centre: tuple[float, float] | None
    if options.centre == "auto":
        centre = None if known is None else _found_centre(known, mask, notes)
    else:
        centre = options.centre
    window = Window.around(shape, options.crop or options.pad or shape, centre)
    if window.pixels_outside and options.pad is None:
        notes.append(
            f"{window.pixels_outside} pixels around the centre lie outside the detector and are "
            "invalid."
        )
    return window


def _found_centre(
    known: PixelStatistics, mask: Bool | None, notes: list[str]
) -> tuple[float, float]:
    from exitwave.prepare import find_centre

    valid = known.usable if mask is None else mask & known.usable
    if not np.any(known.mean[valid]):
        raise FileFormatError("there are no counts to find the centre from; leave centre out.")
    found = find_centre(known.mean, valid)
    mass = find_centre(known.mean, valid, "mass")
    middle = tuple(n // 2 for n in known.mean.shape)
    notes.append(
        f"the centre of the frames was found at ({found.row:.2f}, {found.column:.2f}) by symmetry "
        f"(agreement {found.agreement:.3f}), where {middle} is the middle; the centre of mass is "
        f"({mass.row:.2f}, {mass.column:.2f})."
    )
    return found.row, found.column
