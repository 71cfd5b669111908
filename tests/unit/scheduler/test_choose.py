from __future__ import annotations

import threading
from typing import Any

import pytest

from lmigrate.config import settings
from lmigrate.db.models import Instance, Migration, Reservation
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import migrations
from lmigrate.errors import InsufficientMemory, LmigrateError, NoValidHost, UnknownHost
from lmigrate.scheduler import reservations
from lmigrate.scheduler.choose import choose_and_reserve, select_destination
from lmigrate.scheduler.snapshot import request_spec
from lmigrate.states import MigrationStatus, PowerState, VmState
from tests.factories.records import GIB, disk_row, host_row, instance_row, migration_row, sighting_row

pytestmark = pytest.mark.usefixtures("database")


def save(*rows: Any) -> None:
    with writing() as session:
        for row in rows:
            session.add(row)
            session.flush()


def start(host: str = "node5", memory_mib: int = 1024, **fields: Any) -> int:
    """A new guest on ``host`` that is about to move; the migration's id."""
    instance = instance_row(host, memory_mib=memory_mib)
    migration = migration_row(instance, **fields)
    save(instance, migration)
    return migration.id


def choose(migration_id: int) -> str:
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        chosen = choose_and_reserve(session, migration, session.get_one(Instance, migration.instance_uuid))
        migration.dest_host = chosen
    return chosen


def reserved() -> dict[str, int]:
    with reading() as session:
        return {f"{row.host}/{row.migration_id}": row.memory_mib for row in session.query(Reservation)}


def test_the_chosen_host_is_reserved() -> None:
    save(host_row("node5"), host_row("node6"))
    migration_id = start()
    assert choose(migration_id) == "node6"
    assert reserved() == {f"node6/{migration_id}": 1024}


def test_choosing_twice_reserves_once() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=1500))
    migration_id = start()
    assert [choose(migration_id), choose(migration_id)] == ["node6", "node6"]
    assert reserved() == {f"node6/{migration_id}": 1024}


def test_the_next_host_takes_over_the_reservation() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=8192), host_row("node7"))
    migration_id = start()
    assert choose(migration_id) == "node6"
    with writing() as session:
        migrations.lock(session, migration_id).refusals = {"node6": "its instances path is read-only"}
    assert choose(migration_id) == "node7"
    assert reserved() == {f"node7/{migration_id}": 1024}


def test_at_the_end_every_host_is_told_with_its_reason() -> None:
    save(
        host_row("node5"),
        host_row("node6"),
        host_row("node7", enabled=False, disabled_reason="new disks"),
        host_row("node8", libvirt_ok=False, down_reason="libvirtd hangs"),
    )
    migration_id = start(refusals={"node6": "its instances path is read-only"})
    with pytest.raises(NoValidHost) as caught:
        choose(migration_id)
    assert str(caught.value) == (
        "No valid host was found. node6: its instances path is read-only; node7: it is disabled: new disks; "
        "node8: Compute service of node8 is unavailable at this time: libvirtd hangs"
    )
    assert reserved() == {}


@pytest.mark.parametrize(("limit", "refused", "is_over"), [(-1, 2, False), (0, 0, False), (0, 1, True), (1, 1, False), (1, 2, True)])
def test_max_attempts(monkeypatch: pytest.MonkeyPatch, limit: int, refused: int, is_over: bool) -> None:
    monkeypatch.setenv("LMIGRATE_SCHEDULER__MAX_ATTEMPTS", str(limit))
    settings.cache_clear()
    save(host_row("node5"), host_row("node9"))
    migration_id = start(refusals={f"node{number}": "no" for number in range(6, 6 + refused)})
    if is_over:
        with pytest.raises(NoValidHost, match=f"Exceeded max scheduling retries {limit} for instance"):
            choose(migration_id)
    else:
        assert choose(migration_id) == "node9"


def test_a_requested_destination_goes_through_the_filters() -> None:
    save(host_row("node5"), host_row("node6"), host_row("node7", enabled=False))
    with pytest.raises(NoValidHost, match="node7: it is disabled"):
        choose(start(requested_destination="node7"))
    assert choose(start(requested_destination="node6")) == "node6"
    assert choose(start(requested_destination="node7", is_forced=True)) == "node7"


def test_an_unknown_destination() -> None:
    save(host_row("node5"))
    with pytest.raises(UnknownHost):
        choose(start(requested_destination="node6"))


def test_the_source_as_destination() -> None:
    save(host_row("node5"))
    with pytest.raises(NoValidHost, match="to current host"):
        choose(start(requested_destination="node5", is_forced=True))


