"""The table of docs/reliability.md: which migrations are crashed, at how many points.  ``python -m tests.crash.table`` writes it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import structlog

from lmigrate.states import MigrationStatus
from tests.crash.enumeration import passed
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.databases import SqliteDatabases

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- written by `make docs` from tests/crash/scenarios.py -->\n", "<!-- end -->\n"
_WORDS = {MigrationStatus.COMPLETED: "finished", MigrationStatus.FAILED: "undone", MigrationStatus.CANCELLED: "undone"}


def render(top: Path) -> str:
    """The table, from one run of each migration in which nobody dies."""
    counts = [(scenario, *_count(scenario, top)) for scenario in SCENARIOS]
    rows = [f"| `{scenario}`: {scenario.told} | {passes} | {crashed} | {_ends(scenario)} |" for scenario, passes, crashed in counts]
    all_passes, all_crashed = sum(passes for _, passes, _ in counts), sum(crashed for _, _, crashed in counts)
    total = f"| all | {all_passes} | {all_crashed} | none lost, none doubled, none held, nothing left behind |"
    head = ["| migration | passes | crashed in every run of the tests | ended |", "| --- | ---: | ---: | --- |"]
    return "".join(f"{line}\n" for line in (*head, *rows, total))


def _count(scenario: Scenario, top: Path) -> tuple[int, int]:
    points = passed(scenario, top)
    return len(points), sum(map(scenario.is_crashed_at, points))


def _ends(scenario: Scenario) -> str:
    return " or ".join(dict.fromkeys(_WORDS[status] for status in (scenario.ends, *sorted(scenario.may_end))))


def page(top: Path) -> str:
    """The page with the table as it has to be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + render(top) + END + rest.partition(END)[2]


def main() -> int:
    """Write the page, or compare it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as directory:
        os.environ["LMIGRATE_DATABASE__URL"] = SqliteDatabases(Path(directory)).upgraded()
        wanted = page(Path(directory) / "hosts")
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted)
        return 0
    if PAGE.read_text() == wanted:
        return 0
    sys.stderr.write("the table of docs/reliability.md is stale: run make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
