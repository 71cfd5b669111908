"""An abort at each stage: honoured before the switchover, refused after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.db.models import InstanceAction, InstanceActionEvent
from lmigrate.db.session import reading
from lmigrate.errors import AbortTooLate, MigrationNotFound
from lmigrate.ids import new_uuid
from lmigrate.migration.abort import request_abort
from lmigrate.states import MigrationStatus
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster
from tests.integration.mail import Message, name_of

BEFORE_SWITCHOVER = ["select_destination", "check_destination", "check_source", "pre_live_migration", "migrate"]


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def check_cancelled(cluster: Cluster, migration_id: int, before: object) -> None:
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.error_code) == (MigrationStatus.CANCELLED, "MigrationAborted")
    assert cluster.snapshot() == before
    cluster.world.reset_hooks()
    cluster.mail.copies = lambda _message: 1
    cluster.check_moved(cluster.migrate(migration.instance_uuid, "node6"), "node5", "node6")


@pytest.mark.parametrize("step", BEFORE_SWITCHOVER)
def test_before_a_step(cluster: Cluster, step: str) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()

    def abort_first(message: Message) -> int:
        if name_of(message) == step:
            request_abort(uuid, migration_id)
        return 1

    cluster.mail.copies = abort_first if step != "select_destination" else cluster.mail.copies
    migration_id = cluster.request(uuid, "node6")
    if step == "select_destination":
        request_abort(uuid, migration_id)
    cluster.deliver()
    check_cancelled(cluster, migration_id, before)


def test_while_the_guest_is_copied(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    migration_id = cluster.request(uuid, "node6")

    def abort(move: Move) -> None:
        request_abort(uuid, migration_id)
        move.wait_for_abort()

    cluster.world.at("copying", abort)
    cluster.deliver()
    check_cancelled(cluster, migration_id, before)


def test_at_the_moment_of_the_switchover_and_qemu_waits_for_ever(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt's call did not return, the guest stood still, and nobody was told."""
    monkeypatch.setattr("lmigrate.migration.monitor.END_PATIENCE_S", 0.05)
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    migration_id = cluster.request(uuid, "node6")

    def abort(move: Move) -> None:
        move.hangs = True
        request_abort(uuid, migration_id)
        move.wait_for_abort()

    cluster.world.at("copying", abort)
    cluster.deliver()
    assert "compute_live_migration: QEMU waited for ever: freed" in cluster.events(migration_id)
    check_cancelled(cluster, migration_id, before)


def test_twice_is_once(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration_id = cluster.request(uuid, "node6")
    request_abort(uuid, migration_id)
    request_abort(uuid, migration_id)
    cluster.deliver()
    check_cancelled(cluster, migration_id, before)


def test_the_switchover_wins_the_race(cluster: Cluster) -> None:
    """Asked for when the guest has already moved, but nobody has seen it yet."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    cluster.world.at("finished", lambda _move: request_abort(uuid, migration_id))
    cluster.deliver()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")
    with reading() as session:
        told = [row.event for row in session.query(InstanceActionEvent) if row.result != "Success"]
        outcome = {row.action: row.message for row in session.query(InstanceAction)}
    assert told == ["live_migration_cancel"]
    assert outcome == {"live-migration": None, "live_migration_cancel": "Error"}


def test_too_late(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    refused: list[str] = []

    def try_abort(message: Message) -> int:
        if name_of(message) == "post_at_source":
            with pytest.raises(AbortTooLate) as error:
                request_abort(uuid, migration_id)
            refused.append(str(error.value))
        return 1

    cluster.mail.copies = try_abort
    migration_id = cluster.request(uuid, "node6")
    cluster.deliver()
    assert "migrate it to node5" in refused[0]
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_after_the_end(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration = cluster.migrate(uuid, "node6")
    with pytest.raises(AbortTooLate, match="completed"):
        request_abort(uuid, migration.id)


def test_somebody_elses_migration(cluster: Cluster) -> None:
    migration_id = cluster.request(cluster.boot("node5"), "node6")
    with pytest.raises(MigrationNotFound):
        request_abort(new_uuid(), migration_id)
    with pytest.raises(MigrationNotFound):
        request_abort(cluster.boot("node5"), migration_id + 1)
