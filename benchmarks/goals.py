"""What the measurements must reach; pure, each from a report to the sentences that say what it misses."""

from __future__ import annotations

from typing import Any

#: of one request
MEDIAN_MS, P95_MS = 50.0, 200.0
#: of the API while one client reads everything there is
MOST_GROWTH_MIB = 10.0
#: of one query for a page of 100, with what it leaves out again, of tables that grow with the fleet
MOST_ROWS = 2_500
#: what a move by lmigrate takes longer than the bare call, at the median
OVERHEAD_MS = 250.0
#: so unlikely must it be that the guest's pauses are as long with the bare call before they count as longer
SIGNIFICANCE = 0.01


def missed_by_api(report: dict[str, Any]) -> list[str]:
    """Of `benchmarks.api`."""
    return [*_latencies(report["latency_ms"]), *_memory(report["memory"]), *_plans(report["plans"]), *_at_once(report["migrate_at_once"])]


def missed_by_moves(report: dict[str, Any]) -> list[str]:
    """Of `benchmarks.overhead`."""
    overhead_ms, chance = report["overhead_ms"]["median"], report["pauses"]["chance_that_not_longer"]
    missed = [] if overhead_ms <= OVERHEAD_MS else [f"overhead: {overhead_ms} ms at the median, at most {OVERHEAD_MS:g}"]
    if chance < SIGNIFICANCE:
        missed.append(f"the guest stands still longer than with the bare call (p = {chance})")
    return missed


def _latencies(found: dict[str, dict[str, float]]) -> list[str]:
    limits = {"median": MEDIAN_MS, "p95": P95_MS}
    return [
        f"{name}: {took[which]} ms ({which}), at most {limit:g}"
        for name, took in found.items()
        for which, limit in limits.items()
        if took[which] > limit
    ]


def _memory(found: dict[str, float]) -> list[str]:
    growth_mib = round(found["most_mib"] - found["before_mib"], 1)
    return [] if growth_mib <= MOST_GROWTH_MIB else [f"memory: grew by {growth_mib} MiB, at most {MOST_GROWTH_MIB:g}"]


def _plans(found: dict[str, Any]) -> list[str]:
    scans = [f"plan: {path} reads a whole table" for path in found["scans"]]
    read = found["most_rows_read"].items()
    return scans + [f"plan: {path} reads {rows} rows, at most {MOST_ROWS}" for path, rows in read if rows > MOST_ROWS]


def _at_once(found: dict[str, Any]) -> list[str]:
    sent = found["sent"]
    wanted = {"accepted": sent, "recorded": sent, "lost": 0, "out_of_order": 0}
    return [f"{sent} at once: {name} {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]
