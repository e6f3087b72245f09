"""A process that is killed at any moment leaves a checkpoint from which the run goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Forks children that reconstruct with a checkpoint after every iteration, kills each at a random
# moment, and lets the next one go on, until the run comes to its end.
SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
import exitwave
from exitwave.io.checkpoint_file import read_checkpoint
from small_scan import small_scan

engines = [{"name": "DM", "iterations": 300}, {"name": "mPIE", "iterations": 300},
           {"name": "ML", "iterations": 300}]
scan = small_scan("far", 2, noise=True)


def forked(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


def keep(name, result):
    np.savez("new.npz", object=result.object, probe=result.probe, errors=result.errors)
    os.replace("new.npz", name)


def whole():
    keep("whole.npz", scan.run(*engines))


def part(every=1):
    if os.path.exists("run"):
        result = exitwave.resume("run", scan.data, {"checkpoint_every": every})
    else:
        result = scan.run(*engines, checkpoint="run", checkpoint_every=1)
    keep("part.npz", result)


def written():
    return os.stat("run").st_ino if os.path.exists("run") else 0


os.waitpid(forked(whole), 0)
moments = random.Random(1)
kills, last = 0, 0
began = time.monotonic()
while not os.path.exists("part.npz"):
    before = written()
    child = forked(part)
    # Half of them while they begin, half while they write one checkpoint after the other.
    if kills % 2:
        while written() == before and not os.path.exists("part.npz"):
            time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
    kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    if os.path.exists("run"):
        at = read_checkpoint(Path("run"))
        now = sum(map(len, at.errors)) + len(at.engine.errors)
        assert now >= last, (now, last)
        last = now
    assert time.monotonic() - began < 120
    if kills == int(sys.argv[1]):
        os.waitpid(forked(lambda: part(1000)), 0)
one, two = np.load("whole.npz"), np.load("part.npz")
for name in one.files:
    np.testing.assert_array_equal(one[name], two[name])
print(kills, last)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_at_many_moments(tmp_path: Path):
    tests = Path(__file__).parents[1]
    script = f"import sys; sys.path.insert(0, {str(tests)!r})\n" + SCRIPT

    done = subprocess.run(
        [sys.executable, "-c", script, "40"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    kills, iterations = map(int, done.stdout.split())
    assert kills >= 20
    assert iterations > 5
    # Nothing else is left behind, not even by those that were killed while they wrote.
    assert {path.name for path in tmp_path.iterdir()} == {"whole.npz", "part.npz"}
