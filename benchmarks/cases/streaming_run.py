"""One engine on a file in a process of its own; prints memory, times and errors as JSON.

Usage: streaming_run.py FILE THREADS ENGINE ITERATIONS LIMIT (a size; 0: none)
"""

from __future__ import annotations

import json
import sys
import time

import h5py
import numpy as np
from memory_run import peak_bytes

import exitwave


def main() -> None:
    path, threads, engine, iterations, limit = sys.argv[1:]
    params = {
        "engines": [{"name": engine, "iterations": int(iterations)}],
        "device": f"cpu:{threads}",
        "progress": False,
        "scale_start": False,
        "memory_limit": "auto" if limit == "0" else limit,
    }
    times: list[float] = []
    with h5py.File(path) as file:
        data, probe, positions = file["data"], file["probe"][()], file["positions"][()]
        if limit == "0":
            data = data[()]
        plan = exitwave.plan(data, None, probe, positions, None, params)
        params["callback"] = lambda state: times.append(time.perf_counter())
        result = exitwave.ptychography(data, None, probe, positions, None, params)
    print(
        json.dumps(
            {
                "peak_bytes": peak_bytes(),
                "planned_bytes": plan.host_bytes,
                "read_bytes": plan.engines[0].read_bytes,
                "written_bytes": plan.engines[0].written_bytes,
                "block_frames": plan.engines[0].block_frames,
                "counts": plan.engines[0].counts,
                "waves": plan.engines[0].waves,
                "seconds": float(np.diff(times).min()),
                "errors": [float(error) for error in result.errors[0]],
                "fourier_error": result.error,
            }
        )
    )


if __name__ == "__main__":
    main()
