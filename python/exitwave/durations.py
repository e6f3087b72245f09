"""Times as users write them."""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?"
)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")


def seconds_of(duration: float | str) -> float:
    """Seconds of 5400, "1h30m", "90m", "2d" or, as batch systems write it, "1-12:00:00".

    Raises
    ------
    ValueError
        It is none of these, or not above 0.
    """
    if isinstance(duration, str):
        text = duration.replace(" ", "")
        match = _CLOCK.fullmatch(text) or _PARTS.fullmatch(text)
        if match is None:
            raise ValueError
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        duration = 86400 * days + 3600 * hours + 60 * minutes + seconds
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not duration > 0:
        raise ValueError
    return float(duration)
