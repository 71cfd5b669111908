"""Each kind of leak, planted: what is proven ours and unneeded goes, what may matter is told, what is needed is left alone."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lmigrate.config import settings
from lmigrate.db.clock import ago, utcnow
from lmigrate.db.models import Instance, Leak, Migration, Reservation, Volume, VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.doctor import record_sweep, sessions
from lmigrate.doctor.finding import Finding, Kind
from lmigrate.doctor.host_sweep import sweep_host
from lmigrate.ids import new_uuid
from lmigrate.migration.connections import secret_uuid
from lmigrate.migration.guest_lock import guest_lock
from lmigrate.states import AttachmentState, LeakKind, MigrationStatus, PowerState, TaskState
from lmigrate.storage import ownership, probe
from lmigrate.virt.fake_domain import FakeDomain
from lmigrate.virt.fake_move import Move
from lmigrate.virt.types import Secret
from lmigrate.virt.xml.document import parse, set_mark, write
from tests.integration.cluster import Cluster
from tests.integration.operator_shell import diagnose


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def sweep(cluster: Cluster, host: str = "node6") -> list[str]:
    return sweep_host(cluster.settings(host), cluster.connect(host))


def leaks(cluster: Cluster) -> list[Finding]:
    return [finding for finding in diagnose(cluster) if finding.kind is Kind.LEAK]


def failed(cluster: Cluster) -> Migration:
    """A migration from node5 to node6 that failed, cleanly."""

    def fail(move: Move) -> None:
        raise move.error("the link broke")

    cluster.world.at("copying", fail)
    migration = cluster.migrate(cluster.boot("node5"), "node6")
    cluster.world.reset_hooks()
    assert migration.status is MigrationStatus.FAILED
    assert sweep(cluster) == []
    return migration


def plant_domain(cluster: Cluster, migration: Migration, state: PowerState, reason: str, *, is_persistent: bool = False) -> str:
    uuid = migration.instance_uuid
    root = parse(cluster.world.domain("node5", uuid).xml)
    set_mark(root, migration.uuid)
    xml = write(root)
    domain = FakeDomain(uuid, xml if state.is_active else None, xml if is_persistent else None, state, reason)
    cluster.world.hosts["node6"].domains[uuid] = domain
    return uuid


def plant_directory(cluster: Cluster, migration: Migration) -> Path:
    """With a disk in it, as pre_live_migration makes them."""
    directory = cluster.instances("node6") / migration.instance_uuid
    ownership.claim_directory(directory, migration.uuid, "node6")
    disk = directory / "disk0"
    ownership.claim_file(disk, migration.uuid, "node6", lambda path: path.touch())
    end_now(migration)
    return directory


def end_now(migration: Migration) -> None:
    """What was planted until now is from before the migration's end; its times are those of the kernel's last tick."""
    with writing() as session:
        session.get_one(Migration, migration.id).ended_at = utcnow() + timedelta(seconds=60)


def make_look_old(path: Path) -> None:
    """As what keeps the time of the last writing: rsync -a, cp -p, mv."""
    os.utime(path, (1_600_000_000, 1_600_000_000))


def test_a_domain_that_never_ran_is_removed(cluster: Cluster) -> None:
    migration = failed(cluster)
    uuid = plant_domain(cluster, migration, PowerState.PAUSED, "migration")
    (sentence,) = sweep(cluster)
    assert "it has never run here" in sentence
    assert list(cluster.world.where(uuid)) == ["node5"]
    (leak,) = leaks(cluster)
    assert (leak.reason, leak.host, leak.migration_id, leak.needs_operator) == ("domain", "node6", migration.id, False)
    assert leak.done is not None
    cluster.check()


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (PowerState.SHUTOFF, "unknown"),  # what a libvirtd that was restarted says, whatever it was
        (PowerState.SHUTOFF, "failed"),
        (PowerState.SHUTOFF, "shutdown"),
        (PowerState.PAUSED, "user"),
        (PowerState.RUNNING, "migrated"),
    ],
)
def test_a_domain_that_may_have_run_is_only_told(cluster: Cluster, state: PowerState, reason: str) -> None:
    uuid = plant_domain(cluster, failed(cluster), state, reason, is_persistent=True)
    sweep(cluster)
    assert set(cluster.world.where(uuid)) == {"node5", "node6"}
    (leak,) = leaks(cluster)
    assert (leak.needs_operator, leak.done) == (True, None)
    assert leak.page == "docs/runbooks/leaks.md"
    assert any(f"undefine --keep-nvram {uuid}" in one.command for way in leak.advice.ways for one in way.commands)
    del cluster.world.hosts["node6"].domains[uuid]  # an operator followed the commands
    sweep(cluster)
    assert leaks(cluster) == []


def test_a_guest_at_home_is_no_leak_however_often_it_has_moved(cluster: Cluster) -> None:
    migration = cluster.migrate(cluster.boot("node5"), "node6")
    assert [*sweep(cluster, "node5"), *sweep(cluster, "node6")] == []
    cluster.migrate(migration.instance_uuid, "node5")
    assert [*sweep(cluster, "node5"), *sweep(cluster, "node6")] == []


def test_a_definition_that_a_fenced_source_brings_back_is_told(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    xml = cluster.world.domain("node5", uuid).xml
    cluster.migrate(uuid, "node6")
    cluster.world.hosts["node5"].domains[uuid] = FakeDomain(uuid, None, xml, PowerState.SHUTOFF, "unknown")
    (sentence,) = sweep(cluster, "node5")
    assert "this host was not asked at its end" in sentence
    assert uuid in cluster.world.hosts["node5"].domains


def test_a_directory_with_its_disk_is_removed(cluster: Cluster) -> None:
    directory = plant_directory(cluster, failed(cluster))
    sweep(cluster)
    assert not directory.exists()
    assert list(cluster.instances("node6").iterdir()) == []
    assert {leak.reason for leak in leaks(cluster)} <= {"directory", "file"}
    assert not [leak for leak in leaks(cluster) if leak.needs_operator]


def test_what_a_fenced_host_has_is_only_told(cluster: Cluster) -> None:
    """The guest went on running there unseen until its power was cut; its disks may be the newest."""
    migration = failed(cluster)
    directory = plant_directory(cluster, migration)
    uuid = plant_domain(cluster, migration, PowerState.SHUTOFF, "unknown", is_persistent=True)
    with writing() as session:
        session.get_one(Migration, migration.id).fenced_host = "node6"
    sweep(cluster)
    assert set(cluster.world.where(uuid)) == {"node5", "node6"}
    del cluster.world.hosts["node6"].domains[uuid]
    sweep(cluster)
    assert (directory / "disk0").exists()
    told = leaks(cluster)
    assert told
    assert all(leak.needs_operator and "while node6 was fenced" in leak.summary for leak in told)


def test_a_probe_of_a_fenced_host_goes(cluster: Cluster) -> None:
    migration = failed(cluster)
    with writing() as session:
        session.get_one(Migration, migration.id).fenced_host = "node6"
    probe.write_probes([cluster.instances("node6")], migration.uuid)
    sweep(cluster)
    assert list(cluster.instances("node6").iterdir()) == []


def test_a_disk_that_is_newer_than_the_migration_is_only_told(cluster: Cluster) -> None:
    migration = failed(cluster)
    directory = plant_directory(cluster, migration)
    with writing() as session:
        session.get_one(Migration, migration.id).ended_at = ago(3600)
    (directory / "disk0").write_text("somebody's data")
    sweep(cluster)
    assert (directory / "disk0").read_text() == "somebody's data"
    told = leaks(cluster)
    assert told
    assert all(leak.needs_operator for leak in told)
    assert all("changed after that" in leak.summary for leak in told)


def test_what_was_put_back_with_its_old_times_is_only_told(cluster: Cluster) -> None:
    """An operator restores images into the guest's directory, and has not yet defined the guest."""
    migration = failed(cluster)
    directory = plant_directory(cluster, migration)
    with writing() as session:
        session.get_one(Migration, migration.id).ended_at = ago(3600)
    (directory / "disk1").write_text("somebody's data")
    for path in [*directory.rglob("*"), directory]:
        make_look_old(path)
    sweep(cluster)
    assert (directory / "disk1").read_text() == "somebody's data"
    told = leaks(cluster)
    assert told
    assert all(leak.needs_operator and "changed after that" in leak.summary for leak in told)


