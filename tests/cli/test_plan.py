"""plan: what a reconstruction would cost, for files and for scans that are only described."""

from __future__ import annotations

import pytest
from matplotlib.image import imread

from exitwave import scans
from exitwave.topology import Job, predict, read_machine

SIMULATED = ("plan", "--simulate", "spiral:400", "--frame-shape", "48,64", "--step-px", "5,6")


def lines(outcome):
    """Labels and values of a printed table."""
    assert (outcome.code, outcome.err) == (0, "")
    rows = (line.split("  ", maxsplit=1) for line in outcome.out.splitlines())
    return {label: value.strip() for label, value in rows}


def test_plan_of_a_simulated_scan_prints_what_the_model_predicts(command):
    outcome = command(
        *SIMULATED, "--machine", "a100-pcie", "--nodes", 2, "--engine", "ML", "--probe-modes", 3
    )

    found = lines(outcome)
    job = Job(scans.spiral(400, (5, 6)), (48, 64), engine="ML", probe_modes=3)
    expected = predict(job, read_machine("a100-pcie"), 2)
    assert found["devices"] == "8 on 2 nodes"
    assert found["engine"] == "ML, 3 probe modes"
    assert found["parts"].startswith("50 frames, tiles up to ")
    assert found["iteration"] == f"{1e6 * expected.seconds:.3g} µs (predicted)"
    assert {"network", "between sockets", "PCIe switch"} < set(found)
    halo = expected.object_traffic.bytes[0]
    assert found["network"].startswith(f"halo {halo / 1e3:.3g} kB, probe ")


def test_plan_of_a_file_reads_its_shape_and_positions(main, scan, tmp_path):
    outcome = main("plan", scan, "--machine", "laptop", "--devices", 3, "--plot", "parts.png")

    found = lines(outcome)
    assert found["scan"].startswith("30 frames of 32 × 28, object ")
    assert found["devices"] == "3 on 1 node"
    assert found["parts"].startswith("10 frames, tiles up to ")
    assert imread(tmp_path / "parts.png")[..., :3].std() > 0.05


def test_options_of_load_choose_frames_and_pixels(main, scan):
    outcome = main("plan", scan, "--frames", "0:20", "--crop", 16, "--machine", "laptop")

    assert lines(outcome)["scan"].startswith("20 frames of 16 × 16, object ")


def test_plan_on_this_machine_needs_no_description(main):
    found = lines(main(*SIMULATED, "--engine", "ePIE", "--group-size", 8))

    assert found["machine"].startswith("this machine: ")
    assert found["engine"] == "ePIE, groups of 8"


def test_plan_on_a_machine_of_a_file(main, tmp_path):
    (tmp_path / "own.toml").write_text(
        'name = "own"\n[device]\nname = "card"\nmemory_bytes = 3e6\n'
        "memory_bandwidth_bytes_per_s = 1e12\n[host]\nmemory_bytes = 1e9\n"
        "bandwidth_bytes_per_s = 1e9\n[disk]\nmemory_bytes = 1e12\n"
        'bandwidth_bytes_per_s = 1e9\n[[levels]]\nname = "cable"\n'
        "bandwidth_bytes_per_s = 1e9\nlatency_s = 1e-5\n",
        encoding="utf-8",
    )

    found = lines(main(*SIMULATED, "--machine", "own.toml", "--nodes", 2))

    assert found["machine"] == "own: card, 1 per node"
    assert "stream from host" in found
    assert found["memory"].endswith("the rest streams from host memory")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a FILE or --simulate; see 'exitwave plan --help'"),
        ([*SIMULATED[1:], "--crop", "8"], "options on how to read a file need a FILE"),
        ([*SIMULATED[1:], "--machine", "dgx-a10"], "perhaps 'dgx-a100'"),
        ([*SIMULATED[1:], "--machine", "none.toml"], "none.toml: the file cannot be read"),
        ([*SIMULATED[1:], "--machine", "bad.toml"], "bad.toml: name is missing; add it"),
        ([*SIMULATED[1:], "--nodes", "0"], "nodes was 0, but must be a whole number"),
        ([*SIMULATED[1:], "--devices", "99", "--machine", "laptop"], "devices is 99, but 1 nodes"),
        ([*SIMULATED[1:], "--group-size", "4"], "group_size is not used by DM"),
        ([*SIMULATED[1:], "--engine", "PIE"], "engine was 'PIE', but must be one of"),
        ([*SIMULATED[1:], "--plot", "parts.gif"], "plot parts.gif must end in .png"),
        (["--simulate", "raster:30"], "frame_shape is missing; give --frame-shape"),
        (["--simulate", "raster", "--frame-shape", "8"], "simulate is 'raster', but must be"),
        (["--simulate", "line:30", "--frame-shape", "8"], "scan was 'line', but must be one of"),
        (["none.h5"], "none.h5: the file does not exist"),
        (["scan.h5", "--step-px", "3"], "--frame-shape and --step-px are for --simulate"),
    ],
)
def test_wrong_plans_are_refused_in_one_line(main, tmp_path, arguments, message):
    (tmp_path / "bad.toml").write_text("[device]\n", encoding="utf-8")

    outcome = main("plan", *arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.startswith("exitwave: ")
    assert outcome.err.count("\n") == 1
