"""Aborts: honoured at every stage before the switchover, refused after it."""

from __future__ import annotations

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_home, assert_moved, other
from tests.lab.wire import Wire, story
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab


@pytest.fixture
def lab_kind() -> str:
    return "private"


@pytest.mark.parametrize(
    ("status", "point"),
    [
        ("accepted", "step.select_destination.before_do"),
        ("accepted", "step.check_source.before_do"),
        ("queued", "step.check_source.after_commit"),
        ("preparing", "step.pre_live_migration.before_do"),
        ("running", "step.migrate.before_do"),
    ],
)
def test_an_abort_is_honoured_before_the_copy(lab: Lab, wire: Wire, guest: Guest, status: str, point: str) -> None:
    home = wire.server(guest.uuid)["host"]
    before, began = World.of(lab), monotonic_s()
    (lab.faults_dir / point).write_text("sleep 1.5 once")
    migration = wire.begin(guest.uuid, other(home))
    wire.status(migration, status)
    wire.until(migration, lambda _: not (lab.faults_dir / point).exists())
    answer = wire.abort(guest.uuid, migration)
    assert answer.status_code == 202, answer.text
    ended = wire.end(migration)
    assert ended["status"] == "cancelled", story(ended)
    assert_unchanged(lab, before)
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken


def test_an_abort_ends_a_running_copy(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", fill_mib=24, memory_mib=64)
    before, began = World.of(lab), monotonic_s()
    lab.slow("node5", "16mbit")
    try:
        migration = wire.begin(guest.uuid, "node6")
        wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
        assert wire.abort(guest.uuid, migration).status_code == 202
        ended = wire.end(migration)
    finally:
        lab.slow("node5", None)
    assert ended["status"] == "cancelled", story(ended)
    assert_unchanged(lab, before)
    assert_home(lab, wire, guest, "node5")
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken
    # and at once again
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)


def test_an_abort_is_too_late_after_the_switchover(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    (lab.faults_dir / "step.post_at_source.before_do").write_text("sleep 1.5 once")
    migration = wire.begin(guest.uuid, other(home))
    wire.status(migration, "post-migrating")
    answer = wire.abort(guest.uuid, migration)
    assert answer.status_code == 400, answer.text
    assert "post-migrating" in answer.text
    assert_moved(lab, wire, guest, wire.end(migration), since=began)
    assert wire.abort(guest.uuid, migration).status_code in {404, 409}