def test_a_disk_that_a_domain_uses_is_only_told(cluster: Cluster) -> None:
    directory = plant_directory(cluster, failed(cluster))
    disk = f"<disk type='file' device='disk'><source file='{directory}/disk0'/><target dev='vda'/></disk>"
    xml = f"<domain type='kvm'><name>other</name><uuid>{new_uuid()}</uuid><memory>1</memory><devices>{disk}</devices></domain>"
    cluster.world.boot("node6", xml)
    sweep(cluster)
    assert (directory / "disk0").exists()
    assert all("a domain of this host uses it" in leak.summary for leak in leaks(cluster))


def test_a_mark_that_is_left_on_a_guests_own_disk_goes_alone(cluster: Cluster) -> None:
    migration = cluster.migrate(cluster.boot("node5"), "node6")
    directory = cluster.instances("node6") / migration.instance_uuid
    (directory / ownership.MARKER).write_text(migration.uuid)
    os.link(directory / "disk0", directory / f".disk0.lmigrate-{migration.uuid}")
    sweep(cluster)
    assert (directory / "disk0").exists()
    assert [path.name for path in directory.glob(".*")] == []


def test_a_probe_and_what_was_only_begun(cluster: Cluster) -> None:
    migration = failed(cluster)
    top = cluster.instances("node6")
    probe.write_probes([top], migration.uuid)
    (top / f".disk1.lmigrate-{migration.uuid}").touch()
    (top / f".{migration.instance_uuid}.lmigrate-{migration.uuid}").mkdir()
    end_now(migration)
    assert len(sweep(cluster)) == 3
    assert list(top.iterdir()) == []