@pytest.mark.parametrize(
    ("fields", "is_counted"),
    [
        ({}, True),
        ({"vm_state": VmState.PAUSED, "power_state": PowerState.PAUSED}, True),
        ({"vm_state": VmState.SUSPENDED, "power_state": PowerState.PMSUSPENDED}, True),
        ({"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTOFF}, False),
        ({"vm_state": VmState.UNKNOWN, "power_state": PowerState.NOSTATE}, False),
    ],
)
def test_guests_on_the_destination_take_memory(fields: dict[str, Any], is_counted: bool) -> None:
    save(host_row("node5"), host_row("node6", memory_mib=2048), instance_row("node6", **fields))
    if is_counted:
        with pytest.raises(NoValidHost, match="host:1024 <= instance:1024"):
            choose(start())
    else:
        assert choose(start()) == "node6"


def test_a_guest_seen_on_two_hosts_takes_memory_on_both() -> None:
    twice = instance_row(None, vm_state=VmState.UNKNOWN)
    save(host_row("node5"), host_row("node6", memory_mib=2048), host_row("node7", memory_mib=2048), twice)
    save(sighting_row("node6", twice), sighting_row("node7", twice))
    with pytest.raises(NoValidHost) as caught:
        choose(start())
    assert str(caught.value).count("host:1024 <= instance:1024") == 2


def test_a_guest_that_has_arrived_is_not_counted_a_second_time_for_its_reservation() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=3000))
    first = start()
    choose(first)
    with writing() as session:
        migrations.switch_over(session, migrations.lock(session, first))
    assert choose(start()) == "node6"


def test_reservations_of_others_count_until_they_end() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=2000))
    first, second = start(), start()
    choose(first)
    with pytest.raises(NoValidHost):
        choose(second)
    with writing() as session:
        migrations.end(session, migrations.lock(session, first), MigrationStatus.FAILED)
    assert choose(second) == "node6"


def test_reserve_refuses_what_is_taken_meanwhile() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=2000))
    choose(start())
    second = start()
    with writing() as session:
        migration = migrations.lock(session, second)
        spec = request_spec(session, migration, session.get_one(Instance, migration.instance_uuid))
        with pytest.raises(InsufficientMemory, match="host:976 <= instance:1024"):
            reservations.reserve(session, migration, "node6", spec)


def test_release_gives_back() -> None:
    save(host_row("node5"), host_row("node6"))
    migration_id = start()
    choose(migration_id)
    for _twice in range(2):
        with writing() as session:
            reservations.release(session, migrations.lock(session, migration_id))
    assert reserved() == {}


@pytest.mark.parametrize(
    ("asked", "need"),
    [
        ({"block_migration": True}, 20 * GIB),
        ({"block_migration": True, "disk_over_commit": True}, 2 * GIB),
        ({"block_migration": False}, 0),
        ({"block_migration": None}, 0),
    ],
)
def test_disks_count_only_when_they_surely_move(asked: dict[str, Any], need: int) -> None:
    instance = instance_row("node5")
    migration = migration_row(instance, **asked)
    save(instance, migration, disk_row(instance, "vda"), disk_row(instance, "vdb"))
    save(disk_row(instance, "sda", device_type="cdrom", is_read_only=True), disk_row(instance, "vdc", destination_type="volume"))
    with reading() as session:
        assert request_spec(session, migration, instance).disk_bytes == need


def test_the_spec_knows_the_source() -> None:
    instance = instance_row("node5")
    migration = migration_row(instance, requested_destination="node6", is_forced=True)
    save(host_row("node5", qemu_version=8_000_000), instance, migration)
    with reading() as session:
        spec = request_spec(session, migration, instance)
    assert (spec.hypervisor_type, spec.qemu_version, spec.arch) == ("QEMU", 8_000_000, "x86_64")
    assert (spec.requested_destination, spec.is_forced) == ("node6", True)


def test_select_destination_reserves_nothing() -> None:
    save(host_row("node5"), host_row("node6"))
    with reading() as session:
        migration = session.get_one(Migration, start())
        spec = request_spec(session, migration, session.get_one(Instance, migration.instance_uuid))
        assert select_destination(session, spec) == "node6"
    assert reserved() == {}


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_at_once_one_gets_the_last_memory(attempt: int) -> None:
    save(host_row("node5"), host_row("node6", memory_mib=2000))
    outcomes = _at_once([start(), start()])
    assert sorted(outcome if isinstance(outcome, str) else outcome.code for outcome in outcomes) == ["NoValidHost", "node6"]
    assert len(reserved()) == 1


def test_of_three_at_once_two_share_two_hosts() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=2000), host_row("node7", memory_mib=1900))
    outcomes = _at_once([start(), start(), start()])
    assert sorted(outcome if isinstance(outcome, str) else outcome.code for outcome in outcomes) == ["NoValidHost", "node6", "node7"]


def _at_once(migration_ids: list[int]) -> list[str | LmigrateError]:
    barrier = threading.Barrier(len(migration_ids))
    outcomes: list[str | LmigrateError] = []

    def body(migration_id: int) -> None:
        barrier.wait()
        try:
            outcomes.append(choose(migration_id))
        except LmigrateError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=body, args=(migration_id,)) for migration_id in migration_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return outcomes


def test_a_reservation_made_too_late_counts_for_nothing() -> None:
    save(host_row("node5"), host_row("node6", memory_mib=2000))
    late = start()
    with writing() as session:
        migrations.end(session, migrations.lock(session, late), MigrationStatus.CANCELLED)
    choose(late)
    assert choose(start()) == "node6"
