"""Check that no kernel keeps registers in memory.

Reads what nvcc printed with -Xptxas -v, from the files that are named or else from standard input;
prints the kernels that spill, and a summary. Leaves with 1 if any does, or if there is no kernel.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
SPILL = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def main() -> int:
    """Look through the compiler's output."""
    files = sys.argv[1:]
    text = "\n".join(Path(name).read_text() for name in files) if files else sys.stdin.read()
    kernel, kernels, most, spilling = "", 0, 0, []
    for line in text.splitlines():
        if found := ENTRY.search(line):
            kernel, kernels = f"{found[1]} for {found[2]}", kernels + 1
        elif found := SPILL.search(line):
            if int(found[1]) + int(found[2]) > 0:
                spilling.append(f"{kernel}: {found[0]}")
        elif found := REGISTERS.search(line):
            most = max(most, int(found[1]))
    print(*spilling, sep="\n", end="\n" if spilling else "")
    print(f"{kernels} kernels, {len(spilling)} of them spill, {most} registers at most")
    return 1 if spilling or kernels == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
