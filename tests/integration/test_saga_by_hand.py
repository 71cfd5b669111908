"""Somebody moves the guest by hand (virsh migrate) while a migration of it is open: nothing that they made or use is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.db.clock import utcnow
from lmigrate.db.session import reading, writing
from lmigrate.doctor.examine import examine
from lmigrate.migration.abort import request_abort
from lmigrate.migration.resolve import resolve
from lmigrate.migration.runner import run_step
from lmigrate.states import HoldReason, MigrationStatus, Phase, PowerState
from lmigrate.virt.fake_domain import NO_JOB, FakeDomain
from lmigrate.virt.types import JobStats, JobType
from tests.factories.records import sighting_row
from tests.integration.cluster import Cluster

CHECKS = [("select_destination", None), ("check_destination", "node6"), ("check_source", "node5")]
PREPARED = [*CHECKS, ("pre_live_migration", "node6")]
ARRIVED = [*PREPARED, ("migrate", "node5"), ("post_at_destination", "node6")]
BY_HAND = JobStats(JobType.UNBOUNDED, "migration-out")


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def driven_to(cluster: Cluster, migration_id: int, steps: list[tuple[str, str | None]]) -> None:
    for name, host in steps:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    cluster.mail.waiting.clear()


def moved_by_hand(cluster: Cluster, uuid: str, source: str, destination: str, *, is_arriving: bool = False) -> None:
    """As `virsh migrate --persistent --undefinesource --copy-storage-all` leaves it, or has it half way."""
    here = cluster.world.hosts[source].domains[uuid]
    assert here.active_xml is not None
    there = here.active_xml.replace(str(cluster.instances(source)), str(cluster.instances(destination)))
    state = (PowerState.PAUSED, "migration") if is_arriving else (PowerState.RUNNING, "migrated")
    cluster.world.hosts[destination].domains[uuid] = FakeDomain(uuid, there, None if is_arriving else there, *state, memory=here.memory)
    if is_arriving:
        here.job = BY_HAND
    else:
        del cluster.world.hosts[source].domains[uuid]


def disk_of(cluster: Cluster, host: str, uuid: str) -> Path:
    return cluster.instances(host) / uuid / "disk0"


@pytest.mark.parametrize("is_arriving", [True, False], ids=["under way", "done"])
def test_to_the_destination_that_is_prepared(cluster: Cluster, *, is_arriving: bool) -> None:
    """Aborted, the migration removed the files that the guest ran on."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, PREPARED)
    moved_by_hand(cluster, uuid, "node5", "node6", is_arriving=is_arriving)
    request_abort(uuid, migration_id)
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.phase, migration.hold_reason) == (Phase.HELD, HoldReason.FOREIGN_DOMAIN)
    assert disk_of(cluster, "node6", uuid).exists()
    if not is_arriving:
        resolve(migration_id, "node6", "ann", cluster.mail)
        for _ in range(3):
            cluster.later()
        assert cluster.migration(migration_id).status is MigrationStatus.COMPLETED, cluster.events(migration_id)
        assert disk_of(cluster, "node6", uuid).exists()
        assert cluster.instance(uuid).host == "node6"


def test_what_is_held_for_another_hand_is_undone_when_that_is_gone(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, PREPARED)
    moved_by_hand(cluster, uuid, "node5", "node6", is_arriving=True)
    request_abort(uuid, migration_id)
    cluster.later()
    del cluster.world.hosts["node6"].domains[uuid]  # their move has failed
    cluster.world.hosts["node5"].domains[uuid].job = NO_JOB
    resolve(migration_id, "node5", "ann", cluster.mail)
    for _ in range(3):
        cluster.later()
    assert cluster.migration(migration_id).status is MigrationStatus.FAILED, cluster.events(migration_id)
    assert cluster.snapshot() == before


def test_a_job_that_somebody_else_has_begun_is_neither_adopted_nor_ended(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, PREPARED)
    cluster.world.hosts["node5"].domains[uuid].job = BY_HAND  # to a third host
    cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.status, "by somebody else's hand" in str(migration.error)) == (MigrationStatus.FAILED, True)
    assert cluster.world.hosts["node5"].domains[uuid].job == BY_HAND
    assert not disk_of(cluster, "node6", uuid).exists()
    assert disk_of(cluster, "node5", uuid).exists()


def test_back_to_the_source_and_stopped_there(cluster: Cluster) -> None:
    """Its definition and its newest disk were removed as what the move had left."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, ARRIVED)
    moved_by_hand(cluster, uuid, "node6", "node5")
    cluster.world.hosts["node5"].domains[uuid].stop("destroyed")
    cluster.later()
    for _ in range(6):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.phase, migration.hold_reason) == (Phase.HELD, HoldReason.SOURCE_STILL_ACTIVE), cluster.events(migration_id)
    assert disk_of(cluster, "node5", uuid).exists()
    assert uuid in cluster.world.hosts["node5"].domains
    with reading() as session:
        (found,) = examine(session, utcnow(), 60)
    commands = [command.command for way in found.advice.ways for command in way.commands]
    assert not any("destroy" in command or "undefine" in command for command in commands), commands
    assert any("migrate" in command and "node6" in command for command in commands)


def test_a_copy_that_an_operator_ended_is_left_behind_all_the_same(cluster: Cluster) -> None:
    """`virsh destroy` of a source that still ran, as doctor says: the destination has the guest."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    driven_to(cluster, migration_id, ARRIVED)
    cluster.world.hosts["node5"].domains[uuid].set_state(PowerState.SHUTOFF, "destroyed")
    with writing() as session:
        session.add(sighting_row("node6", cluster.instance(uuid)))
    cluster.later()
    assert cluster.migration(migration_id).status is MigrationStatus.COMPLETED
    assert uuid not in cluster.world.hosts["node5"].domains
