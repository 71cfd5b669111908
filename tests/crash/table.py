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
from tests.generated_page import GeneratedTable

TABLE = GeneratedTable(Path(__file__).parents[2] / "docs" / "reliability.md", "tests/crash/scenarios.py")
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


def main() -> int:
    """Write the page, or compare it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as directory:
        os.environ["LMIGRATE_DATABASE__URL"] = SqliteDatabases(Path(directory)).upgraded()
        return TABLE.write_or_check(render(Path(directory) / "hosts"))


if __name__ == "__main__":
    sys.exit(main())
