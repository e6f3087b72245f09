"""Machines from files; what a partition costs on them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from exitwave import scans
from exitwave.errors import FileFormatError, InvalidArgument
from exitwave.fft_library import load_fft_library
from exitwave.partition import draw_groups, spatial_order, split_in_parts
from exitwave.topology import (
    Job,
    all_reduce,
    known_machines,
    predict,
    read_machine,
)
from exitwave.topology.this_machine import host_memory_bytes, this_machine

TOML = """
name = "two sockets"
[device]
name = "GPU"
memory_bytes = 1e6
memory_bandwidth_bytes_per_s = 1e9
efficiency = 0.5
[host]
memory_bytes = 1e7
bandwidth_bytes_per_s = 1e8
[disk]
memory_bytes = 1e12
bandwidth_bytes_per_s = 1e7
[[levels]]
name = "network"
bandwidth_bytes_per_s = 2e6
device_bandwidth_bytes_per_s = 1e6
efficiency = 1.0
latency_s = 1e-3
[[levels]]
name = "sockets"
members = 2
bandwidth_bytes_per_s = 1e7
efficiency = 1.0
latency_s = 1e-4
[[levels]]
name = "switch"
members = 3
bandwidth_bytes_per_s = 1e8
efficiency = 1.0
latency_s = 1e-5
"""


def machine_of(tmp_path, text: str = TOML):
    path = tmp_path / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return read_machine(path)


def scan_of(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, (50, 90), (frames, 2))


# --- machines -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", known_machines())
def test_shipped_machines_have_faster_links_further_in(name):
    machine = read_machine(name)

    rates = [
        level.efficiency * (level.device_bandwidth_bytes_per_s or level.bandwidth_bytes_per_s)
        for level in machine.levels
    ]
    assert rates == sorted(rates)
    assert [level.latency_s for level in machine.levels] == sorted(
        (level.latency_s for level in machine.levels), reverse=True
    )
    # Nothing between devices is as fast as the memory of one.
    assert rates[-1] < machine.device.sustained_bytes_per_s
    assert machine.units[-1] == 1


def test_the_machines_of_the_documentation_are_shipped():
    expected = {"dgx-a100": 8, "hgx-h200": 8, "a100-pcie": 4, "a100-slingshot": 4, "laptop": 8}

    assert {name: read_machine(name).devices_per_node for name in known_machines()} == expected


def test_levels_on_which_devices_meet(tmp_path):
    machine = machine_of(tmp_path)

    assert machine.units == (6, 3, 1)
    assert machine.together == (6, 3)
    first = np.array([0, 0, 0, 5, 6, 3])
    second = np.array([1, 3, 6, 6, 8, 5])
    assert machine.level_of(first, second).tolist() == [2, 1, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "GPU"\n', "", "device.name is missing; add it"),
        ("memory_bytes = 1e6", "memory = 1e6", "device.memory_bytes is missing"),
        ("efficiency = 0.5", "eficiency = 0.5", "device.eficiency is not a key of a machine"),
        ("efficiency = 0.5", "efficiency = 1.5", "device.efficiency is 1.5, but input should be"),
        ("memory_bytes = 1e6", "memory_bytes = -1", "device.memory_bytes is -1, but input"),
        ("memory_bytes = 1e6", "memory_bytes = inf", "device.memory_bytes is inf, but input"),
        ("members = 3", "members = 0", "levels.2.members is 0, but input should be"),
        ("members = 3", "", "level 'switch' must have members"),
        ('name = "network"', 'name = "network"\nmembers = 2', "must have no members"),
        ("[device]", "[device", "the file is not TOML"),
    ],
)
def test_wrong_descriptions_are_refused_in_one_sentence(tmp_path, old, new, message):
    assert old in TOML

    with pytest.raises(FileFormatError, match=r"machine\.toml: ") as caught:
        machine_of(tmp_path, TOML.replace(old, new, 1))

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_machines_that_do_not_exist(tmp_path):
    with pytest.raises(InvalidArgument, match="perhaps 'dgx-a100'"):
        read_machine("dgx-a10")
    with pytest.raises(FileFormatError, match=r"none\.toml: the file cannot be read: No such file"):
        read_machine(tmp_path / "none.toml")


def test_this_machine_has_what_the_kernel_tells():
    machine = this_machine()

    assert read_machine("this") == machine
    assert machine.devices_per_node >= 1
    assert 1e8 < machine.host.memory_bytes == host_memory_bytes()


# --- the cost of an iteration ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raster", "spiral"])
@pytest.mark.parametrize("name", ["dgx-a100", "a100-pcie"])
def test_slow_links_carry_less_than_under_a_random_assignment_of_parts(name, kind):
    job = Job(scans.make_scan(kind, 1024, 12), (64, 48))
    machine = read_machine(name)
    nodes = 32 // machine.devices_per_node

    ours = predict(job, machine, nodes)
    shuffled = np.random.default_rng(0).permutation(32)
    chance = predict(job, machine, nodes, parts=[ours.parts[i] for i in shuffled])

    slow, others = ours.object_traffic.bytes, chance.object_traffic.bytes
    assert slow[0] < 0.7 * others[0]
    assert slow[-1] > 2 * others[-1]
    assert ours.seconds < chance.seconds


def test_halo_bytes_go_there_and_back(tmp_path):
    machine = machine_of(tmp_path)
    shared = machine_of(tmp_path, TOML.replace("members = 3", "members = 3\nshared_memory = true"))
    job = Job(scan_of(60), (12, 20), object_modes=2)
    parts = split_in_parts(job.positions, 3, frame_shape=(12, 20))

    there_and_back, there = (
        predict(job, each, parts=parts).object_traffic.bytes for each in (machine, shared)
    )

    halo = predict(job, machine, parts=parts).halo
    assert there_and_back.tolist() == [0, 0, 2 * (8 * 2 + 4) * halo.pixels.sum()]
    assert (there * 2).tolist() == there_and_back.tolist()


def test_time_of_an_exchange_is_that_of_its_slowest_port(tmp_path):
    """Two devices on a switch. One owns what both windows cover, the other a row beside it."""
    machine = machine_of(tmp_path)
    job = Job(scan_of(60), (12, 20))

    prediction = predict(job, machine, devices=2)

    assert prediction.halo.sender.tolist() == [1, 0]
    # Sums of both go at once, and so do the totals.
    expected = 2 * (12 * prediction.halo.pixels.max() / 1e8 + 1e-5)
    assert prediction.object_traffic.seconds[2] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("how", "network", "switch"),
    [
        # Two nodes of six: ceil(log2 3) steps on a switch, one between sockets, one between nodes.
        ("tree", 2 * (5.0 / 1.0 + 1e-3), 2 * 2 * (5.0 / 100 + 1e-5)),
        ("ring", 22 * (5.0 / 12 / 1.0 + 1e-3), 0.0),
        # The same in sixths and thirds: a ring of two nodes, and one of three devices.
        ("levels", 2 * (5.0 / 6 / 2 / (2.0 / 6) + 1e-3), 2 * 2 * (5.0 / 3 / 100 + 1e-5)),
        # Six devices of the other node to the first one, and back; two neighbours on its switch.
        ("star", 2 * (30.0 + 1e-3 + 5 * 1.5e-6), 2 * (10.0 / 100 + 1e-5 + 1.5e-6)),
        # A twelfth of each of six devices to each of the other node; two neighbours on a switch.
        ("shares", 2 * (15.0 / 2.0 + 1e-3 + 5 * 1.5e-6), 2 * (5.0 / 6 / 100 + 1e-5 + 1.5e-6)),
    ],
)
def test_sums_over_all_devices(tmp_path, how, network, switch):
    traffic = all_reduce(machine_of(tmp_path), 12, 5e6, how)

    assert traffic.seconds[0] == pytest.approx(network)
    assert traffic.seconds[2] == pytest.approx(switch)


def test_every_way_of_a_sum_moves_the_same_bytes_at_least(tmp_path):
    """Each device but one must send its sum, and get the total."""
    machine = machine_of(tmp_path)

    for devices in (2, 3, 6, 12, 17):
        for how in ("levels", "tree", "ring", "star", "shares"):
            moved = all_reduce(machine, devices, 1000, how).bytes.sum()
            assert moved == pytest.approx(2 * (devices - 1) * 1000)
    assert all_reduce(machine, 1, 1000).bytes.sum() == 0


def test_computing_is_bound_by_memory(tmp_path):
    """DM, whole positions: 159 bytes per frame pixel beside two transforms of 32."""
    machine = machine_of(tmp_path)
    job = Job(np.round(scan_of(60)), (12, 20))

    one = predict(job, machine, devices=1)

    frames = 60 * 240 * (159 + 64)
    tile = 52 * math.prod(one.halo.object_shape)
    probe = 4 * (8 * 2 + 4) * 240
    assert one.compute_seconds == pytest.approx((frames + tile + probe) / 0.5e9)
    assert one.seconds == one.compute_seconds == one.serial_seconds


def test_groups_of_pie_leave_devices_without_work(tmp_path):
    machine = machine_of(tmp_path)
    positions = scan_of(120)

    few, many = (
        predict(Job(positions, (12, 20), engine="ePIE", group_size=size), machine)
        for size in (2, 12)
    )

    # Groups of two: one frame on two of six devices, sixty times. Groups of twelve: all have two.
    assert few.compute_seconds / many.compute_seconds == pytest.approx(60 / 20, rel=0.1)


def test_halo_of_groups_is_about_what_random_groups_exchange():
    """Estimated from the coverage; counted for one draw of groups."""
    positions, frame = scan_of(300, 1), (12, 20)
    job = Job(positions, frame, engine="ePIE", group_size=6)
    machine = read_machine("dgx-a100")
    prediction = predict(job, machine, devices=4)
    corners = np.floor(positions - positions.min(axis=0) + 0.5).astype(int)
    shape = prediction.halo.object_shape
    # How many parts send a pixel.
    boxes = [(corners[f].min(axis=0), corners[f].max(axis=0) + frame) for f in prediction.parts]
    senders = np.zeros(shape, int)
    for (y0, x0), (y1, x1) in boxes:
        senders[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] += 1
    groups = draw_groups(spatial_order(positions), 6, np.random.default_rng(0))

    exchanged = 0
    for group in groups:
        touched = np.zeros(shape, bool)
        for y, x in corners[group]:
            touched[y : y + frame[0], x : x + frame[1]] = True
        exchanged += np.clip(senders[touched] - 1, 0, None).sum()

    assert prediction.object_traffic.bytes.sum() == pytest.approx(2 * 12 * exchanged, rel=0.15)


@pytest.mark.parametrize("engine", ["AP", "DM", "RAAR", "ePIE", "rPIE", "mPIE", "ML", "gradient"])
@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("parts", [1, 4])
def test_memory_is_what_the_core_holds(engine, fractional, parts):
    """Emulated devices have memory of their own; packed sums are held at both ends."""
    from exitwave import _core

    load_fft_library()
    rng = np.random.default_rng(6)
    positions = np.round(rng.uniform(0, (300, 400), (60, 2)))
    positions += 0.25 * fractional - positions.min(axis=0)
    frame, modes = (60, 84), (2, 1)
    rows, columns = np.floor(positions.max(axis=0)).astype(int) + frame
    shape = int(rows), int(columns)
    job = Job(positions, frame, engine=engine, probe_modes=modes[0], batch=3)
    pieces = split_in_parts(positions, parts, frame_shape=frame)
    scan = _core.Scan(
        np.ones((60, *frame), np.uint16),
        np.ones(frame, bool),
        np.floor(positions).astype(np.int32),
        (positions - np.floor(positions)).astype(np.float32),
        shape,
        None,
        [piece.tolist() for piece in pieces],
    )
    options = _core.EngineOptions()
    options.name = engine
    options.probe_modes, options.object_modes = modes
    options.momentum_period = 3 if engine == "mPIE" else 0
    settings = _core.CpuSettings()
    settings.threads, settings.batch, settings.emulated = parts, 3, parts
    obj, probe = (np.ones(s, np.complex64) for s in ((1, *shape), (modes[0], *frame)))
    devices = _core.Engine(scan, options, obj, probe, settings).memory[:-1]
    held = sum(device.peak for device in devices)

    prediction = predict(job, read_machine("dgx-a100"), parts=pieces)

    memory = prediction.memory
    star = (parts - 1) * job.probe_sum_bytes
    # A lane on a CPU goes row by row, and needs counts of a row only.
    counts_of_batch = parts * 3 * 4 * math.prod(frame)
    expected = memory.total.sum() + 2 * star - counts_of_batch
    assert held == pytest.approx(expected, rel=0.005)


def test_blocks_that_do_not_fit_stream_from_the_next_tier(tmp_path):
    """A device of 1 MB, hosts of 10 MB, disks of 1 TB."""
    machine = machine_of(tmp_path)

    def tier_of(frames: int, **options):
        job = Job(np.round(scan_of(frames)), (12, 20), batch=2, **options)
        prediction = predict(job, machine, devices=1)
        return prediction.tier, prediction.stream_seconds

    assert tier_of(100) == ("device", 0.0)
    tier, seconds = tier_of(2000)
    assert tier == "host"
    # Counts and waves, less what stays, at 100 MB/s.
    assert 0.8 * 4.8e6 / 1e8 < seconds < 4.8e6 / 1e8
    tier, seconds = tier_of(9000)
    assert tier == "disk"
    assert 0.8 * 9000 * 240 * 18 / 1e7 < seconds < 9000 * 240 * 18 / 1e7
    assert tier_of(100, probe_modes=200) == ("nowhere", math.inf)


def test_a_shared_memory_is_no_tier_of_its_own():
    """On a laptop what does not fit comes from the disk, because the host's memory is full."""
    job = Job(scans.make_scan("raster", 40000, 8), (256, 256))

    assert predict(job, read_machine("laptop")).tier == "disk"


