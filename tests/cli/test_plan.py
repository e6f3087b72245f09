"""plan: what a reconstruction would cost, for files and for scans that are only described."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from exitwave import scans
from exitwave.parameters import validate_params
from exitwave.timing import frame_seconds
from exitwave.topology import Job, predict, read_machine

SIMULATED = ("plan", "--simulate", "spiral:400", "--frame-shape", "48,64", "--step-px", "5,6")


def lines(outcome):
    """Labels and values of a printed table."""
    assert (outcome.code, outcome.err) == (0, "")
    rows = (line.split("  ", maxsplit=1) for line in outcome.out.splitlines())
    return {label: value.strip() for label, value in rows}


def test_plan_of_a_simulated_scan_prints_what_the_model_predicts(command):
    outcome = command(
        *SIMULATED, "--machine", "a100-pcie", "--nodes", 2, "--engines", "ML:9", "--probe-modes", 3
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
    found = lines(main(*SIMULATED, "--machine", "this", "--engines", "ePIE:9,group_size=8"))

    assert found["machine"].startswith("this machine: ")
    assert found["engine"] == "ePIE, groups of 8"


def test_plan_of_a_run_is_what_it_holds(main, scan):
    """As with the same options of run; the time of an iteration is from frames that were timed."""
    found = lines(main("plan", scan, "--engines", "DM:3 ePIE:2", "--device", "emulated"))

    assert found["device"] == "emulated, 3 parts"
    assert found["DM"] == "counts: device, exit waves: device; batches of 3"
    assert found["ePIE"] == "counts: device; batches of 3"
    assert found["DM device 2"].split()[1] == "kB:"
    assert found["ePIE iteration"].endswith("(a few frames were timed)")


RECIPES = {
    "background": 'background = 20.0\n[[engines]]\nname = "rPIE"\niterations = 3\n',
    "slices of the engine before": """
[propagation]
slice_distances_m = 2e-5
[[engines]]
name = "rPIE"
iterations = 3
slices = 3
[[engines]]
name = "ML"
iterations = 3
""",
    "one slice of two": """
