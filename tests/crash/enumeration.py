"""Which points are crashed in every run of the tests: all that differ; on PostgreSQL every fourth of them."""

from __future__ import annotations

from pathlib import Path

from tests.crash.points import Point
from tests.crash.runs import run
from tests.crash.scenarios import Scenario

#: a database server takes longer for each of the many small transactions
POSTGRESQL_STRIDE = 4
#: after how many crashes the guest is migrated once more; `python -m tests.crash` does so after each
NEXT_STRIDE = 3
SLICES = 6  # tests of a scenario

_passed: dict[str, tuple[Point, ...]] = {}


def passed(scenario: Scenario, top: Path) -> tuple[Point, ...]:
    """The points that a run passes in which nobody dies; found once in each process."""
    if scenario.name not in _passed:
        ended = run(scenario, top)
        assert ended.status is scenario.ends
        _passed[scenario.name] = ended.passed
    return _passed[scenario.name]


def crash_slice(scenario: Scenario, number: int, top: Path, database_kind: str) -> None:
    """Crash the points of one slice of a scenario."""
    stride = POSTGRESQL_STRIDE if database_kind == "postgresql" else 1
    points = [point for point in passed(scenario, top) if scenario.is_crashed_at(point)][::stride]
    for place, point in list(enumerate(points))[number::SLICES]:
        crash_at(scenario, top, point, is_next_tried=place % NEXT_STRIDE == 0)


def crash_at(scenario: Scenario, top: Path, *deadly: Point, is_next_tried: bool = True) -> tuple[Point, ...]:
    """One run in which workers die there; the points of the recovery."""
    try:
        return run(scenario, top, *deadly, is_next_tried=is_next_tried).recovery
    except AssertionError as error:
        raise AssertionError(f"{scenario}: workers died at {' and at '.join(map(str, deadly))}") from error
