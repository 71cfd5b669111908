"""The table of docs/openstack-clients.md: which command works with which client. ``python -m tests.clients.table`` writes it.

Its lines are what the tests run (tests/clients/commands.py).
"""

from __future__ import annotations

import sys

from tests.clients.commands import COMMANDS, Command
from tests.clients.environments import REPOSITORY, SHELLS, Environment

PAGE = REPOSITORY / "docs" / "openstack-clients.md"
BEGIN, END = "<!-- written by `make docs` from tests/clients/commands.py -->\n", "<!-- end -->\n"


def render() -> str:
    """The rows."""
    head = f"| to | `openstack` … | {' | '.join(environment.title for environment in SHELLS)} |\n"
    return head + "| --- " * (2 + len(SHELLS)) + "|\n" + "".join(map(_row, COMMANDS))


def _row(command: Command) -> str:
    cells = [command.does, f"`{command.line}`", *(_cell(command, environment) for environment in SHELLS)]
    return f"| {' | '.join(cells)} |\n"


def _cell(command: Command, environment: Environment) -> str:
    asked = command.asked.get(environment.name)
    word = "yes" if command.code == 0 else f"refused: “…{command.shows[0]}…”"
    return word if asked is None else f"{word}, from `--os-compute-api-version {asked}`"


def page() -> str:
    """The page with the table as it has to be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + render() + END + rest.partition(END)[2]


def main() -> int:
    """Write the page, or compare it."""
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted)
        return 0
    if PAGE.read_text() == wanted:
        return 0
    sys.stderr.write("the table of docs/openstack-clients.md is stale: run make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
