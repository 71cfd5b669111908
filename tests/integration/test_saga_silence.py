"""A host that is gone: the migration is held after a while, and ends by itself when it is back, or when an operator says that it is off."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from lmigrate.db.clock import ago
from lmigrate.db.models import Host, Migration
from lmigrate.db.session import writing
from lmigrate.db.stores import migrations
from lmigrate.doctor.finding import Kind
from lmigrate.errors import ResolutionRefused
from lmigrate.migration import silence
from lmigrate.migration.resolve import resolve
from lmigrate.states import HoldReason, MigrationStatus, Phase, PowerState
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster
from tests.integration.operator_shell import OperatorShell, diagnose


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def switch_off(cluster: Cluster, name: str) -> None:
    """The host is gone: neither its libvirtd nor its daemon answers."""
    cluster.world.hosts[name].is_unreachable = True
    _set_down(name, "libvirtd does not answer")


def switch_on(cluster: Cluster, name: str) -> None:
    cluster.world.hosts[name].is_unreachable = False
    _set_down(name, None)


def _set_down(name: str, reason: str | None) -> None:
    with writing() as session:
        host = session.scalars(select(Host).where(Host.name == name)).one()
        host.libvirt_ok, host.down_reason = reason is None, reason


def wait_long(cluster: Cluster, migration_id: int) -> None:
    """The reconciler looks, and looks again when the silence has been long."""
    cluster.later()
    with writing() as session:
        session.get_one(Migration, migration_id).silent_since = ago(3600)
    cluster.later()


def dies_at(cluster: Cluster, moment: str, host: str) -> None:
    def die(_move: Move) -> None:
        cluster.world.reset_hooks()
        switch_off(cluster, host)

    cluster.world.at(moment, die)


@pytest.fixture
def destination_gone(cluster: Cluster) -> int:
    """It dies in the copy: the guest stays at home."""
    uuid = cluster.boot("node5")

    def die(move: Move) -> None:
        switch_off(cluster, "node6")
        raise move.error("the link broke")

    cluster.world.at("copying", die)
    migration_id = cluster.migrate(uuid, "node6").id
    cluster.world.reset_hooks()
    return migration_id


@pytest.fixture
def source_gone(cluster: Cluster) -> int:
    """It dies when the guest has left: only its tidying is missing."""
    uuid = cluster.boot("node5")
    dies_at(cluster, "finished", "node5")
    return cluster.migrate(uuid, "node6").id


def test_a_short_silence_is_waited_for(cluster: Cluster, destination_gone: int) -> None:
    cluster.later()
    migration = cluster.migration(destination_gone)
    assert (migration.phase, migration.hold_reason) == (Phase.ROLLING_BACK, None)
    assert migration.silent_since is not None
    switch_on(cluster, "node6")
    cluster.later()
    migration = cluster.migration(destination_gone)
    assert (migration.status, migration.silent_since) == (MigrationStatus.FAILED, None)


def test_a_long_silence_is_held_and_ends_when_the_host_is_back(cluster: Cluster, destination_gone: int) -> None:
    wait_long(cluster, destination_gone)
    migration = cluster.migration(destination_gone)
    assert (migration.status, migration.hold_reason) == (MigrationStatus.ERROR, HoldReason.DESTINATION_SILENT)
    assert migration.held_known["source"]["seen"]["power_state"] == "running"
    cluster.later()
    assert cluster.migration(destination_gone).phase is Phase.HELD
    switch_on(cluster, "node6")
    cluster.later()
    cluster.later()
    migration = cluster.migration(destination_gone)
    assert (migration.status, migration.hold_reason) == (MigrationStatus.FAILED, None)
    assert list(cluster.instances("node6").iterdir()) == []
    cluster.check()


def test_a_copy_that_fails_while_it_is_held_is_rolled_back_and_ends(cluster: Cluster) -> None:
    """And nothing holds it, or drives it, after its end."""
    uuid = cluster.boot("node5")
    phases: list[Phase] = []

    def part(move: Move) -> None:
        _set_down("node6", "its daemon is silent")
        cluster.reconcile()
        with writing() as session:
            session.get_one(Migration, migration_id).silent_since = ago(3600)
        cluster.reconcile()
        phases.append(cluster.migration(migration_id).phase)
        raise move.error("the link broke")

    cluster.world.at("copying", part)
    migration_id = cluster.request(uuid, "node6")
    cluster.deliver()
    assert phases == [Phase.HELD]
    switch_on(cluster, "node6")
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert (migration.hold_reason, migration.held_at, migration.silent_since, migration.held_known) == (None, None, None, {})
    assert list(cluster.instances("node6").iterdir()) == []
    cluster.check()


def test_an_ended_migration_is_never_held(cluster: Cluster, destination_gone: int) -> None:
    """Also one that an earlier version has ended with the reason of its hold still there."""
    switch_on(cluster, "node6")
    cluster.later()
    assert cluster.migration(destination_gone).phase is Phase.ENDED
    with writing() as session:
        session.get_one(Migration, destination_gone).hold_reason = HoldReason.DESTINATION_SILENT
    switch_off(cluster, "node6")
    with writing() as session:
        assert migrations.driven_ids(session) == []
        assert migrations.held_for(session, "node6") == []
        migration = migrations.lock(session, destination_gone)
        migration.silent_since = ago(3600)
        assert silence.attend(session, migration, cluster.settings(None)) is None
    assert cluster.migration(destination_gone).phase is Phase.ENDED


def test_a_fenced_destination_is_not_waited_for(cluster: Cluster, destination_gone: int) -> None:
    wait_long(cluster, destination_gone)
    resolve(destination_gone, "node5", "alice", cluster.mail, fenced="node6")
    cluster.deliver()
    migration = cluster.migration(destination_gone)
    assert migration.status is MigrationStatus.FAILED
    assert cluster.instance(migration.instance_uuid).task_state is None
    assert any("alice says that the guest runs on node5 and that node6 is off" in event for event in cluster.events(destination_gone))
    cluster.check()


def test_a_destination_that_is_fenced_at_the_switchover_lets_the_source_run_again(cluster: Cluster, destination_gone: int) -> None:
    uuid = cluster.migration(destination_gone).instance_uuid
    cluster.world.domain("node5", uuid).set_state(PowerState.PAUSED, "migration")
    wait_long(cluster, destination_gone)
    assert cluster.migration(destination_gone).hold_reason is HoldReason.DESTINATION_SILENT
    resolve(destination_gone, "node5", "alice", cluster.mail, fenced="node6")
    cluster.deliver()
    assert cluster.migration(destination_gone).status is MigrationStatus.FAILED
    assert cluster.world.domain("node5", uuid).is_running


def test_a_silent_source_is_held_after_the_switchover_too(cluster: Cluster, source_gone: int) -> None:
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(source_gone)
    assert cluster.instance(migration.instance_uuid).host == "node6"
    wait_long(cluster, source_gone)
    assert cluster.migration(source_gone).hold_reason is HoldReason.SOURCE_SILENT
    switch_on(cluster, "node5")
    cluster.later()
    cluster.later()
    cluster.check_moved(cluster.migration(source_gone), "node5", "node6")


def test_a_fenced_source_is_not_waited_for(cluster: Cluster, source_gone: int) -> None:
    for _ in range(3):
        cluster.later()
    wait_long(cluster, source_gone)
    resolve(source_gone, "node6", "alice", cluster.mail, fenced="node5")
    cluster.deliver()
    cluster.later()
    migration = cluster.migration(source_gone)
    assert (migration.status, migration.error) == (MigrationStatus.COMPLETED, None)
    instance = cluster.instance(migration.instance_uuid)
    assert (instance.host, instance.task_state) == ("node6", None)
    assert cluster.world.domain("node6", instance.uuid).is_running
    cluster.check()


@pytest.mark.parametrize(
    ("running_on", "fenced", "why"), [("node5", "node7", "neither its source"), ("node6", "node6", "cannot run on node6")]
)
def test_what_cannot_be_fenced(cluster: Cluster, destination_gone: int, running_on: str, fenced: str, why: str) -> None:
    wait_long(cluster, destination_gone)
    with pytest.raises(ResolutionRefused, match=why):
        resolve(destination_gone, running_on, "alice", cluster.mail, fenced=fenced)
    assert cluster.migration(destination_gone).phase is Phase.HELD


def test_a_fenced_source_whose_guest_runs_nowhere_is_held_for_a_person(cluster: Cluster) -> None:
    """Nothing comes back by itself: it must not be taken up again and again."""
    uuid = cluster.boot("node5")

    def die(move: Move) -> None:
        move.leaves_destination = True
        cluster.world.power_off("node5", uuid, "crashed")
        switch_off(cluster, "node5")

    cluster.world.at("copying", die)
    migration_id = cluster.migrate(uuid, "node6").id
    for _ in range(2):
        wait_long(cluster, migration_id)
    resolve(migration_id, "node6", "alice", cluster.mail, fenced="node5")
    cluster.deliver()
    told = len(cluster.events(migration_id))
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.phase, migration.hold_reason) == (Phase.HELD, HoldReason.NOT_HANDED_OVER)  # the copy there may be whole
    assert len(cluster.events(migration_id)) == told
    (finding,) = [one for one in diagnose(cluster) if one.kind is Kind.HELD_MIGRATION]
    shell = OperatorShell(cluster)
    assert [command.host for command in finding.advice.ways[1].commands] == [None]  # nothing can be done on a host that is off
    for command in finding.advice.ways[1].commands:
        shell.run(command)
    assert cluster.migration(migration_id).status is MigrationStatus.FAILED


def test_a_guest_that_went_down_with_its_source(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")

    def die(move: Move) -> None:
        move.leaves_destination = True
        cluster.world.power_off("node5", uuid, "crashed")
        switch_off(cluster, "node5")

    cluster.world.at("copying", die)
    migration_id = cluster.migrate(uuid, "node6").id
    assert "node6" in cluster.world.where(uuid)
    for _ in range(2):
        wait_long(cluster, migration_id)
    assert cluster.migration(migration_id).hold_reason is HoldReason.SOURCE_SILENT
    resolve(migration_id, "node5", "alice", cluster.mail, fenced="node5")
    cluster.deliver()
    assert cluster.migration(migration_id).status is MigrationStatus.FAILED
    assert list(cluster.world.where(uuid)) == ["node5"]
    assert list(cluster.instances("node6").iterdir()) == []
    assert (cluster.instance(uuid).host, cluster.instance(uuid).task_state) == ("node5", None)
