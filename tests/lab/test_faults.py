"""A failure, or the death of a worker, at each step: the guest is where it was with nothing left behind, or moved."""

from __future__ import annotations

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.moves import assert_moved, other
from tests.lab.points import inject
from tests.lab.wire import Wire, eventually, story
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab

BEFORE_SWITCHOVER = [
    "select_destination.before_do",
    "select_destination.after_do",
    "check_destination.before_do",
    "check_destination.after_do",
    "check_source.before_do",
    "check_source.after_do",
    "pre_live_migration.before_do",
    "pre_live_migration.after_do",
    "migrate.before_do",
]
AFTER_SWITCHOVER = [
    "migrate.after_do",
    "post_at_destination.before_do",
    "post_at_destination.after_do",
    "post_at_source.before_do",
    "post_at_source.after_do",
    "complete.before_do",
    "complete.after_do",
]
KILLS = [
    "pre_live_migration.before_do",
    "pre_live_migration.after_do",
    "migrate.before_do",
    "migrate.after_do",
    "post_at_destination.before_do",
]


#: the step is done, but what follows is not told so by Celery
LOST_TELLING = ["check_destination.after_commit", "migrate.after_commit", "post_at_destination.after_commit"]


@pytest.fixture
def lab_kind() -> str:
    return "private"


@pytest.mark.parametrize("point", BEFORE_SWITCHOVER)
def test_a_failure_before_the_switchover_leaves_nothing_behind(lab: Lab, wire: Wire, guest: Guest, point: str) -> None:
    home = wire.server(guest.uuid)["host"]
    contents, before, began = guest.disk_checksums(home), World.of(lab), monotonic_s()
    inject(lab, f"step.{point}", "raise once")
    ended = wire.move(guest.uuid, other(home))
    assert ended["status"] == "failed", story(ended)
    assert f"Injected by a fail point: step.{point}" in ended["error"]
    assert_unchanged(lab, before)
    # a second try meets no leftovers
    ended = wire.move(guest.uuid, other(home))
    assert_moved(lab, wire, guest, ended, since=began)
    assert guest.disk_checksums(other(home)) == contents


@pytest.mark.parametrize("point", AFTER_SWITCHOVER)
def test_a_failure_after_the_switchover_goes_forward(lab: Lab, wire: Wire, guest: Guest, point: str) -> None:
    home = wire.server(guest.uuid)["host"]
    contents, began = guest.disk_checksums(home), monotonic_s()
    inject(lab, f"step.{point}", "raise once")
    ended = wire.move(guest.uuid, other(home))
    assert any(f"step.{point}" in str(event["details"]) for event in ended["events"]), story(ended)
    assert_moved(lab, wire, guest, ended, since=began)
    assert guest.disk_checksums(other(home)) == contents


@pytest.mark.parametrize("point", LOST_TELLING)
def test_a_chain_that_breaks_between_two_steps_is_taken_up_again(lab: Lab, wire: Wire, guest: Guest, point: str) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    inject(lab, f"step.{point}", "raise once")
    ended = wire.move(guest.uuid, other(home))
    assert any(event["event"] == "reconcile" for event in ended["events"]), story(ended)
    assert_moved(lab, wire, guest, ended, since=began)


def test_an_undo_that_fails_is_tried_again(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, before = wire.server(guest.uuid)["host"], World.of(lab)
    inject(lab, "step.pre_live_migration.after_do", "raise once")
    inject(lab, "undo.pre_live_migration.before", "raise once")
    inject(lab, "undo.check_destination.after", "raise once")
    ended = wire.move(guest.uuid, other(home))
    assert ended["status"] == "failed", story(ended)
    assert list(lab.faults_dir.iterdir()) == []
    assert_unchanged(lab, before)


def test_a_conductor_that_dies_is_replaced_and_the_migration_finished(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    inject(lab, "step.select_destination.after_do", "kill once")
    migration = wire.begin(guest.uuid, other(home))
    eventually("the conductor is dead", lambda: lab.pid_of("conductor") is None)
    lab.start_daemon("conductor")
    assert_moved(lab, wire, guest, wire.end(migration), since=began)


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_worker_is_replaced_and_the_migration_finished(lab: Lab, wire: Wire, guest: Guest, point: str) -> None:
    home = wire.server(guest.uuid)["host"]
    contents, began = guest.disk_checksums(home), monotonic_s()
    inject(lab, f"step.{point}", "kill once")
    ended = wire.move(guest.uuid, other(home))
    assert any(step["tries"] > 1 for step in ended["steps"]), story(ended)
    assert_moved(lab, wire, guest, ended, since=began)
    assert guest.disk_checksums(other(home)) == contents
