"""Which destination it becomes, and what is said when it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmigrate.db.clock import ago
from lmigrate.db.models import DomainSighting, Host, Migration, MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.ids import new_uuid
from lmigrate.migration.attempt import begin_attempt
from lmigrate.states import MigrationStatus, Phase
from lmigrate.virt.fake import FakeHypervisor
from tests.integration.cluster import Cluster


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", "node7")


def change_host(name: str, **fields: object) -> None:
    with writing() as session:
        host = session.query(Host).filter_by(name=name).one()
        for field, value in fields.items():
            setattr(host, field, value)


def check_untouched(cluster: Cluster, migration: Migration, before: object) -> None:
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert cluster.snapshot() == before


def test_no_host_given(cluster: Cluster) -> None:
    change_host("node7", memory_mib=8192)
    migration = cluster.migrate(cluster.boot("node5"))
    cluster.check_moved(migration, "node5", "node7")  # the one with the most free memory


def test_the_next_host_when_one_refuses(cluster: Cluster) -> None:
    change_host("node7", memory_mib=8192)
    cluster.world.hosts["node7"].unfit_cpu = "the CPU lacks avx512f"
    migration = cluster.migrate(cluster.boot("node5"))
    cluster.check_moved(migration, "node5", "node6")
    assert migration.attempt == 2
    assert "avx512f" in migration.refusals["node7"]


def test_the_next_attempt_is_sent_again_without_the_pause_of_the_first(cluster: Cluster) -> None:
    migration_id = cluster.request(cluster.boot("node5"))
    with writing() as session:
        migration = session.get_one(Migration, migration_id)
        migration.resends = 3
        begin_attempt(session, migration)
    assert (cluster.migration(migration_id).attempt, cluster.migration(migration_id).resends) == (2, 0)


def test_every_host_refuses_with_its_own_reason(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.world.hosts["node6"].unfit_cpu = "the CPU lacks avx512f"
    (cluster.instances("node7") / uuid).mkdir()
    migration = cluster.migrate(uuid)
    (cluster.instances("node7") / uuid).rmdir()
    check_untouched(cluster, migration, before)
    assert migration.error_code == "NoValidHost"
    assert "avx512f" in (migration.error or "")
    assert "already exists on node7" in (migration.error or "")


def test_a_requested_host_that_refuses(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.world.hosts["node6"].unfit_cpu = "the CPU lacks avx512f"
    migration = cluster.migrate(uuid, "node6")
    check_untouched(cluster, migration, before)
    assert "avx512f" in (migration.error or "")


def test_the_cpu_of_a_guest_that_has_its_hosts(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt calls host-passthrough fit for every host, so it is asked about the source's CPU instead."""
    asked: list[str] = []
    monkeypatch.setattr(FakeHypervisor, "compare_cpu", lambda _self, cpu_xml, _type: asked.append(cpu_xml))
    change_host("node5", cpu={"arch": "x86_64", "xml": "<mode name='host-model'><model>Skylake-Client</model></mode>"})
    uuid = cluster.boot("node5")
    with writing() as session:
        session.query(DomainSighting).one().cpu_xml = "<cpu mode='host-passthrough'/>"
    migration = cluster.migrate(uuid, "node6")
    assert asked == ['<cpu mode="custom" match="exact"><model>Skylake-Client</model></cpu>']
    assert facts_of(migration)["cpu_not_compared"] is None


