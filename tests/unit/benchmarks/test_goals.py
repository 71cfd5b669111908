"""A measurement says by name what it misses, and nothing when it misses nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks.goals import missed_by_api, missed_by_moves

API: dict[str, Any] = {
    "latency_ms": {"servers, list": {"median": 50.0, "p95": 200.0}, "server, show": {"median": 4.0, "p95": 9.0}},
    "memory": {"before_mib": 100.0, "most_mib": 110.0},
    "plans": {"scans": [], "most_rows_read": {"/v1/audit": 2_500}},
    "migrate_at_once": {"sent": 200, "accepted": 200, "recorded": 200, "lost": 0, "out_of_order": 0},
}
MOVES: dict[str, Any] = {"overhead_ms": {"median": 250.0}, "pauses": {"chance_that_not_longer": 0.01}}


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"latency_ms": {"server, show": {"median": 50.1, "p95": 9.0}}}, ["server, show: 50.1 ms (median), at most 50"]),
        ({"latency_ms": {"server, show": {"median": 4.0, "p95": 200.1}}}, ["server, show: 200.1 ms (p95), at most 200"]),
        ({"memory": {"most_mib": 110.2}}, ["memory: grew by 10.2 MiB, at most 10"]),
        ({"plans": {"scans": ["/v1/servers"]}}, ["plan: /v1/servers reads a whole table"]),
        ({"plans": {"most_rows_read": {"/v1/audit": 2_501}}}, ["plan: /v1/audit reads 2501 rows, at most 2500"]),
        ({"migrate_at_once": {"accepted": 199}}, ["200 at once: accepted 199, not 200"]),
        ({"migrate_at_once": {"recorded": 201}}, ["200 at once: recorded 201, not 200"]),
        ({"migrate_at_once": {"lost": 1, "out_of_order": 2}}, ["200 at once: lost 1, not 0", "200 at once: out_of_order 2, not 0"]),
    ],
)
def test_the_api(change: dict[str, Any], missed: list[str]) -> None:
    report = copy.deepcopy(API)
    for section, values in change.items():
        report[section] |= values
    assert missed_by_api(report) == missed


def test_moves() -> None:
    assert missed_by_moves(MOVES) == []
    slow = {"overhead_ms": {"median": 250.1}, "pauses": {"chance_that_not_longer": 0.009}}
    assert missed_by_moves(slow) == [
        "overhead: 250.1 ms at the median, at most 250",
        "the guest stands still longer than with the bare call (p = 0.009)",
    ]
