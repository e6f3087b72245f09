"""The check of the C++ layers finds what it is there to find."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
violations = runpy.run_path(str(ROOT / "cmake" / "check_layers.py"))["violations"]


def test_layers_of_this_repository_point_one_way() -> None:
    assert list(violations(ROOT / "csrc")) == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (
            "core/a.hpp",
            '#pragma once\n#include "engines/layout.hpp"\n',
            "engines is not below core",
        ),
        ("cpu/a.hpp", '#pragma once\n#include "cuda/engine.hpp"\n', "cuda is not below cpu"),
        ("bindings/a.cpp", '#include "cpu/lane.hpp"\n', "private to cpu"),
        ("bindings/a.cpp", '#include "engines/factory.hpp"\n', "one file per backend"),
        ("engines/a.cpp", "#include <pybind11/pybind11.h>\n", "belongs to bindings/"),
        ("kernels/a.hpp", "#pragma once\n#include <immintrin.h>\n", "belongs to cpu/"),
        ("core/a.cpp", "#include <mpi.h>\n", "is not used in csrc/"),
        ("core/a.cpp", '#include "core/missing.hpp"\n', "does not exist"),
        ("cpu/a.cpp", '#include "lane.hpp"\n', "not spelled from csrc/"),
        ("cpu/a.cpp", "#ifdef __CUDACC__\n#endif\n", "core/macros.hpp does for everybody"),
        ("core/a.hpp", "// no guard\n", "#pragma once"),
        ("extras/a.cpp", "", "is no layer"),
    ],
)
def test_each_broken_rule_is_reported(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    for known in ("engines/layout.hpp", "cuda/engine.hpp", "cpu/lane.hpp", "engines/factory.hpp"):
        _write(tmp_path / known, "#pragma once\n")
    assert list(violations(tmp_path)) == []

    _write(tmp_path / name, text)
    found = list(violations(tmp_path))

    assert len(found) == 1
    assert complaint in found[0]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
