"""What must never happen, however unlucky the moment: each of these once lost a guest, doubled it, or stood still for ever."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Host, Migration, MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import journal
from lmigrate.migration import rollback
from lmigrate.migration.resolve import resolve
from lmigrate.migration.runner import make_context, run_step
from lmigrate.migration.steps.migrate import _spec
from lmigrate.states import MigrationStatus, Phase, PowerState, StepState
from lmigrate.virt.fake_domain import FakeDomain
from lmigrate.virt.fake_move import Move
from lmigrate.virt.xml.document import parse, set_mark, write
from tests.integration.cluster import Cluster

CHECKS = [("select_destination", None), ("check_destination", "node6"), ("check_source", "node5")]
PREPARED = [*CHECKS, ("pre_live_migration", "node6")]


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", is_shared=True)


def driven_to(cluster: Cluster, migration_id: int, steps: list[tuple[str, str | None]]) -> None:
    for name, host in steps:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    cluster.mail.waiting.clear()


def change_host(name: str, **values: object) -> None:
    with writing() as session:
        row = session.scalar(select(Host).where(Host.name == name))
        for field, value in values.items():
            setattr(row, field, value)


def test_a_move_that_is_to_be_adopted_is_not_undone_unseen(cluster: Cluster) -> None:
    """The job was seen running, the message to adopt it waits, libvirt finishes, and the source's daemon hiccups."""
    uuid = cluster.boot("node5", is_paused=True)
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, PREPARED)
    with writing() as session:
        migration = session.get_one(Migration, migration_id)
        steps = journal.steps_of(session, migration)
        rollback._let_adopt(steps)
        row = next(step for step in steps if step.name == "migrate")
        row.tries, row.facts = 1, {"inodes": {}}
    context = make_context(row, cluster.settings("node5"), cluster.connect("node5"))
    cluster.hypervisor("node5").migrate(_spec(context))
    change_host("node5", libvirt_ok=False, down_reason="it did not answer in time")
    cluster.later()
    assert "node6" in cluster.world.where(uuid)
    change_host("node5", libvirt_ok=True)
    for _ in range(3):
        cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_a_step_that_died_with_its_host_does_not_hold_an_abort_up(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, CHECKS)
    with writing() as session:
        row = journal.find(session, migration_id, 1, "pre_live_migration")
        assert row is not None
        row.state, row.owner, row.lease_until, row.tries = StepState.RUNNING, "gone", utcnow() - timedelta(hours=1), 1
        session.get_one(Migration, migration_id).abort_requested_at = utcnow()
    change_host("node6", forced_down=True)
    for _ in range(2):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.status, cluster.instance(uuid).task_state) == (MigrationStatus.CANCELLED, None)


def stopped_at_switchover(cluster: Cluster) -> tuple[str, int]:
    """Both hosts hold the guest, paused; neither has a job: a person has to decide."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, PREPARED)
    source = cluster.world.domain("node5", uuid)
    source.set_state(PowerState.PAUSED, "migration")
    root = parse(source.active_xml or "")
    set_mark(root, cluster.migration(migration_id).uuid)
    arriving = FakeDomain(uuid, write(root), None, PowerState.PAUSED, "migration", memory=source.memory)
    cluster.world.hosts["node6"].domains[uuid] = arriving
    with writing() as session:
        row = session.scalar(select(MigrationStep).where(MigrationStep.migration_id == migration_id, MigrationStep.name == "migrate"))
        assert row is not None
        row.state, row.tries, row.facts = StepState.FAILED, 1, {"inodes": {}}
        migration = session.get_one(Migration, migration_id)
        migration.phase, migration.error = Phase.ROLLING_BACK, "the link broke"
    rollback.roll_back(migration_id, 1, cluster.mail)
    cluster.deliver()
    assert cluster.migration(migration_id).phase is Phase.HELD
    return uuid, migration_id


def test_what_an_operator_says_is_not_believed_against_a_copy_that_runs(cluster: Cluster) -> None:
    uuid, migration_id = stopped_at_switchover(cluster)
    cluster.world.hosts["node6"].domains[uuid].set_state(PowerState.RUNNING, "migrated")  # its finish came through meanwhile
    resolve(migration_id, "node5", "alice", cluster.mail)
    cluster.deliver()
    for _ in range(3):
        cluster.later()
    assert cluster.world.split_brains == []
    assert cluster.world.domain("node5", uuid).power_state is not PowerState.RUNNING
    with reading() as session:
        assert session.get_one(Migration, migration_id).switched_over_at is not None


def test_what_an_operator_says_decides_where_nothing_runs(cluster: Cluster) -> None:
    uuid, migration_id = stopped_at_switchover(cluster)
    resolve(migration_id, "node5", "alice", cluster.mail)
    cluster.deliver()
    for _ in range(3):
        cluster.later()
    assert cluster.migration(migration_id).status is MigrationStatus.FAILED
    assert list(cluster.world.where(uuid)) == ["node5"]
    assert cluster.world.domain("node5", uuid).power_state is PowerState.RUNNING
    cluster.check()


def test_autostart_moves_along(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    cluster.world.domain("node5", uuid).autostart = True
    seen: list[bool] = []
    cluster.world.at("copying", lambda _move: seen.append(cluster.world.domain("node5", uuid).autostart))
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
    assert set(seen) == {False}  # a source host that boots now does not start a second copy
    assert cluster.world.domain("node6", uuid).autostart


def test_autostart_comes_back(cluster: Cluster) -> None:
    def fail(move: Move) -> None:
        raise move.error("the link broke")

    uuid = cluster.boot("node5")
    cluster.world.domain("node5", uuid).autostart = True
    cluster.world.at("copying", fail)
    migration = cluster.migrate(uuid, "node6")
    assert migration.status is MigrationStatus.FAILED
    assert cluster.world.domain("node5", uuid).autostart
