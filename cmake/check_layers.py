"""Check that dependencies in csrc/ point one way, and that backends keep to themselves.

    core <- {kernels, storage} <- engines <- {cpu, cuda} <- bindings <- python

Prints one line per violation and leaves with 1 if there is any. Rules:

- a file includes its own layer and those below it only; cpu and cuda never each other;
- loops and memory of a backend (lane, backend) are included inside its folder only, and
  engines/factory.hpp by one file per backend;
- pybind11 and Python stay in bindings/, CUDA in cuda/, vector intrinsics in cpu/, MPI and HDF5
  outside altogether;
- only core/macros.hpp asks which compiler reads it;
- every header begins with #pragma once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

RANK = {"core": 0, "kernels": 1, "storage": 1, "engines": 2, "cpu": 3, "cuda": 3, "bindings": 4}
BACKENDS = ("cpu", "cuda")
PRIVATE = ("lane.hpp", "backend.hpp", "lane.cuh", "backend.cuh")
FACTORY = "engines/factory.hpp"
SOURCES = (".hpp", ".cpp", ".cuh", ".cu")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)

# System header -> the only folder that may include it; None: nobody.
HOMES: list[tuple[str, str | None]] = [
    (r"pybind11/|Python\.h", "bindings"),
    (r"cuda|cufft|cub/|thrust/|nccl", "cuda"),
    (r"[a-z]*intrin\.h", "cpu"),
    (r"mpi\.h|hdf5|H5", None),
]


def violations(csrc: Path) -> Iterator[str]:
    """One sentence per broken rule, files in order."""
    factories: dict[str, list[str]] = {}
    for path in sorted(p for p in csrc.rglob("*") if p.suffix in SOURCES):
        name = path.relative_to(csrc).as_posix()
        layer, _, file = name.partition("/")
        text = path.read_text(encoding="utf-8")
        if layer not in RANK:
            yield f"{name}: {layer} is no layer; known ones are {', '.join(RANK)}"
            continue
        if path.suffix in (".hpp", ".cuh") and not text.startswith("#pragma once\n"):
            yield f"{name}: does not begin with #pragma once"
        if "__CUDACC__" in text and name != "core/macros.hpp":
            yield f"{name}: asks for __CUDACC__, which core/macros.hpp does for everybody"
        for quote, included in INCLUDE.findall(text):
            if quote == "<":
                yield from _system(name, layer, included)
            else:
                yield from _project(csrc, name, layer, included)
            if included == FACTORY:
                factories.setdefault(layer, []).append(file)
    for layer, files in factories.items():
        if layer not in BACKENDS or len(files) > 1:
            yield f"{FACTORY}: included by {', '.join(files)} in {layer}; one file per backend"


def _system(name: str, layer: str, included: str) -> Iterator[str]:
    for pattern, home in HOMES:
        if re.match(pattern, included) and layer != home:
            place = f"belongs to {home}/" if home else "is not used in csrc/"
            yield f"{name}: includes <{included}>, which {place}"


def _project(csrc: Path, name: str, layer: str, included: str) -> Iterator[str]:
    other, _, file = included.partition("/")
    if other not in RANK:
        # A generated header has no folder; anything else is spelled from csrc/.
        if "/" in included or (csrc / layer / included).exists():
            yield f'{name}: includes "{included}", which is not spelled from csrc/'
        return
    if not (csrc / included).exists():
        yield f'{name}: includes "{included}", which does not exist'
    if RANK[other] > RANK[layer] or (RANK[other] == RANK[layer] and other != layer):
        yield f"{name}: {layer} includes {included}, but {other} is not below {layer}"
    if other in BACKENDS and other != layer and file in PRIVATE:
        yield f"{name}: includes {included}, which is private to {other}"


def main() -> int:
    """Check the csrc/ that is named, else the one beside this script."""
    default = Path(__file__).resolve().parent.parent / "csrc"
    csrc = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    found = list(violations(csrc))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
