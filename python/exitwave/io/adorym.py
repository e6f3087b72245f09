"""Adorym's data.h5, which is recognised in order to say why it cannot be used as it is."""

from __future__ import annotations

from typing import NoReturn

import h5py

from exitwave.errors import FileFormatError
from exitwave.io.layout import Layout
from exitwave.io.options import Options


def recognises(file: h5py.File) -> bool:
    """By ``exchange/data`` beside positions in pixels."""
    names = file.get("metadata", ())
    return "exchange/data" in file and any(name.startswith("probe_pos_px") for name in names)


def refuse(file: h5py.File, options: Options) -> NoReturn:
    """The file does not tell amplitudes from counts, and squaring the wrong one ruins a run."""
    raise FileFormatError(
        "this is Adorym's layout, which keeps amplitudes (or counts, it does not say) of several "
        "angles; save data = amplitudes**2 of one angle and positions_px as npz and load that."
    )


LAYOUT = Layout("adorym", recognises, refuse)
