"""``python -m exitwave``: the command line."""

from exitwave.cli import main

main()
