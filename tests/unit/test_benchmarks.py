"""The results file of the benchmarks, and what is counted for their floor."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import compare
import floor
from cases import all_cases, chosen_cases
from results import Measurement, append, latest, read, to_line

ENVIRONMENT = {"commit": "0123456789ab", "cpu": "some", "cores": 2, "load": 0.1, "simd": "AVX2"}


def timing(**changes) -> Measurement:
    facts = {
        "case": "speed/DM",
        "quantity": "time per iteration",
        "value": 0.3,
        "unit": "s",
        "target": 1.5,
        "judged": "ratio",
        "floor": 0.25,
    }
    return Measurement(**(facts | changes))


def test_line_holds_measurement_verdict_and_environment():
    record = json.loads(to_line(timing(details={"frames": 1000}), ENVIRONMENT))

    assert record["ratio"] == pytest.approx(1.2)
    assert record["reached"] is True
    assert record["details"] == {"frames": 1000}
    assert record["environment"] == ENVIRONMENT


def test_ratio_is_judged_where_it_is_the_target():
    assert timing(value=0.375).reached is True
    assert timing(value=0.376).reached is False
    assert timing(judged="value").reached is True
    assert timing(judged="value", value=1.6).reached is False


def test_a_lower_limit_is_a_lower_limit():
    speed_up = timing(value=1.85, unit="", target=1.8, judged="value", at_least=True)

    assert speed_up.reached is True
    assert timing(value=1.7, target=1.8, judged="value", at_least=True).reached is False


def test_a_fast_wrong_reconstruction_reaches_nothing():
    assert timing(correct=False).reached is False


def test_a_diverged_run_reaches_nothing_and_is_valid_json():
    diverged = timing(value=math.nan, judged="value", details={"errors": [1.0, math.inf]})

    record = json.loads(to_line(diverged, ENVIRONMENT), parse_constant=pytest.fail)

    assert record["value"] is None
    assert record["reached"] is False
    assert record["details"]["errors"] == [1.0, None]


def test_numbers_of_numpy_are_numbers():
    value = np.float64(0.3)

    record = json.loads(to_line(timing(value=value, correct=value < 1, judged="value"), {}))

    assert record["value"] == 0.3
    assert record["reached"] is True
    assert record["correct"] is True


def test_without_target_there_is_no_verdict():
    assert timing(target=None).reached is None


def test_file_grows_and_the_last_line_of_a_case_counts(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    for value in (0.3, 0.2):
        append(path, timing(value=value), ENVIRONMENT)
    append(path, timing(quantity="other"), ENVIRONMENT)

    records = read(path)

    assert [record["value"] for record in records] == [0.3, 0.2, 0.3]
    assert latest(records)["speed/DM", "time per iteration"]["value"] == 0.2


@pytest.mark.parametrize("line", ["{", "[]", '{"case": "speed/DM"}'])
def test_broken_line_is_named(tmp_path, line):
    path = tmp_path / "results.jsonl"
    append(path, timing(), ENVIRONMENT)
    with path.open("a") as file:
        file.write(line + "\n")

    with pytest.raises(ValueError, match=r"results\.jsonl, line 2"):
        read(path)


def test_comparison_names_what_differs():
    old = json.loads(to_line(timing(), ENVIRONMENT))
    new = json.loads(to_line(timing(), ENVIRONMENT | {"simd": "AVX-512", "commit": "f", "load": 5}))

    found = compare.differences([(old, new)])

    assert found == ["simd differs: AVX2 → AVX-512", "the new side was measured on a busy machine"]


@pytest.mark.parametrize(
    ("engine", "modes", "near", "fractional", "transforms"),
    [
        ("DM", 1, False, False, 2),
        ("ePIE", 3, False, False, 6),
        ("ML", 1, False, False, 5),
        ("AP", 1, True, False, 4),
        ("RAAR", 1, False, True, 4),
        ("ML", 2, True, True, 28),
    ],
)
def test_transforms_of_a_frame(engine, modes, near, fractional, transforms):
    assert floor.transforms_per_frame(engine, modes, near, fractional) == transforms


def test_only_engines_that_keep_exit_waves_read_them_from_memory():
    memory = {name: floor.bytes_per_pixel(name, modes=3)["memory"] for name in ("AP", "DM", "ML")}

    assert memory == {"AP": 2, "DM": 2 + 16 * 3, "ML": 4}


def test_cases_are_chosen_by_name_part_or_group():
    assert chosen_cases(("speed/DM",), "all") == ["speed/DM"]
    assert chosen_cases(("no drift",), "all") == ["quality/no drift DM", "quality/no drift RAAR"]
    assert chosen_cases((), "all") == list(all_cases())
    assert set(chosen_cases((), "memory")) < set(all_cases())
    with pytest.raises(ValueError, match="no case is named 'nothing'"):
        chosen_cases(("nothing",), "all")
