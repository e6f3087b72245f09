#!/usr/bin/env python3
"""Table of the kernels that a profile holds, the one that took longest first.

kernels.py FILE     what ncu --csv wrote, see gpu.sh
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

TIME = "gpu__time_duration.sum"
MICROSECONDS = {
    f"{letter}{unit}": factor
    for letter, factor in (("n", 1e-3), ("u", 1.0), ("m", 1e3), ("", 1e6))
    for unit in ("s", "second")
}
COLUMNS = {
    "DRAM %": "dram__throughput",
    "L2 %": "lts__throughput",
    "SM %": "sm__throughput",
    "warps %": "sm__warps_active",
}


def main() -> None:
    """Print time, share, and what of the device each kernel reaches, weighted by time."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith('"ID"'))
    launches: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in csv.DictReader(lines[header:]):
        value = float(row["Metric Value"].replace(",", ""))
        if row["Metric Name"] == TIME:
            value *= MICROSECONDS[row["Metric Unit"]]
        launches[row["ID"], short(row["Kernel Name"])][row["Metric Name"]] = value

    kernels: dict[str, list[dict[str, float]]] = defaultdict(list)
    for (_, name), metrics in launches.items():
        kernels[name].append(metrics)
    total = sum(metrics[TIME] for metrics in launches.values())
    print(f"{'kernel':<70} {'launches':>8} {'us':>9} {'share':>6}", *COLUMNS)
    for name, runs in sorted(kernels.items(), key=lambda item: -sum(r[TIME] for r in item[1])):
        spent = sum(run[TIME] for run in runs)
        reached = [
            sum(v * run[TIME] for run in runs for k, v in run.items() if k.startswith(prefix))
            for prefix in COLUMNS.values()
        ]
        print(
            f"{name[:70]:<70} {len(runs):>8} {spent:>9.1f} {spent / total:>6.1%}",
            *(
                f"{value / spent:>{len(title)}.0f}"
                for title, value in zip(COLUMNS, reached, strict=True)
            ),
        )


def short(name: str) -> str:
    """A kernel's task without namespaces, argument list and the launcher around it."""
    name = re.sub(r"exitwave::|cuda::|kernels::|\(anonymous namespace\)::", "", name)
    return re.sub(r"^void execute<(.*)>\(.*\)$", r"\1", name)


if __name__ == "__main__":
    main()