[propagation]
slice_distances_m = [2e-5]
[[engines]]
name = "rPIE"
iterations = 3
slices = 1
[[engines]]
name = "DM"
iterations = 3
""",
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_plan_takes_what_a_run_takes(main, scan, tmp_path, recipe):
    """Of a background only the real counts are enough; slices go from engine to engine."""
    (tmp_path / "recipe.toml").write_text(RECIPES[recipe], encoding="utf-8")
    given = (scan, "--recipe", "recipe.toml", "--device", "cpu:1")

    assert (main("run", *given, "-q", "-o", "out.h5").err) == ""
    found = lines(main("plan", *given))

    assert found["rPIE iteration"].endswith("(a few frames were timed)")


def test_slices_are_in_the_predicted_times(main, scan, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPES["slices of the engine before"], encoding="utf-8")
    thick = (scan, "--recipe", "recipe.toml")

    on_machine = lines(main("plan", *thick, "--machine", "laptop"))
    described = lines(main("plan", *thick, "--device", "h200"))
    thin = lines(main("plan", scan, "--engines", "rPIE:3 ML:3", "--device", "h200"))

    assert on_machine["engine"].startswith("rPIE, 3 slices")
    for engine in ("rPIE iteration", "ML iteration"):
        times = [found[engine].removesuffix(" (predicted)").split() for found in (thin, described)]
        assert times[0][1] == times[1][1] == "µs"
        assert float(times[1][0]) > 2 * float(times[0][0])


def test_frames_are_timed_whatever_fits_the_real_scan_only():
    """A tilt for each of its frames, and a region of its object."""
    engine = {"name": "rPIE", "iterations": 3, "object_flat": np.ones((52, 53), bool)}
    propagation = {
        "regime": "far",
        "wavelength_m": 1e-10,
        "pixel_size_m": 1e-8,
        "slice_distances_m": (2e-6, 3e-6),
        "beam_tilt_rad": np.full((99, 2), 1e-3),
    }
    params = validate_params(
        {"engines": [engine], "propagation": propagation, "device": "cpu:1", "background": 50.0}
    )

    assert frame_seconds(params, params.engines[0], (12, 10), np.uint16, slices=3) > 0


def test_little_memory_plans_blocks(main, scan):
    found = lines(
        main("plan", scan, "--engines", "DM:3", "--device", "cpu:1", "--memory-limit", "400 kB")
    )

    assert found["DM"] == "counts: host, exit waves: file; batches of 1"
    assert found["DM blocks"].startswith("of ")
    assert float(found["DM host memory"].split()[0]) <= 400


def test_plan_for_gpus_that_are_not_there(main):
    """1000 exit waves of 256 x 256 take 512 MB, which four GPUs of 300 MB hold together."""
    big = ("plan", "--simulate", "raster:1000", "--frame-shape", 256, "--engines", "DM:9")

    one = lines(main(*big, "--memory", "300MB"))
    four = lines(main(*big, "--memory", "300MB", "--gpus", 4))
    known = lines(main(*big, "--device", "h200"))

    assert "exit waves: host" in one["DM"]
    assert "exit waves: device" in four["DM"]
    assert four["device"] == "4 × GPU of 300MB, 8 parts"
    assert known["device"] == "1 × H200 SXM 141 GB, 2 parts"
    assert known["DM iteration"].endswith("(predicted)")


def test_plan_names_the_device_that_a_run_would_take_and_batches_that_its_parts_have(main, scan):
    here = lines(main("plan", scan, "--engines", "ML:1"))
    there = lines(main("plan", "--simulate", "raster:10", "--frame-shape", 8, "--device", "h200"))

    assert not here["device"].startswith("auto")
    assert there["rPIE"].endswith("batches of 5")


def test_described_gpus_have_the_cache_of_their_kind(main):
    batches = {
        kind: lines(main("plan", "--simulate", "raster:300", "--frame-shape", 256, *given))["rPIE"]
        for kind, given in (("h200", ("--device", "h200")), ("any", ("--memory", "80 GB")))
    }

    assert batches["h200"].endswith("batches of 30")
    assert batches["any"].endswith("batches of 20")


def test_memory_that_holds_nothing_is_refused_in_one_line(main):
    outcome = main(*SIMULATED, "--memory", "1kB")

    assert (outcome.code, outcome.out) == (1, "")
    assert "memory_limit leaves 800 bytes on each device, but rPIE needs" in outcome.err
    assert outcome.err.count("\n") == 1


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
        ([*SIMULATED[1:], "--nodes", "2"], "--nodes, --devices and --plot need a --machine"),
        ([*SIMULATED[1:], "--gpus", "2"], "described devices need a name, such as h200, or a mem"),
        ([*SIMULATED[1:], "--device", "h201"], "device 'h201' is not known; known ones are"),
        ([*SIMULATED[1:], "--device", "core"], "device 'core' is not known"),
        ([*SIMULATED[1:], "--memory", "much"], "memory is 'much', but must be a size such as 40"),
        ([*SIMULATED[1:], "--memory", "1e400 GB"], "memory is '1e400 GB', but must be a size"),
        ([*SIMULATED[1:], "--memory", "1 GB", "--gpus", "0"], "gpus is 0, but must be at least 1"),
        ([*SIMULATED[1:], "--memory-limit", "1.5"], "memory_limit is '1.5'; it must be"),
        ([*SIMULATED[1:], "--memory-limit", "1e30 GB"], "memory_limit is '1e30 GB'; it must be"),
        (
            [*SIMULATED[1:], "--machine", "laptop", "--nodes", "0"],
            "nodes was 0, but must be a whole number",
        ),
        ([*SIMULATED[1:], "--devices", "99", "--machine", "laptop"], "devices is 99, but 1 nodes"),
        ([*SIMULATED[1:], "--engines", "DM:9,group_size=4"], "group_size is not used by DM"),
        ([*SIMULATED[1:], "--engines", "PIE:9"], "PIE"),
        (
            [*SIMULATED[1:], "--machine", "laptop", "--plot", "parts.gif"],
            "plot parts.gif must end in .png",
        ),
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


def test_plan_counts_the_modes_of_a_described_start_probe(main, scan):
    start = ("--start-probe", "data:modes=4", "--engines", "DM:3")

    plain = lines(main("plan", scan, "--engines", "DM:3", "--device", "cpu:1"))
    modes = lines(main("plan", scan, *start, "--device", "cpu:1"))
    machine = lines(main("plan", scan, *start, "--machine", "laptop"))
    described = lines(main(*SIMULATED, *start, "--machine", "laptop"))

    def waves(rows):
        number, unit = rows["DM host memory"].split("exit waves ")[1].split(",")[0].split()
        return float(number) * {"kB": 1e3, "MB": 1e6}[unit]

    assert waves(modes) == pytest.approx(4 * waves(plain), rel=0.01)
    assert machine["engine"] == described["engine"] == "DM, 4 probe modes"
