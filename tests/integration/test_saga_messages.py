"""Messages that are lost, doubled, late or out of order: the effect is that of once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lmigrate.migration.dispatch import StepMessage, UndoMessage
from lmigrate.states import MigrationStatus, Phase
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster
from tests.integration.mail import Chain, Message, name_of

STEPS = [
    "select_destination",
    "check_destination",
    "check_source",
    "pre_live_migration",
    "migrate",
    "post_at_destination",
    "post_at_source",
    "complete",
]
CONDUCTORS = ["rollback", "decide", "rolled_back", "observe.source", "observe.destination"]
UNDOS = ["undo.migrate", "undo.pre_live_migration", "undo.check_source", "undo.check_destination", "undo.select_destination"]


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def fail(move: Move) -> None:
    raise move.error("operation failed: injected")


def check_failed(cluster: Cluster, migration_id: int, before: object) -> None:
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert cluster.snapshot() == before
    cluster.check()


class Losing:
    """The first message of a name is lost."""

    def __init__(self, name: str) -> None:
        self.name, self.lost = name, 0

    def __call__(self, message: Message) -> int:
        if name_of(message) != self.name or self.lost:
            return 1
        self.lost += 1
        return 0


def test_the_last_message_may_be_lost(cluster: Cluster) -> None:
    """Whoever did the last step but one has closed the books."""
    uuid = cluster.boot("node5")
    cluster.mail.copies = losing = Losing("complete")
    migration = cluster.migrate(uuid, "node6")
    assert losing.lost == 1
    cluster.check_moved(migration, "node5", "node6")


@pytest.mark.parametrize("name", STEPS[:-1])
def test_a_lost_step_is_sent_again(cluster: Cluster, name: str) -> None:
    uuid = cluster.boot("node5")
    cluster.mail.copies = losing = Losing(name)
    migration = cluster.migrate(uuid, "node6")
    assert losing.lost == 1
    assert not migration.status.is_terminal
    assert cluster.instance(uuid).task_state is not None
    sentences = cluster.later()
    assert name in sentences[0]
    cluster.check_moved(cluster.migration(migration.id), "node5", "node6")


@pytest.mark.parametrize("name", [*CONDUCTORS, *UNDOS])
def test_a_lost_message_of_the_rollback_is_sent_again(cluster: Cluster, name: str) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.world.at("copying", fail)
    cluster.mail.copies = losing = Losing(name)
    migration = cluster.migrate(uuid, "node6")
    assert losing.lost == 1
    # each of the two looks ends with one: losing the first loses nothing
    assert migration.phase is (Phase.ENDED if name == "decide" else Phase.ROLLING_BACK)
    cluster.later()
    check_failed(cluster, migration.id, before)
    assert ("reconcile: its rollback stands still; driven on" in cluster.events(migration.id)) is (name != "decide")


@pytest.mark.parametrize("copies", [2, 3])
def test_every_message_of_a_healthy_migration_is_doubled(cluster: Cluster, copies: int) -> None:
    uuid = cluster.boot("node5", disks=2)
    seen: Counter[str] = Counter()

    def double(message: Message) -> int:
        seen[name_of(message)] += 1
        return copies if seen[name_of(message)] == 1 else 1

    moves: list[Move] = []
    cluster.world.at("begin", moves.append)
    cluster.mail.copies = double
    migration = cluster.migrate(uuid, "node6")
    cluster.check_moved(migration, "node5", "node6")
    assert len(moves) == 1


def test_every_message_of_a_failing_migration_is_doubled(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    seen: Counter[str] = Counter()

    def double(message: Message) -> int:
        seen[name_of(message)] += 1
        return 2 if seen[name_of(message)] == 1 else 1

    cluster.world.at("copying", fail)
    cluster.mail.copies = double
    check_failed(cluster, cluster.migrate(uuid, "node6").id, before)


@pytest.mark.parametrize("status", [MigrationStatus.COMPLETED, MigrationStatus.FAILED])
def test_messages_that_arrive_after_the_end(cluster: Cluster, status: MigrationStatus) -> None:
    uuid = cluster.boot("node5", disks=2)
    old: list[Message] = []

    def keep(message: Message) -> int:
        old.append(message)
        return 1

    cluster.mail.copies = keep
    if status is MigrationStatus.FAILED:
        cluster.world.at("copying", fail)
    migration = cluster.migrate(uuid, "node6")
    assert migration.status is status
    cluster.world.reset_hooks()
    before, journal = cluster.snapshot(), cluster.journal(migration.id)
    for message in [*old, *undos_of(old)]:
        cluster.mail.waiting.append(Chain([message]))
    cluster.deliver()
    assert (cluster.snapshot(), cluster.journal(migration.id)) == (before, journal)
    assert cluster.migration(migration.id).status is status


def undos_of(messages: list[Message]) -> list[Message]:
    steps = [message for message in messages if isinstance(message, StepMessage)]
    return [UndoMessage(step.step, step.migration_id, step.attempt, step.address) for step in steps]