def test_the_mark_of_an_unknown_migration_is_only_told(cluster: Cluster) -> None:
    stranger = cluster.instances("node6") / f".lmigrate-probe-{new_uuid()}"
    stranger.touch()
    sweep(cluster)
    assert stranger.exists()
    assert "these records do not know" in leaks(cluster)[0].summary


def test_a_secret_without_attachment(cluster: Cluster) -> None:
    gone, kept = new_uuid(), new_uuid()
    hypervisor = cluster.hypervisor("node6")
    for attachment in (gone, kept):
        hypervisor.define_secret(Secret(secret_uuid(attachment), "iscsi", f"lmigrate-{attachment}", "x"))
    hypervisor.define_secret(Secret(new_uuid(), "iscsi", "somebody's", "x"))
    with writing() as session:
        volume = Volume(uuid=new_uuid(), name="v", backend="san1", source_name="v", location={}, size_bytes=1)
        session.add(volume)
        session.flush()
        values = {"volume_uuid": volume.uuid, "instance_uuid": new_uuid(), "host": "node6", "state": AttachmentState.GRANTED}
        session.add(VolumeAttachment(uuid=kept, connector={}, **values))
    sweep(cluster)
    assert sorted(hypervisor.secrets().values()) == sorted([f"lmigrate-{kept}", "somebody's"])
    assert leaks(cluster)[0].reason == "secret"