def test_a_cpu_that_is_not_known_is_told(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    with writing() as session:
        session.query(DomainSighting).one().cpu_xml = None
    facts = facts_of(cluster.migrate(uuid, "node6"))
    assert facts["cpu_not_compared"] == "no CPU of the guest's domain is on record"


def facts_of(migration: Migration) -> dict[str, Any]:
    """Of check_destination."""
    with reading() as session:
        row = session.query(MigrationStep).filter_by(migration_id=migration.id, name="check_destination").one()
        return row.facts or {}


@pytest.mark.parametrize("is_active", [True, False])
def test_another_guest_of_that_name(cluster: Cluster, is_active: bool) -> None:
    """libvirt would refuse it, but only when the disks have been made."""
    change_host("node7", memory_mib=8192)
    uuid, other = cluster.boot("node5"), new_uuid()
    name = cluster.instance(uuid).name
    cluster.world.boot("node7", f"<domain type='kvm'><name>{name}</name><uuid>{other}</uuid><memory>1</memory></domain>")
    if not is_active:
        cluster.world.domain("node7", other).stop("shutdown")
    migration = cluster.migrate(uuid)
    cluster.check_moved(migration, "node5", "node6")
    assert f"A domain {name} with UUID {other} already exists on node7" in migration.refusals["node7"]


def test_a_forced_host_that_refuses_is_the_end(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.world.hosts["node6"].unfit_cpu = "the CPU lacks avx512f"
    migration = cluster.migrate(uuid, "node6", is_forced=True)
    check_untouched(cluster, migration, before)
    assert (migration.error_code, migration.attempt) == ("InvalidCPUInfo", 1)


def test_a_host_without_memory(cluster: Cluster) -> None:
    change_host("node6", memory_mib=32)
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node6")
    check_untouched(cluster, migration, before)
    assert "node6" in (migration.error or "")


def test_the_same_host(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node5")
    check_untouched(cluster, migration, before)
    assert "current host" in (migration.error or "")


def test_a_host_that_went_down_before_its_check(cluster: Cluster) -> None:
    """The conductor does not wait for it: the next one is tried."""
    change_host("node7", memory_mib=8192)
    uuid = cluster.boot("node5")
    cluster.mail.copies = lambda message: 0 if getattr(message, "step", "") == "check_destination" else 1
    migration_id = cluster.request(uuid)
    cluster.deliver()
    change_host("node7", last_seen_at=ago(600))
    cluster.mail.copies = lambda _message: 1
    cluster.later()
    migration = cluster.migration(migration_id)
    # what select_destination reserved there is given back by the conductor; the host itself has done nothing
    cluster.check_moved(migration, "node5", "node6")


@pytest.mark.parametrize(("block_migration", "code"), [(True, "InvalidLocalStorage"), (False, None), (None, None)])
def test_shared_storage(database: str, tmp_path: Path, block_migration: bool | None, code: str | None) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", "node7", is_shared=True)
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node6", block_migration=block_migration)
    if code is None:
        assert migration.status is MigrationStatus.COMPLETED
        return
    check_untouched(cluster, migration, before)
    assert (migration.error_code, migration.attempt) == (code, 1)


@pytest.mark.parametrize(("block_migration", "code"), [(False, "InvalidSharedStorage"), (True, None), (None, None)])
def test_local_storage(cluster: Cluster, block_migration: bool | None, code: str | None) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node6", block_migration=block_migration)
    if code is None:
        assert migration.status is MigrationStatus.COMPLETED
        return
    check_untouched(cluster, migration, before)
    assert (migration.error_code, migration.attempt) == (code, 1)


def test_the_next_host_when_one_does_not_share(cluster: Cluster) -> None:
    """What is shared is a property of two hosts: a request that named none may be carried out by another."""
    cluster._directories["node7"] = cluster.instances("node5")
    change_host("node7", instances_path=str(cluster.instances("node5")))
    change_host("node6", memory_mib=8192)
    migration = cluster.migrate(cluster.boot("node5"), block_migration=False)
    cluster.check_moved(migration, "node5", "node7")
    assert "node5 is not on shared storage" in migration.refusals["node6"]


@pytest.mark.parametrize("block_migration", [True, False])
def test_no_host_fits_what_was_said_of_the_disks(database: str, tmp_path: Path, block_migration: bool) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", "node7", is_shared=block_migration)
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, block_migration=block_migration)
    check_untouched(cluster, migration, before)
    assert migration.error_code == "NoValidHost"
    assert (migration.error or "").count("node5 is not on ") == 2


def test_a_domain_of_that_uuid_on_the_destination_is_not_touched(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    cluster.hypervisor("node6").define(cluster.hypervisor("node5").domain_xml(uuid))
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node6")
    check_untouched(cluster, migration, before)
    assert "will not touch it" in (migration.error or "")


def test_a_stopped_guest(cluster: Cluster) -> None:
    """It stopped after the request was accepted."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid)
    cluster.world.power_off("node5", uuid)
    cluster.deliver()
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.error_code) == (MigrationStatus.FAILED, "InstanceInvalidState")
    assert cluster.instance(uuid).task_state is None


def test_every_obstacle_at_once(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    domain = cluster.world.domain("node5", uuid)
    obstacles = "<hostdev mode='subsystem' type='pci'/><filesystem type='mount'/></devices>"
    domain.active_xml = (domain.active_xml or "").replace("</devices>", obstacles)
    migration = cluster.migrate(uuid)
    assert migration.error_code == "NotMigratable"
    assert "host device" in (migration.error or "")
    assert "virtiofs" in (migration.error or "")
