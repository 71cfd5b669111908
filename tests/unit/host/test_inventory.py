from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event

from lmigrate.db.clock import ago
from lmigrate.db.models import Host, Instance, Migration
from lmigrate.db.session import engine, writing
from lmigrate.db.stores import migrations
from lmigrate.errors import HypervisorUnavailable
from lmigrate.host.daemon import HostDaemon
from lmigrate.host.inventory_thread import InventoryThread
from lmigrate.ids import new_uuid
from lmigrate.states import MigrationStatus, PowerState, TaskState, VmState
from tests.factories.records import migration_row
from tests.fakes.small_hypervisor import disk_info, domain_info
from tests.unit.host.daemon_parts import Node, disk_records, instance_record, node, sighting_records, until

Nodes = tuple[Node, Node]
STOPPED = {"power_state": PowerState.SHUTOFF, "reason": "shutdown"}
ARRIVING = {"power_state": PowerState.PAUSED, "reason": "migration"}


@pytest.fixture
def nodes(database: str, tmp_path: Path) -> Nodes:
    """Two registered hosts."""
    made = node("node5", tmp_path), node("node6", tmp_path)
    for each in made:
        each.registration.begin()
    return made


def record(uuid: str) -> Instance:
    found = instance_record(uuid)
    assert found is not None
    return found


def standing(uuid: str) -> tuple[str | None, VmState, PowerState, str | None]:
    found = record(uuid)
    return found.host, found.vm_state, found.power_state, found.anomaly


def start_migration(uuid: str) -> int:
    with writing() as session:
        migration = migration_row(session.get_one(Instance, uuid), dest_host="node6")
        session.add(migration)
        session.flush()
        return migration.id


def test_guests_that_were_there_before_are_found(nodes: Nodes) -> None:
    node5, _node6 = nodes
    info = node5.hypervisor.put(domain_info(name="web", memory_mib=512, vcpus=2, virt_type="qemu", is_persistent=False))
    node5.inventory.compare_all()
    found = record(info.uuid)
    assert standing(info.uuid) == ("node5", VmState.ACTIVE, PowerState.RUNNING, None)
    assert (found.name, found.memory_mib, found.vcpus, found.virt_type, found.is_persistent) == ("web", 512, 2, "qemu", False)
    assert sighting_records(info.uuid)["node5"].reason == "booted"


def test_disks_are_recorded_and_kept_true(nodes: Nodes) -> None:
    node5, _node6 = nodes
    disks = (disk_info("vda"), disk_info("vdb", source_type="network", path="iqn.2026-11.test/1"), disk_info("sda", device_type="cdrom"))
    info = node5.hypervisor.put(domain_info(disks=disks))
    node5.inventory.compare_all()
    assert {name: row.destination_type for name, row in disk_records(info.uuid).items()} == {
        "vda": "local",
        "vdb": "volume",
        "sda": "local",
    }
    vda = disk_records(info.uuid)["vda"]
    assert (vda.path, vda.format, vda.capacity_bytes, vda.bus) == ("/var/lib/lmigrate/instances/vda", "qcow2", 1024**3, "virtio")
    node5.hypervisor.put(info, disks=(disk_info("vda", allocation_bytes=8192), disk_info("vdc")))
    node5.inventory.refresh([info.uuid])
    after = disk_records(info.uuid)
    assert set(after) == {"vda", "vdc"}
    assert (after["vda"].id, after["vda"].allocation_bytes) == (vda.id, 8192)


def test_a_stopped_and_a_paused_guest_are_visible(nodes: Nodes) -> None:
    node5, _node6 = nodes
    stopped = node5.hypervisor.put(domain_info(**STOPPED))
    paused = node5.hypervisor.put(domain_info(power_state=PowerState.PAUSED, reason="user"))
    node5.inventory.compare_all()
    assert standing(stopped.uuid) == ("node5", VmState.STOPPED, PowerState.SHUTOFF, None)
    assert standing(paused.uuid) == ("node5", VmState.PAUSED, PowerState.PAUSED, None)


