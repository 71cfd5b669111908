from typing import Any

import pytest

from lmigrate.cli.watch import Told, eta_s, view

MIB = 2**20


def migration(**fields: Any) -> dict[str, Any]:
    progress: dict[str, Any] = {
        "percent": 75,
        "memory_total_bytes": 1024 * MIB,
        "memory_remaining_bytes": 256 * MIB,
        "disk_total_bytes": 0,
        "disk_remaining_bytes": 0,
        "iteration": 3,
        "bandwidth_bps": 100 * MIB,
        "dirty_rate_bps": 8 * MIB,
        "expected_downtime_ms": 80,
        "throttle_percent": 20,
    } | fields.pop("progress", {})
    return {
        "status": "running",
        "phase": "forward",
        "pending_request": None,
        "attempt": 1,
        "source_host": "node5",
        "dest_host": "node6",
        "steps": [{"attempt": 1, "name": "migrate", "state": "running"}],
        "progress": progress,
    } | fields


def test_everything_that_is_known_is_said() -> None:
    assert str(view(migration(), 0)) == (
        " 75%  running: node5 → node6, migrate, 256 MiB of 1.0 GiB left, 100 MiB/s, dirtied 8.0 MiB/s, "
        "iteration 3, pause about 80 ms, about 3 s to go, guest slowed by 20%"
    )


@pytest.mark.parametrize(("asked", "said"), [("abort", "abort pending"), ("force_complete", "force-complete pending")])
def test_what_was_asked_for_is_said_until_it_comes_about(asked: str, said: str) -> None:
    assert view(migration(pending_request=asked), 0).sentence.startswith(f"node5 → node6, {said}, migrate, ")


@pytest.mark.parametrize(
    ("bandwidth_mib", "dirty_mib", "left_mib", "left_s"),
    [(100, 0, 256, 2.56), (100, 36, 256, 4), (100, 100, 256, None), (100, 200, 256, None), (None, None, 256, None), (100, 0, 0, None)],
)
def test_when_it_is_done_at_this_rate(bandwidth_mib: int | None, dirty_mib: int | None, left_mib: int, left_s: float | None) -> None:
    rates = {"bandwidth_bps": bandwidth_mib and bandwidth_mib * MIB, "dirty_rate_bps": dirty_mib and dirty_mib * MIB}
    assert eta_s({"memory_remaining_bytes": left_mib * MIB, "disk_remaining_bytes": 0, **rates}) == left_s


@pytest.mark.parametrize(("now", "before", "shown"), [(75, 0, 75), (40, 75, 75), (100, 75, 100)])
def test_the_percent_never_goes_back(now: int, before: int, shown: int) -> None:
    assert view(migration(progress={"percent": now}), before).percent == shown


def test_nothing_is_made_up_before_the_copy() -> None:
    early = migration(status="accepted", dest_host=None, steps=[{"attempt": 1, "name": "select_destination", "state": "running"}])
    assert view(early, 0).sentence == "node5 → destination not chosen yet, select destination"
    blank = dict.fromkeys(("iteration", "bandwidth_bps", "dirty_rate_bps", "expected_downtime_ms", "throttle_percent"))
    assert view(migration(steps=[], progress=blank | {"memory_total_bytes": 0}), 0).sentence == "node5 → node6"


def test_a_rollback_is_said_and_so_is_its_step() -> None:
    steps = [{"attempt": 1, "name": "migrate", "state": "undone"}, {"attempt": 2, "name": "pre_live_migration", "state": "undoing"}]
    assert view(migration(status="preparing", phase="rolling-back", attempt=2, steps=steps), 0).sentence == (
        "node5 → node6, rolling back, pre live migration"
    )


@pytest.mark.parametrize(("status", "shown"), [("preparing", "node5 → destination not chosen yet"), ("failed", "node5 → no destination")])
def test_who_has_no_destination_says_so(status: str, shown: str) -> None:
    assert view(migration(status=status, dest_host=None, steps=[]), 0).sentence == shown


def test_a_pipe_gets_each_line_once_and_while_it_is_copied_only_now_and_then() -> None:
    told = Told()
    said = [
        ("a", "running", 0.0, True),
        ("a", "running", 9.0, False),  # nothing new
        ("b", "running", 9.0, True),  # the last line is old
        ("c", "running", 10.0, False),  # it is not
        ("c", "completed", 10.5, True),  # the status has changed
        ("c", "else", 30.0, False),  # nothing of it shows
    ]
    for line, key, now_s, is_worth in said:
        assert told.is_worth(line, key, now_s) is is_worth, (line, now_s)
