"""The command line as users meet it: a process of its own in an empty folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import exitwave


@dataclass
class Outcome:
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """``command("info", "scan.h5")`` runs ``exitwave info scan.h5`` in ``tmp_path``."""

    def run(*arguments: object) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "exitwave", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """As ``command``, but within this process, which is faster."""
    from exitwave import cli

    def run(*arguments: object) -> Outcome:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as left:
            cli.main([str(argument) for argument in arguments])
        return Outcome(int(left.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File with 30 simulated frames of 32 x 28."""
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    exitwave.simulate((32, 28), 30, counts_per_frame=1e6, seed=1).save(path)
    return path