def test_a_vanished_guest_stays_visible_and_comes_back(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    node5.hypervisor.remove(info.uuid)
    node5.inventory.compare_all()
    assert standing(info.uuid) == ("node5", VmState.UNKNOWN, PowerState.NOSTATE, "its domain has vanished from node5")
    assert sighting_records(info.uuid) == {}
    node6.hypervisor.put(info)
    node6.inventory.refresh([info.uuid])
    assert standing(info.uuid) == ("node6", VmState.ACTIVE, PowerState.RUNNING, None)


def test_a_guest_that_vanished_while_the_daemon_was_away(nodes: Nodes) -> None:
    node5, _node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    with writing() as session:
        session.query(Host).update({"last_seen_at": ago(500)})
    node5.hypervisor.remove(info.uuid)
    node5.registration.begin()
    node5.inventory.compare_all()
    assert record(info.uuid).anomaly == "its domain has vanished from node5"


def test_a_guest_that_runs_twice_is_named_and_healed(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node6.hypervisor.put(info)
    node5.inventory.compare_all()
    node6.inventory.compare_all()
    assert standing(info.uuid) == ("node5", VmState.UNKNOWN, PowerState.RUNNING, "running on node5 and node6")
    node5.hypervisor.remove(info.uuid)
    node5.inventory.refresh([info.uuid])
    assert standing(info.uuid) == ("node6", VmState.ACTIVE, PowerState.RUNNING, None)


def test_a_definition_elsewhere_is_noted_on_its_sighting_only(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node6.hypervisor.put(info, **STOPPED)
    for each in (node5, node6):
        each.inventory.compare_all()
    assert standing(info.uuid) == ("node5", VmState.ACTIVE, PowerState.RUNNING, None)
    seen = sighting_records(info.uuid)
    assert seen["node6"].description["note"] == "an inactive definition; the guest runs on node5"
    assert "note" not in seen["node5"].description
    node5.hypervisor.put(info, **STOPPED)
    for each in (node5, node6):
        each.inventory.compare_all()
    assert standing(info.uuid) == ("node5", VmState.STOPPED, PowerState.SHUTOFF, None)
    assert "note" not in sighting_records(info.uuid)["node6"].description


def test_the_last_word_of_a_host_that_is_down_is_kept(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    with writing() as session:
        session.query(Host).filter_by(name="node5").update({"last_seen_at": ago(500)})
    node6.hypervisor.put(info)
    node6.inventory.compare_all()
    assert "node5 (last seen" in (record(info.uuid).anomaly or "")
    assert "the host is down) and node6" in (record(info.uuid).anomaly or "")


def test_sightings_of_a_host_that_was_removed_count_for_nothing(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    with writing() as session:
        session.query(Host).filter_by(name="node5").delete()
    node6.hypervisor.put(info)
    node6.inventory.compare_all()
    assert standing(info.uuid) == ("node6", VmState.ACTIVE, PowerState.RUNNING, None)


def test_an_arriving_domain_is_no_guest_yet_and_no_second_copy(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    stranger = node6.hypervisor.put(domain_info(), **ARRIVING)
    node6.hypervisor.put(info, **ARRIVING)
    for each in nodes:
        each.inventory.compare_all()
    assert instance_record(stranger.uuid) is None
    assert standing(info.uuid) == ("node5", VmState.ACTIVE, PowerState.RUNNING, None)


def test_the_migration_owns_the_record_while_it_works_on_it(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    start_migration(info.uuid)
    node6.hypervisor.put(info)  # switched over; the records do not know it yet
    node5.hypervisor.put(info, power_state=PowerState.PAUSED, reason="user", memory_mib=1)
    for each in nodes:
        each.inventory.compare_all()
    found = record(info.uuid)
    assert (found.host, found.vm_state, found.anomaly, found.memory_mib) == ("node5", VmState.ACTIVE, None, 1024)
    assert (found.task_state, found.power_state) == (TaskState.MIGRATING, PowerState.PAUSED)
    assert set(sighting_records(info.uuid)) == {"node5", "node6"}
    assert node5.inventory.busy() == node6.inventory.busy() == {info.uuid}


def test_a_finished_migration_leaves_no_false_alarm(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    migration_id = start_migration(info.uuid)
    with writing() as session:
        migrations.switch_over(session, migrations.lock(session, migration_id))
    with writing() as session:
        migrations.end(session, session.get_one(Migration, migration_id), MigrationStatus.COMPLETED)
    node6.hypervisor.put(info)
    node6.inventory.compare_all()  # node5 has not looked since; its sighting still says "running"
    assert standing(info.uuid) == ("node6", VmState.ACTIVE, PowerState.RUNNING, None)
    node5.hypervisor.remove(info.uuid)
    node5.inventory.refresh([info.uuid])
    assert standing(info.uuid) == ("node6", VmState.ACTIVE, PowerState.RUNNING, None)


def test_a_listing_from_before_the_arrival_does_not_make_it_vanish(nodes: Nodes) -> None:
    node5, node6 = nodes
    info = node5.hypervisor.put(domain_info())
    node5.inventory.compare_all()
    migration_id = start_migration(info.uuid)

    def arrives() -> None:
        node6.hypervisor.put(info)
        node5.hypervisor.remove(info.uuid)
        with writing() as session:
            migrations.switch_over(session, migrations.lock(session, migration_id))
            migrations.end(session, session.get_one(Migration, migration_id), MigrationStatus.COMPLETED)

    node6.hypervisor.while_listing = arrives
    node6.inventory.compare_all()
    node5.inventory.compare_all()
    assert standing(info.uuid) == ("node6", VmState.ACTIVE, PowerState.RUNNING, None)


def test_nothing_changed_writes_nothing_but_the_time(nodes: Nodes) -> None:
    node5, _node6 = nodes
    infos = [node5.hypervisor.put(domain_info(disks=(disk_info(),))) for _number in range(5)]
    node5.inventory.compare_all()
    before = {info.uuid: (record(info.uuid).updated_at, sighting_records(info.uuid)["node5"].seen_at) for info in infos}
    statements: list[str] = []
    event.listen(engine(), "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    node5.inventory.compare_all()
    assert len(statements) <= 12  # however many guests
    assert sum(statement.startswith(("INSERT", "UPDATE", "DELETE")) for statement in statements) == 2
    for uuid, (updated_at, seen_at) in before.items():
        assert record(uuid).updated_at == updated_at
        assert sighting_records(uuid)["node5"].seen_at > seen_at


def test_what_libvirt_allows_and_the_columns_do_not(nodes: Nodes) -> None:
    node5, _node6 = nodes
    info = node5.hypervisor.put(domain_info(name="n" * 400, disks=(disk_info(serial="s" * 100),)))
    node5.inventory.compare_all()
    node5.inventory.compare_all()
    assert record(info.uuid).name == "n" * 255
    assert disk_records(info.uuid)["vda"].serial == "s" * 64


def test_events_full_comparisons_and_ended_migrations_all_reach_the_record(nodes: Nodes) -> None:
    node5, _node6 = nodes
    thread = InventoryThread(node5.inventory, node5.registration.refresh, 3600)
    node5.hypervisor.listen(thread.notice)
    old = node5.hypervisor.put(domain_info())
    thread.start()
    try:
        until(lambda: instance_record(old.uuid) is not None)
        new = node5.hypervisor.put(domain_info())
        until(lambda: instance_record(new.uuid) is not None)
        migration_id = start_migration(new.uuid)
        node5.hypervisor.put(new, power_state=PowerState.PAUSED, reason="user")
        until(lambda: record(new.uuid).power_state is PowerState.PAUSED)
        assert record(new.uuid).vm_state is VmState.ACTIVE
        with writing() as session:
            migrations.end(session, migrations.lock(session, migration_id), MigrationStatus.CANCELLED)
        until(lambda: record(new.uuid).vm_state is VmState.PAUSED)  # no event tells that it ended
    finally:
        thread.stop(wait_s=10)


def test_what_nothing_tells_of_is_found_after_the_interval(database: str, tmp_path: Path) -> None:
    node5 = node("node5", tmp_path, inventory_interval_s=0.05)
    node5.registration.begin()
    daemon = HostDaemon(node5.settings, node5.hypervisor.as_hypervisor(), new_uuid())
    daemon._disk.measure()  # or each registration waits for its thread, which is not started here
    thread = daemon._inventory
    thread.start()
    try:
        first = node5.hypervisor.put(domain_info())
        until(lambda: instance_record(first.uuid) is not None)
        second = node5.hypervisor.put(domain_info())
        until(lambda: instance_record(second.uuid) is not None)
    finally:
        thread.stop(wait_s=10)


def test_the_thread_takes_a_full_look_after_libvirtd_was_away(nodes: Nodes) -> None:
    node5, _node6 = nodes
    unanswered: list[bool] = []
    thread = InventoryThread(node5.inventory, node5.registration.refresh, 3600)
    thread.on_no_answer = lambda: unanswered.append(True)
    node5.hypervisor.failure = HypervisorUnavailable(host="node5", reason="gone")
    thread.start()
    try:
        until(lambda: bool(unanswered))
        info = node5.hypervisor.put(domain_info())
        node5.hypervisor.failure = None
        thread.ask_full()
        until(lambda: instance_record(info.uuid) is not None)
    finally:
        thread.stop(wait_s=10)
