"""The table of docs/openstack-clients.md: which command works with which client. ``python -m tests.clients.table`` writes it.

Its lines are what the tests run (tests/clients/commands.py).
"""

from __future__ import annotations

import sys

from tests.clients.commands import COMMANDS, Command
from tests.clients.environments import REPOSITORY, SHELLS, Environment
from tests.generated_page import GeneratedTable

TABLE = GeneratedTable(REPOSITORY / "docs" / "openstack-clients.md", "tests/clients/commands.py")


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


if __name__ == "__main__":
    sys.exit(TABLE.write_or_check(render()))
