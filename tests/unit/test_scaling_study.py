"""The study of partitions compares what it says it does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "scaling"))

import data
import six_terabytes
import strategies
import tables

from exitwave.topology import read_machine

MACHINE = read_machine("dgx-a100")


@pytest.mark.parametrize("scan", data.SCANS)
@pytest.mark.parametrize("name", [*strategies.STRATEGIES, "scattered"])
def test_every_strategy_takes_each_frame_once(scan, name):
    way = strategies.STRATEGIES.get(name, strategies.scattered_tiles)
    job = data.job_of(data.SCANS[scan](800))

    parts = way(job, MACHINE, 16).parts

    assert sorted(np.concatenate(parts).tolist()) == list(range(800))
    assert len(parts) <= 16


@pytest.mark.parametrize("scan", data.SCANS)
def test_tiles_send_least_over_the_network_and_hold_least(scan):
    job = data.job_of(data.SCANS[scan](2048))

    ours, *others = (way(job, MACHINE, 32) for way in strategies.STRATEGIES.values())

    for other in others:
        assert ours.object_traffic.bytes[0] < other.object_traffic.bytes[0]
        assert ours.memory.total.max() < other.memory.total.max()
        assert ours.seconds < other.seconds


def test_replicas_hold_the_object_and_add_it_up_on_every_device():
    job = data.job_of(data.jittered_raster(400))

    replicas = strategies.replicas(job, MACHINE, 16)

    rows, columns = replicas.halo.object_shape
    # Object 8, sums 12, and 12 of the projections' correction of the probe.
    assert replicas.memory.object.tolist() == pytest.approx([32 * rows * columns] * 16)
    assert replicas.object_traffic.bytes.sum() == pytest.approx(2 * 15 * 12 * rows * columns)


def test_six_terabytes_are_six_terabytes():
    assert six_terabytes.waves_bytes(1) == pytest.approx(6.0e12, rel=0.01)
    assert six_terabytes.counts_bytes() == pytest.approx(1.5e12, rel=0.01)


def test_a_projection_gets_as_many_devices_as_hold_it():
    one, three = (six_terabytes.plan("a100-slingshot", modes, 8) for modes in (1, 3))

    assert (one.devices, three.devices) == (1, 2)
    assert three.memory_bytes < 40e9
    assert one.rounds == -(-498 // (8 * 4))
    assert three.rounds == -(-498 // (8 * 2))


def test_tables_have_a_column_for_each_head():
    assert tables.table(["a", "b"], [["x", 1], ["y", 2]]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x | 1 |",
        "| y | 2 |",
    ]