def test_a_secret_that_a_domain_names_is_only_told(cluster: Cluster) -> None:
    attachment = new_uuid()
    secret = secret_uuid(attachment)
    cluster.hypervisor("node6").define_secret(Secret(secret, "iscsi", f"lmigrate-{attachment}", "x"))
    named = f"<disk type='network' device='disk'><auth><secret type='iscsi' uuid='{secret}'/></auth><target dev='vda'/></disk>"
    xml = f"<domain type='kvm'><name>other</name><uuid>{new_uuid()}</uuid><memory>1</memory><devices>{named}</devices></domain>"
    cluster.world.boot("node6", xml)
    sweep(cluster)
    assert secret in cluster.hypervisor("node6").secrets()
    assert leaks(cluster)[0].needs_operator


def test_a_lock_that_no_migration_holds_is_told(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    state_dir = cluster.settings("node5").host.state_dir
    with guest_lock(state_dir, uuid):
        (sentence,) = sweep(cluster, "node5")
        assert "a worker that hangs" in sentence
        assert leaks(cluster)[0].needs_operator
    assert sweep(cluster, "node5") == []
    assert leaks(cluster) == []


def test_what_somebody_works_on_is_left_until_the_next_time(cluster: Cluster) -> None:
    uuid = plant_domain(cluster, failed(cluster), PowerState.PAUSED, "migration")
    with guest_lock(cluster.settings("node6").host.state_dir, uuid):
        assert not [sentence for sentence in sweep(cluster) if sentence.startswith("leak: domain")]
        assert set(cluster.world.where(uuid)) == {"node5", "node6"}
    sweep(cluster)
    assert list(cluster.world.where(uuid)) == ["node5"]
    cluster.check()


class NoHosts:
    """Asks nobody."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def send_sweep(self, host: str) -> None:
        self.asked.append(host)


def reserve(session: object, migration: Migration) -> None:
    session.add(Reservation(migration_id=migration.id, host="node6", memory_mib=64, vcpus=1, disk_bytes=0))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [LeakKind.RESERVATION, LeakKind.TASK_STATE, LeakKind.PROGRESS])
def test_what_an_ended_migration_holds_in_the_records_is_taken_back(cluster: Cluster, kind: LeakKind) -> None:
    migration = failed(cluster)
    with writing() as session:
        instance = session.get_one(Instance, migration.instance_uuid)
        if kind is LeakKind.RESERVATION:
            reserve(session, migration)
        elif kind is LeakKind.TASK_STATE:
            instance.task_state = TaskState.MIGRATING
        else:
            instance.progress = 37
    asker = NoHosts()
    (sentence,) = record_sweep.sweep(settings(), asker)
    assert kind.value in sentence
    assert asker.asked == ["node5", "node6"]
    (leak,) = leaks(cluster)
    assert (leak.reason, leak.needs_operator, leak.done) == (kind.value, False, "taken back")
    with reading() as session:
        assert session.scalars(select(Reservation)).all() == []
        found = session.get_one(Instance, migration.instance_uuid)
        assert (found.task_state, found.progress) == (None, 0)


def test_an_open_migration_keeps_all_that_it_has(cluster: Cluster) -> None:
    """At each moment of its copy the whole sweep finds nothing."""
    uuid = cluster.boot("node5")
    found: list[str] = []

    def look(_move: Move) -> None:
        found.extend([*sweep(cluster, "node5"), *sweep(cluster, "node6"), *record_sweep.sweep(settings(), NoHosts())])

    for moment in ("begin", "copying", "switchover", "finished"):
        cluster.world.at(moment, look)
    migration = cluster.migrate(uuid, "node6")
    assert found == []
    cluster.check_moved(migration, "node5", "node6")


def test_a_migration_that_begins_meanwhile_is_not_harmed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is accepted after the host was looked at and before the records are."""
    migration = failed(cluster)
    directory = plant_directory(cluster, migration)
    secrets = cluster.hypervisor("node6").secrets

    def begin() -> dict[str, str]:
        cluster.request(migration.instance_uuid, "node6")
        return secrets()

    hypervisor = cluster.hypervisor("node6")
    monkeypatch.setattr(hypervisor, "secrets", begin)
    assert sweep_host(cluster.settings("node6"), lambda: hypervisor) == []
    assert directory.exists()  # its own checks will refuse it, by name


def test_a_removal_that_fails_is_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = plant_domain(cluster, failed(cluster), PowerState.PAUSED, "migration")
    hypervisor = cluster.hypervisor("node6")

    def refuse(_uuid: str) -> None:
        raise OSError("no way")

    monkeypatch.setattr(hypervisor, "destroy", refuse)
    sweep_host(cluster.settings("node6"), lambda: hypervisor)
    (leak,) = leaks(cluster)
    assert (leak.needs_operator, leak.done) == (True, "it could not be removed: no way")
    assert uuid in cluster.world.hosts["node6"].domains


def test_removed_leaks_are_told_for_a_week(cluster: Cluster) -> None:
    plant_domain(cluster, failed(cluster), PowerState.PAUSED, "migration")
    sweep(cluster)
    sweep(cluster)
    record_sweep.sweep(settings(), NoHosts())
    assert len(leaks(cluster)) == 1
    with writing() as session:
        session.scalars(select(Leak)).one().removed_at = ago(8 * 24 * 3600)
    record_sweep.sweep(settings(), NoHosts())
    assert leaks(cluster) == []


TARGET = "iqn.2026-11.org.example:web1"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """sysfs of a kernel that is logged in to a target."""
    sysfs = tmp_path / "iscsi_session"
    monkeypatch.setattr(sessions, "SYSFS", sysfs)
    for name in ("session1", "session2"):  # two portals
        (sysfs / name).mkdir(parents=True)
        (sysfs / name / "targetname").write_text(f"{TARGET}\n")
    (sysfs / "session3").mkdir()  # one that has just ended
    return sysfs


def register(source_name: str = f"{TARGET}/1") -> Volume:
    volume = Volume(uuid=new_uuid(), name="web1", backend="san1", source_name=source_name, location={}, size_bytes=1 << 20)
    with writing() as session:
        session.add(volume)
    return volume


def test_a_session_of_the_kernel_without_a_guest_is_told(cluster: Cluster, kernel: Path) -> None:
    register()
    for _ in range(2):
        assert len(sweep(cluster)) == 1
    (finding,) = leaks(cluster)
    assert (finding.reason, finding.needs_operator, finding.host) == (LeakKind.SESSION, True, "node6")
    assert [one.command for one in finding.advice.ways[0].commands] == [f"iscsiadm --mode node --targetname {TARGET} --logout"]
    shutil.rmtree(kernel)
    assert sweep(cluster) == []
    assert leaks(cluster) == []


@pytest.mark.parametrize("why", ["its target is nobody's", "it has an attachment", "a domain has it"])
def test_a_session_of_the_kernel_that_is_needed_or_not_ours_is_left_alone(cluster: Cluster, kernel: Path, why: str) -> None:
    assert kernel.is_dir()
    volume = register(f"{TARGET}-2/1" if why == "its target is nobody's" else f"{TARGET}/1")
    uuid = cluster.boot("node5")
    if why == "it has an attachment":
        with writing() as session:
            session.add(
                VolumeAttachment(
                    uuid=new_uuid(), volume_uuid=volume.uuid, host="node6", instance_uuid=uuid, state=AttachmentState.GRANTED, connector={}
                )
            )
    if why == "a domain has it":
        source = f"<source dev='/dev/disk/by-path/ip-10.0.0.9:3260-iscsi-{TARGET}-lun-1'/>"
        disk = f"<disk type='block' device='disk'>{source}<target dev='vdz'/></disk>"
        xml = cluster.world.domain("node5", uuid).xml.replace("</devices>", f"{disk}</devices>")
        cluster.world.hosts["node6"].domains[uuid] = FakeDomain(uuid, xml, None, PowerState.RUNNING, "booted")
    assert sweep(cluster) == []
