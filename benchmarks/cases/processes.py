"""Measurements in a process of their own, whose memory and time nobody else shares."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from exitwave.errors import ExitwaveError


def last_line(*command: Any) -> Any:
    """What a command prints last, as JSON.

    Raises
    ------
    ExitwaveError
        It fails; the message is the last line of what it said.
    """
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise ExitwaveError(f"{command[0]} ended with {done.returncode}: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])
