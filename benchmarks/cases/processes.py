"""Measurements in a process of their own, whose memory and time nobody else shares."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from exitwave.errors import ExitwaveError

LONGEST_S = 1200


def last_line(*command: Any) -> Any:
    """What a command prints last, as JSON.

    Raises
    ------
    ExitwaveError
        It takes too long, or fails; the message is the last line of what it said.
    """
    words = [str(word) for word in command]
    named = " ".join(Path(word).name for word in words)
    try:
        done = subprocess.run(
            words,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExitwaveError(f"{named} took longer than {LONGEST_S} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise ExitwaveError(f"{named} ended with {done.returncode}: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])
