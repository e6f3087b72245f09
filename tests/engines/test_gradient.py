"""The gradient engine: every optimiser and noise model as the oracle, and what rates promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import exitwave
from exitwave.schedules import factor
from oracle_runs import assert_as_oracle, defaults, scan_of
from small_scan import NOISES, SmallScan, devices, relative, small_scan

OPTIMISERS = ["adam", "momentum", "sgd"]


def gradient(**options: Any) -> dict[str, Any]:
    return defaults("gradient", iterations=3) | options


@pytest.mark.parametrize("device", devices("cpu:2", "emulated"))
@pytest.mark.parametrize("of_probe", OPTIMISERS)
@pytest.mark.parametrize("of_object", OPTIMISERS)
def test_optimisers(of_object, of_probe, device):
    options = gradient(object_optimiser=of_object, probe_optimiser=of_probe)
    assert_as_oracle(scan_of("near", (2, 2)), options, device)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("noise", NOISES)
def test_noise_models(noise, optimiser):
    options = gradient(noise=noise, object_optimiser=optimiser, probe_optimiser=optimiser)
    assert_as_oracle(scan_of("far", (1, 2)), options)


@pytest.mark.parametrize(
    "options",
    [
        {"object_schedule": "constant", "probe_schedule": "exponential"},
        {"object_schedule": "exponential", "probe_schedule": "constant"},
        {"object_start": 1, "object_stop": 3, "probe_stop": 3, "iterations": 4},
        {"probe_start": 2, "object_stop": 2},
        {"object_rate": None, "probe_rate": None, "probe_optimiser": "momentum"},
    ],
    ids=str,
)
def test_schedules(options):
    assert_as_oracle(scan_of("far", (1, 1)), gradient(**options))


def test_schedules_run_from_start_to_stop():
    assert [factor("constant", i, 1, 3) for i in range(4)] == [0, 1, 1, 0]
    assert factor("cosine", 0, 0, 8) == 1
    assert factor("cosine", 4, 0, 8) == pytest.approx(0.5)
    assert factor("exponential", 4, 0, 8) == pytest.approx(0.1)
    assert factor("cosine", 5, None, 8) == 0


def errors_of(scan: SmallScan, **options: Any) -> np.ndarray:
    return scan.run({"name": "gradient", "iterations": 12} | options).errors[0]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("noise", ["amplitude", "poisson"])
def test_rates_do_not_depend_on_the_dose(noise, optimiser):
    """Sixteen times the counts, four times the probe: the same errors."""
    scan = small_scan("far", off=0.1)
    options = {"object_optimiser": optimiser, "probe_optimiser": optimiser, "noise": noise}
    options |= {"object_rate": 0.05, "probe_rate": 0.05}
    bright = replace(
        scan, data=16 * scan.data, probe=4 * scan.probe, true_probe=4 * scan.true_probe
    )

    one, other = errors_of(scan, **options), errors_of(bright, **options)

    np.testing.assert_allclose(other, one, rtol=1e-3)
    assert one[-1] < 0.9 * one[0]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_defaults_converge_in_groups_of_any_size(optimiser):
    scan = small_scan("far", off=0.1)
    for group_size in (1, 4, 13):
        errors = errors_of(
            scan,
            iterations=120,
            group_size=group_size,
            object_optimiser=optimiser,
            probe_optimiser=optimiser,
        )
        assert errors[-1] < 0.02 * errors[0]


def test_truth_stays_where_it_is():
    scan = small_scan("near", 2).from_truth()

    result = scan.run({"name": "gradient", "iterations": 5})

    assert relative(result.object, scan.true_obj) < 1e-5
    assert result.error < 1e-9


def test_too_large_a_rate_is_told():
    scan = small_scan("far", off=0.1)
    with pytest.raises(exitwave.DivergenceError, match="lower object_rate and probe_rate"):
        errors_of(scan, object_optimiser="sgd", probe_optimiser="sgd", object_rate=30.0,
                  probe_rate=30.0, iterations=60)  # fmt: skip
