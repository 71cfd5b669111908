"""Crash every point of every scenario, and print what became of it: ``python -m tests.crash [--pairs N] [--seed S] [SCENARIO …]``."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import structlog

from lmigrate.states import MigrationStatus
from tests.crash.points import Point
from tests.crash.runs import run
from tests.crash.scenarios import BY_NAME, Scenario
from tests.databases import SqliteDatabases

BROKEN = "broken"
Table = dict[str, Counter[str]]


def main() -> int:
    """How many points broke something."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", choices=[[], *BY_NAME], help=", ".join(BY_NAME))
    parser.add_argument("--pairs", type=int, default=0, help="second crashes during the recovery from each first one")
    parser.add_argument("--seed", type=int, default=0, help="which second crashes")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    table: Table = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["LMIGRATE_DATABASE__URL"] = SqliteDatabases(Path(directory)).upgraded()
        for name in arguments.scenarios or BY_NAME:
            _crash(BY_NAME[name], Path(directory) / "hosts", table, arguments.pairs, random.Random(arguments.seed))
    _show(table)
    return sum(row[BROKEN] for row in table.values())


def _crash(scenario: Scenario, top: Path, table: Table, pairs: int, luck: random.Random) -> None:
    for point in run(scenario, top).passed:
        recovery = _count(table, scenario, top, point)
        for second in luck.sample(recovery, min(pairs, len(recovery))):
            _count(table, scenario, top, point, second)


def _count(table: Table, scenario: Scenario, top: Path, *deadly: Point) -> tuple[Point, ...]:
    """Crash there, count how it ended in the row of the first death; the points of the recovery."""
    row = table[deadly[0].work.partition(".san")[0]]
    row["points" if len(deadly) == 1 else "pairs"] += 1
    try:
        ended = run(scenario, top, *deadly)
    except AssertionError as error:
        sys.stderr.write(f"{scenario}: {' and '.join(map(str, deadly))}: {error}\n")
        row[BROKEN] += 1
        return ()
    row["not begun" if ended.status is None else _told(ended.status)] += 1
    return ended.recovery


def _told(status: MigrationStatus) -> str:
    return "finished" if status is MigrationStatus.COMPLETED else "undone"


def _show(table: Table) -> None:
    columns = ("points", "pairs", "finished", "undone", "not begun", BROKEN)
    sys.stdout.write(f"| {'work':24} | {' | '.join(columns)} |\n")
    sys.stdout.write(f"| {'-' * 24} | {' | '.join('-' * (len(name) - 1) + ':' for name in columns)} |\n")
    for work, row in [*table.items(), ("all", sum(table.values(), Counter()))]:
        sys.stdout.write(f"| {work:24} | {' | '.join(f'{row[name]:{len(name)}}' for name in columns)} |\n")


if __name__ == "__main__":
    sys.exit(main())
