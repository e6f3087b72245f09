"""Data before a run: centre of the patterns, bad pixels, crop, pad, bin.

All look at the counts in chunks, in their own type, whether they are an array or a dataset of a
file. :func:`exitwave.load` and the command line offer the same as options.
"""

from exitwave.prepare.bad_pixels import BadPixels, find_bad_pixels
from exitwave.prepare.centre import Centre, find_centre
from exitwave.prepare.frames import bin_frames, cut_frames
from exitwave.prepare.misfit import Misfit, find_misfits
from exitwave.prepare.statistics import PixelStatistics, pixel_statistics

__all__ = [
    "BadPixels",
    "Centre",
    "Misfit",
    "PixelStatistics",
    "bin_frames",
    "cut_frames",
    "find_bad_pixels",
    "find_centre",
    "find_misfits",
    "pixel_statistics",
]
