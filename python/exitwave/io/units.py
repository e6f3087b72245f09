"""Units that files and options use, and the factors to metres, joules and pixels."""

from __future__ import annotations

from exitwave.geometry import ELEMENTARY_CHARGE_C

LENGTH_M = {
    "m": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "um": 1e-6,
    "µm": 1e-6,  # micro sign
    "μm": 1e-6,  # Greek mu
    "micron": 1e-6,
    "microns": 1e-6,
    "micrometer": 1e-6,
    "micrometers": 1e-6,
    "nm": 1e-9,
    "nanometer": 1e-9,
    "nanometers": 1e-9,
    "angstrom": 1e-10,
    "å": 1e-10,
    "pm": 1e-12,
}
ENERGY_J = {
    "j": 1.0,
    "joule": 1.0,
    "joules": 1.0,
    "ev": ELEMENTARY_CHARGE_C,
    "kev": 1e3 * ELEMENTARY_CHARGE_C,
}
PIXEL = {"px": 1.0, "pixel": 1.0, "pixels": 1.0}
POSITION = {**LENGTH_M, **PIXEL}
