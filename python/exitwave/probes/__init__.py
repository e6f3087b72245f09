"""Illuminations: lens, zone plate, KB mirrors, electron lens, aperture, diffuser, Gaussian; modes.

All are complex128 (Y, X) of unit power, centred at (Y//2, X//2), with sizes in metres in the
sample plane. :func:`make_probe` makes each by name and fills in what is not given.
"""

from exitwave.probes.apertures import aperture, diffuser, gaussian
from exitwave.probes.catalogue import (
    PROBES,
    complete_settings,
    make_probe,
    mode_plane,
    setting_names,
)
from exitwave.probes.grid import coordinates, diameter_m
from exitwave.probes.modes import add_modes, mode_powers
from exitwave.probes.optics import electron, kb, lens, zone_plate

__all__ = [
    "PROBES",
    "add_modes",
    "aperture",
    "complete_settings",
    "coordinates",
    "diameter_m",
    "diffuser",
    "electron",
    "gaussian",
    "kb",
    "lens",
    "make_probe",
    "mode_plane",
    "mode_powers",
    "setting_names",
    "zone_plate",
]
