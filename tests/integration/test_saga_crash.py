"""A worker dies at each moment of each step: the journal says so, and the next one completes or undoes."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest

from lmigrate.db.models import MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import journal
from lmigrate.db.stores.journal import Claimant
from lmigrate.ids import new_uuid
from lmigrate.migration import runner, undo
from lmigrate.migration.dispatch import StepMessage, UndoMessage
from lmigrate.migration.steps import BY_NAME, STEPS
from lmigrate.migration.steps.base import Side
from lmigrate.migration.steps.migrate import _spec
from lmigrate.states import MigrationStatus, Phase, StepState
from lmigrate.virt.fake_move import Move
from lmigrate.virt.types import MigrateSpec
from tests.integration.cluster import Cluster, wait_until
from tests.integration.conftest import FailPoint
from tests.integration.mail import Message, WorkerDied, name_of

Moment = Literal["claimed", "done"]


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


class Dying:
    """The first worker that takes ``name`` dies at ``moment``."""

    def __init__(self, cluster: Cluster, name: str, moment: Moment) -> None:
        self.cluster, self.name, self.moment, self.has_died = cluster, name, moment, False

    def work(self, message: Message) -> str:
        if name_of(message) != self.name or self.has_died:
            return self.cluster.work(message)
        self.has_died = True
        if isinstance(message, StepMessage):
            self._die_doing(message)
        if isinstance(message, UndoMessage):
            self._die_undoing(message)
        raise WorkerDied

    def _die_doing(self, message: StepMessage) -> None:
        settings = self.cluster.settings(message.address.place)
        claimed = runner._claim(message.step, message.migration_id, message.attempt, settings, lapsed())
        assert claimed is not None
        row, _known = claimed
        if self.moment == "done":
            BY_NAME[message.step].do(runner.make_context(row, settings, self.cluster.connect(message.address.place)))

    def _die_undoing(self, message: UndoMessage) -> None:
        settings = self.cluster.settings(message.address.place)
        row = undo._claim(message.step, message.migration_id, message.attempt, lapsed())
        assert row is not None
        if self.moment == "done":
            context = runner.make_context(row, settings, self.cluster.connect(message.address.place))
            BY_NAME[message.step].undo(context, row.facts)


def lapsed(epoch: str | None = None) -> Claimant:
    """A claim that nobody renews."""
    return Claimant(f"dead/{new_uuid()}", epoch, -1)


def row_of(migration_id: int, name: str) -> MigrationStep:
    with reading() as session:
        row = journal.find(session, migration_id, 1, name)
        assert row is not None
        return row


@pytest.mark.parametrize("moment", ["claimed", "done"])
@pytest.mark.parametrize("name", [step.name for step in STEPS if step.side is not Side.STORAGE and not step.is_bookkeeping])
def test_on_the_way_forward(cluster: Cluster, name: str, moment: Moment) -> None:
    uuid = cluster.boot("node5", disks=2)
    dying = Dying(cluster, name, moment)
    migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_all(dying.work)
    assert dying.has_died
    assert row_of(migration_id, name).state is StepState.RUNNING
    cluster.check()
    cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


@pytest.mark.parametrize("moment", ["claimed", "done"])
def test_nobody_has_closed_the_books(cluster: Cluster, failpoint: FailPoint, moment: Moment) -> None:
    """The worker of the last step but one dies before it could, and so does the conductor's."""
    uuid = cluster.boot("node5")
    failpoint("step.post_at_source.after_commit", "raise once")
    migration_id = cluster.request(uuid, "node6")
    dying = Dying(cluster, "complete", moment)
    cluster.deliver()
    cluster.later(work=dying.work)
    assert dying.has_died
    assert row_of(migration_id, "complete").state is StepState.RUNNING
    cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


@pytest.mark.parametrize("moment", ["claimed", "done"])
@pytest.mark.parametrize("name", ["migrate", "pre_live_migration", "check_source", "check_destination", "select_destination"])
def test_on_the_way_back(cluster: Cluster, name: str, moment: Moment) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    cluster.world.at("copying", fail)
    dying = Dying(cluster, f"undo.{name}", moment)
    migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_all(dying.work)
    assert dying.has_died
    cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert cluster.snapshot() == before
    cluster.check()


def fail(move: Move) -> None:
    raise move.error("operation failed: injected")


def test_a_restarted_daemon_need_not_wait_for_the_lease(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_one(cluster.work)  # select_destination
    with writing() as session:
        alive_for_long = Claimant("dead/1", "the epoch before", 100_000)
        assert journal.claim(session, migration_id, 1, "check_destination", alive_for_long)
    cluster.mail.waiting.clear()
    cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_a_living_worker_is_left_alone(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_one(cluster.work)
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "check_destination", Claimant("alive/1", None, 100_000))
    cluster.deliver()  # the message arrives a second time
    assert cluster.later() == []
    assert row_of(migration_id, "check_destination").owner == "alive/1"


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_libvirt_goes_on_without_the_worker_and_the_next_one_adopts_its_job(cluster: Cluster, ends: str) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    migration_id = cluster.request(uuid, "node6")

    def until_adopted(move: Move) -> None:
        wait_until(lambda: row_of(migration_id, "migrate").tries == 2)
        if ends == "badly":
            fail(move)

    calls: list[threading.Thread] = []

    def die_in_the_move(message: Message) -> str:
        if name_of(message) != "migrate" or calls:
            return cluster.work(message)
        settings = cluster.settings("node5")
        claimed = runner._claim("migrate", migration_id, 1, settings, lapsed())
        assert claimed is not None
        row, _known = claimed
        spec = _spec(runner.make_context(row, settings, cluster.connect("node5")))
        calls.append(threading.Thread(target=move_and_forget, args=(cluster, spec)))
        calls[0].start()
        wait_until(lambda: cluster.hypervisor("node5").job(uuid).is_active)
        raise WorkerDied

    cluster.world.at("copying", until_adopted)
    cluster.mail.deliver_all(die_in_the_move)
    cluster.later()
    calls[0].join(10)
    migration = cluster.migration(migration_id)
    if ends == "well":
        cluster.check_moved(migration, "node5", "node6")
        return
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert cluster.snapshot() == before


def move_and_forget(cluster: Cluster, spec: MigrateSpec) -> None:
    """libvirtd's part: whoever called it is gone, so nobody hears its error."""
    with suppress(Exception):
        cluster.hypervisor("node5").migrate(spec)