def test_more_nodes_are_never_slower_to_compute_and_hold_less():
    job = Job(scans.make_scan("spiral", 4096, 20), (128, 128))
    machine = read_machine("hgx-h200")

    runs = [predict(job, machine, nodes) for nodes in (1, 2, 4, 8)]

    for few, many in pairwise(runs):
        assert many.compute_seconds < few.compute_seconds
        assert many.memory.total.max() < few.memory.total.max()
        assert many.object_traffic.bytes[0] > few.object_traffic.bytes[0]
        assert many.efficiency < few.efficiency < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "PIE"}, "engine was 'PIE', but must be one of"),
        ({"probe_modes": 0}, "probe_modes was 0, but must be"),
        ({"count_bytes": 3}, "count_bytes was 3, but must be 1, 2 or 4"),
        ({"engine": "DM", "slices": 3}, "slices is 3, but DM works with one slice"),
        ({"engine": "DM", "group_size": 4}, "group_size is not used by DM, only by ePIE"),
    ],
)
def test_wrong_jobs_are_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        Job(scan_of(10), (12, 20), **options)


def test_wrong_predictions_are_refused():
    job = Job(scan_of(10), (12, 20))
    machine = read_machine("dgx-a100")

    with pytest.raises(InvalidArgument, match="devices is 16, but 2 nodes have 16 and the scan 10"):
        predict(job, machine, 2)
    with pytest.raises(InvalidArgument, match="devices is 9, but 1 nodes have 8"):
        predict(job, machine, devices=9)
    with pytest.raises(InvalidArgument, match="parts must hold each frame"):
        predict(job, machine, parts=[np.arange(4), np.arange(5)])
    with pytest.raises(InvalidArgument, match="reduction was 'trie', but must be one of"):
        predict(job, machine, devices=2, reduction="trie")
