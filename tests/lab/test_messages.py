"""Celery's own messages on a real Redis: doubled, replayed after the end and during another migration, and lost with all of Redis."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab import services
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_home, assert_moved, other
from tests.lab.points import hold
from tests.lab.tap import Sent, Tap
from tests.lab.wire import Json, Wire, eventually, story
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab

FORWARD = [
    "select_destination",
    "check_destination",
    "check_source",
    "pre_live_migration",
    "migrate",
    "post_at_destination",
    "post_at_source",
]
#: of a move that was not begun yet: nobody has to be asked where the guest is
BACK = ["rollback", "undo.migrate", "undo.pre_live_migration", "undo.check_source"]
BACK += ["undo.check_destination", "undo.select_destination", "rolled_back"]


@pytest.fixture
def tap(lab: Lab) -> Iterator[Tap]:
    with Tap(lab) as made:
        yield made


class Doubling:
    """The first message of each task goes into its queue a second time, in each queue to which the task is sent."""

    def __init__(self, tap: Tap) -> None:
        self._tap, self._doubled = tap, set[tuple[str, str]]()

    def __call__(self, sent: Sent) -> None:
        if (sent.task, sent.queue) not in self._doubled:
            self._doubled.add((sent.task, sent.queue))
            self._tap.send(sent)

    def of(self, migration: Json) -> set[str]:
        """What has been doubled, each task twice at least in each of its queues."""
        counts = Counter((sent.task, sent.queue) for sent in self._tap.heard if migration["id"] in sent.arguments)
        single = {task for (task, _queue), count in counts.items() if count < 2}
        return {task.removeprefix("lmigrate.") for task, _queue in counts if task not in single}


def quiet(tap: Tap) -> None:
    """Everything that was sent has been taken, and what was taken is done."""
    eventually("the queues are empty", lambda: tap.waiting("node5", "node6", "node7") == 0)
    eventually("nothing is in flight", lambda: not any(tap.redis.zcard(key) for key in tap.redis.scan_iter("lm:unacked.*.index")))


def kept(migration: Json) -> Json:
    """What must not change any more."""
    return {key: value for key, value in migration.items() if key != "updated_at"}


def test_every_message_of_a_migration_arrives_twice(lab: Lab, wire: Wire, guest: Guest, tap: Tap) -> None:
    began = monotonic_s()
    tap.heed = doubling = Doubling(tap)
    ended = wire.move(guest.uuid, other(wire.server(guest.uuid)["host"]))
    assert_moved(lab, wire, guest, ended, since=began)
    quiet(tap)
    assert set(FORWARD) <= doubling.of(ended)
    assert {step["name"]: step["tries"] for step in ended["steps"]} == dict.fromkeys([*FORWARD, "complete"], 1)
    assert_home(lab, wire, guest, ended["dest_host"])


def test_every_message_of_a_rollback_arrives_twice(lab: Lab, wire: Wire, start: StartGuest, tap: Tap) -> None:
    """Of a move that was begun: both hosts are asked, and it is decided by what they say, before anything is undone."""
    guest, before_ticks = start("node5", fill_mib=24, memory_mib=64), monotonic_s()
    before = World.of(lab)
    lab.host("node5").virsh("migrate-setspeed", guest.uuid, "1")  # MiB/s: it is under way for longer than an abort takes
    tap.heed = doubling = Doubling(tap)
    migration = wire.begin(guest.uuid, "node6")
    wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
    assert wire.abort(guest.uuid, migration).status_code == 202
    ended = wire.end(migration)
    assert ended["status"] == "cancelled", story(ended)
    quiet(tap)
    assert {*BACK, "observe", "decide"} <= doubling.of(ended)
    assert {sent.queue for sent in tap.heard if sent.task == "lmigrate.observe"} == {"lm:host.node5", "lm:host.node6"}
    assert_unchanged(lab, before)
    guest.wait_ticks(2)
    assert guest.report(before_ticks).is_unbroken


def test_messages_of_ended_migrations_change_nothing(lab: Lab, wire: Wire, guest: Guest, tap: Tap) -> None:
    """All that a finished and an undone migration sent comes again: when both are over, and while a third one goes."""
    began, home = monotonic_s(), wire.server(guest.uuid)["host"]
    finished = wire.move(guest.uuid, other(home))
    (lab.faults_dir / "step.migrate.before_do").write_text("raise once")
    undone = wire.move(guest.uuid, home)
    assert (finished["status"], undone["status"]) == ("completed", "failed"), story(undone)
    quiet(tap)
    old, before = list(tap.heard), World.of(lab)
    assert {*FORWARD, *BACK} <= {sent.task.removeprefix("lmigrate.") for sent in old}
    for sent in [*old, *reversed(old)]:
        tap.send(sent)
    quiet(tap)
    assert_unchanged(lab, before)
    for ended in (finished, undone):
        assert kept(wire.end(ended["id"])) == kept(ended)
    third = wire.begin(guest.uuid, home)
    for sent in old:
        tap.send(sent)
    assert_moved(lab, wire, guest, wire.end(third), since=began)


def test_redis_loses_everything_twice(lab: Lab, wire: Wire, guest: Guest, tap: Tap) -> None:
    """First while a message waits for a conductor that is away, then between two steps."""
    began, home = monotonic_s(), wire.server(guest.uuid)["host"]
    held = hold(lab, "step.check_source.after_commit")
    lab.kill("conductor")
    eventually("the conductor is dead", lambda: lab.pid_of("conductor") is None)
    migration = wire.begin(guest.uuid, other(home))
    assert any(b"select_destination" in message for message in tap.redis.lrange("lm:conductor", 0, -1))
    tap.redis.flushall()
    lab.start_daemon("conductor")
    eventually("the source has been checked", held.exists)
    tap.redis.flushall()
    held.unlink()
    ended = wire.end(migration)
    assert any("select_destination" in event["details"] for event in ended["events"] if event["event"] == "reconcile"), story(ended)
    assert_moved(lab, wire, guest, ended, since=began)


@pytest.fixture
def second_conductor(lab: Lab) -> Iterator[None]:
    own = services.daemon_environment(lab.paths, lab.state, lab.ctl.name, "conductor")
    lab.ctl.start_daemon("conductor2", services.lmigrate_command("conductor", "run"), own)
    yield
    lab.ctl.stop_daemon("conductor2")


def test_a_second_conductor_goes_on_when_the_first_is_frozen(lab: Lab, wire: Wire, guest: Guest, tap: Tap, second_conductor: None) -> None:
    """What the first holds, messages and perhaps its turn to look, the second does not wait for long; awake again it does no harm."""
    began, home = monotonic_s(), wire.server(guest.uuid)["host"]
    moved = wire.move(guest.uuid, other(home))
    assert_moved(lab, wire, guest, moved, since=began)
    lab.kill("conductor", signal.SIGSTOP)
    try:
        began = monotonic_s()
        back = wire.end(wire.begin(guest.uuid, home))
        assert_moved(lab, wire, guest, back, since=began)
    finally:
        lab.kill("conductor", signal.SIGCONT)
    quiet(tap)
    assert {step["name"]: step["tries"] for step in back["steps"]} == dict.fromkeys([*FORWARD, "complete"], 1)
    assert_home(lab, wire, guest, home)
