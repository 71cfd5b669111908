"""Aborts: honoured at every stage before the switchover, refused after it."""

from __future__ import annotations

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.moves import aborted_in_the_copy, assert_home, assert_moved, other
from tests.lab.points import hold, inject, standing_at
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
        pytest.param("accepted", "step.check_destination.before_do", marks=pytest.mark.one_database),
        ("accepted", "step.check_source.before_do"),
        ("queued", "step.check_source.after_commit"),
        ("preparing", "step.pre_live_migration.before_do"),
        ("running", "step.migrate.before_do"),
    ],
)
def test_an_abort_is_honoured_before_the_copy(lab: Lab, wire: Wire, guest: Guest, status: str, point: str) -> None:
    home = wire.server(guest.uuid)["host"]
    before, began = World.of(lab), monotonic_s()
    held = hold(lab, point)
    migration = wire.begin(guest.uuid, other(home))
    with standing_at(held):
        assert wire.status(migration, status)["phase"] == "forward"
        answer = wire.abort(guest.uuid, migration)
        assert answer.status_code == 202, answer.text
    ended = wire.end(migration)
    assert ended["status"] == "cancelled", story(ended)
    assert_unchanged(lab, before)
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken


@pytest.mark.one_database
def test_an_abort_while_the_rollback_runs_keeps_it_from_trying_another_host(lab: Lab, wire: Wire, guest: Guest) -> None:
    """A host that could not prepare is no reason to end: without the abort the scheduler would be asked again."""
    home = wire.server(guest.uuid)["host"]
    before, began = World.of(lab), monotonic_s()
    inject(lab, "step.pre_live_migration.after_do", "raise-host once")
    held = hold(lab, "undo.pre_live_migration.before")
    migration = wire.begin(guest.uuid)
    with standing_at(held):
        assert wire.status(migration, "preparing")["phase"] == "rolling-back"
        for _ in range(2):
            answer = wire.abort(guest.uuid, migration)
            assert answer.status_code == 202, answer.text
    ended = wire.end(migration)
    assert (ended["status"], ended["dest_host"]) == ("failed", other(home)), story(ended)
    assert "step.pre_live_migration.after_do" in ended["error"], story(ended)
    assert {step["attempt"] for step in ended["steps"]} == {1}, story(ended)
    assert_unchanged(lab, before)
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken


@pytest.mark.one_database
def test_an_abort_that_comes_when_the_guest_has_gone_over_comes_to_nothing(lab: Lab, wire: Wire, guest: Guest) -> None:
    """The destination runs it, but nobody has looked yet: the abort is taken, and the switchover wins."""
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    held = hold(lab, "step.post_at_destination.before_do")
    migration = wire.begin(guest.uuid, other(home))
    with standing_at(held):
        assert wire.status(migration, "running")["phase"] == "forward"
        answer = wire.abort(guest.uuid, migration)
        assert answer.status_code == 202, answer.text
    ended = wire.end(migration)
    assert_moved(lab, wire, guest, ended, since=began)
    shown = wire.nova(f"/servers/{guest.uuid}/os-instance-actions")["instanceActions"]
    outcome = {one["action"]: one["message"] for one in shown if one["request_id"] == ended["request_id"]}
    assert outcome == {"live-migration": None, "live_migration_cancel": "Error"}


def test_an_abort_ends_a_running_copy(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", fill_mib=24, memory_mib=64)
    before, began = World.of(lab), monotonic_s()
    aborted_in_the_copy(lab, wire, guest.uuid)
    assert_unchanged(lab, before)
    assert_home(lab, wire, guest, "node5")
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken
    # and at once again
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)


def test_an_abort_is_too_late_after_the_switchover(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    held = hold(lab, "step.post_at_source.before_do")
    migration = wire.begin(guest.uuid, other(home))
    with standing_at(held):
        wire.status(migration, "post-migrating")
        answer = wire.abort(guest.uuid, migration)
        assert answer.status_code == 400, answer.text
        assert "post-migrating" in answer.text
    assert_moved(lab, wire, guest, wire.end(migration), since=began)
    after = wire.abort(guest.uuid, migration)
    assert after.status_code == 409, after.text
    assert "task_state" in after.text
