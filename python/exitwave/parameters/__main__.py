"""``python -m exitwave.parameters [FILE]``: write the table of parameters, or print it."""

from __future__ import annotations

import sys
from pathlib import Path

from exitwave.parameters.table import parameter_table

if len(sys.argv) > 2:
    sys.exit("usage: python -m exitwave.parameters [FILE]")
if len(sys.argv) == 2:
    Path(sys.argv[1]).write_text(parameter_table(), encoding="utf-8")
else:
    print(parameter_table(), end="")
