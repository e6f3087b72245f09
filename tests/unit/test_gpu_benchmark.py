"""What is run on a machine with a GPU: the script around it, and the table of its profile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CMAKE = """#!/bin/bash
echo "cmake got $*"
[[ $1 == --build ]] || exit 0
trap '' TERM
sleep 30 & echo $! >"$OUT/running"
wait; wait
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the script is for Linux")
def test_a_step_ends_at_its_limit_with_all_that_it_started(tmp_path: Path):
    """Also where that takes no warning; files go where the caller says, from where it stands."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cmake").write_text(CMAKE, encoding="utf-8")
    (tools / "cmake").chmod(0o755)
    (tmp_path / "results").mkdir()

    done = subprocess.run(
        ["bash", str(BENCHMARKS / "gpu.sh")],
        cwd=tmp_path,
        env={
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "OUT": str(tmp_path / "results"),
            "EXITWAVE_BUILD": "build",
            "EXITWAVE_CUDA": "HOST",
            "EXITWAVE_SECONDS": "8",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    rows = [line.split() for line in (tmp_path / "results" / "table.txt").read_text().splitlines()]
    assert [row[:2] for row in rows] == [["configure", "passed"], ["build", "stopped"]]
    log = (tmp_path / "results" / "steps.log").read_text()
    assert f"-B {tmp_path}/build/build" in log
    assert "--target _core cuda_on_host test_cuda_lane_on_host" in log
    assert not is_running((tmp_path / "results" / "running").read_text().strip())


def is_running(process: str) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_profile_lists_the_slowest_kernel_first(tmp_path: Path):
    launches = [
        ("0", "void exitwave::cuda::execute<exitwave::kernels::Wave>(T1)", "ns", "12,500", "40"),
        ("1", "vector_fft", "msecond", "0.02", "80"),
        ("2", "vector_fft", "us", "30", "60"),
    ]
    rows = ['"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"']
    for number, name, unit, seconds, dram in launches:
        rows.append(f'"{number}","{name}","gpu__time_duration.sum","{unit}","{seconds}"')
        rows.append(f'"{number}","{name}","dram__throughput.avg.pct","%","{dram}"')
    (tmp_path / "ncu.csv").write_text("\n".join(["==PROF== done", *rows]), encoding="utf-8")

    table = subprocess.run(
        [sys.executable, str(BENCHMARKS / "kernels.py"), str(tmp_path / "ncu.csv")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert table[1].split() == ["vector_fft", "2", "50.0", "80.0%", "68", "0", "0", "0"]
    assert table[2].split() == ["Wave", "1", "12.5", "20.0%", "40", "0", "0", "0"]
