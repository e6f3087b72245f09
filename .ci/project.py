"""What .ci/run reads from the project's own files, so that it cannot drift from them.

project.py extra NAME    requirements of an extra of pyproject.toml, one per line
project.py readme N      N-th command of README's section "Two commands"
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def extra(name: str) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return "\n".join(project["optional-dependencies"][name])


def readme(number: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Two commands\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    if section is None:
        sys.exit('README.md has no section "Two commands"')
    commands = re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    if len(commands) != 2:
        sys.exit(f'README.md has {len(commands)} commands in "Two commands", but must have 2')
    return commands[int(number) - 1].strip()


if __name__ == "__main__":
    print({"extra": extra, "readme": readme}[sys.argv[1]](sys.argv[2]))
