"""A healthy migration from the request to `completed`, over the fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.host.inventory import Inventory
from lmigrate.states import MigrationStatus, PowerState
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import DISK_BYTES, Cluster, wait_until

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


@pytest.mark.parametrize("is_paused", [False, True], ids=["running", "paused"])
@pytest.mark.parametrize("is_persistent", [True, False], ids=["persistent", "transient"])
@pytest.mark.parametrize(("is_shared", "disks"), [(True, 1), (False, 1), (False, 3)], ids=["shared", "private-1", "private-3"])
def test_a_guest_moves(database: str, tmp_path: Path, *, is_shared: bool, disks: int, is_persistent: bool, is_paused: bool) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", is_shared=is_shared)
    uuid = cluster.boot("node5", disks=disks, is_persistent=is_persistent, is_paused=is_paused)
    memory = cluster.world.domain("node5", uuid).memory
    content = [(cluster.instances("node5") / uuid / f"disk{number}").read_bytes() for number in range(disks)]
    migration = cluster.migrate(uuid, "node6")
    cluster.check_moved(migration, "node5", "node6")
    moved = cluster.world.domain("node6", uuid)
    assert moved.memory == memory
    assert moved.power_state is (PowerState.PAUSED if is_paused else PowerState.RUNNING)
    assert (moved.inactive_xml is not None) is is_persistent
    assert [(cluster.instances("node6") / uuid / f"disk{number}").read_bytes() for number in range(disks)] == content
    assert cluster.journal(migration.id) == dict.fromkeys(STEPS, "done")
    assert migration.downtime_ms == cluster.world.downtime_ms
    assert migration.migrate_data["disk_needed_bytes"] == (0 if is_shared else disks * DISK_BYTES)


def test_a_guest_that_arrived_paused_is_moved_on_when_it_has_run(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", is_shared=True)
    uuid = cluster.boot("node5", is_paused=True)
    inventory = Inventory("node6", cluster.hypervisor("node6"), 60)
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
    inventory.compare_all()
    refused = cluster.migrate(uuid, "node5")  # QEMU would abort, and the guest be lost
    cluster.check()
    assert refused.status is MigrationStatus.FAILED
    assert "has not been seen running on node6" in str(refused.error)
    assert cluster.world.where(uuid) == {"node6": "paused (user)"}
    cluster.hypervisor("node6").resume(uuid)
    inventory.refresh([uuid])
    cluster.hypervisor("node6").pause(uuid)
    inventory.refresh([uuid])
    cluster.check_moved(cluster.migrate(uuid, "node5"), "node6", "node5")


def test_there_and_back_ten_times(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    uuid = cluster.boot("node5")
    source, destination = "node5", "node6"
    for _ in range(10):
        cluster.check_moved(cluster.migrate(uuid), source, destination)
        source, destination = destination, source


def test_progress_reaches_the_records(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    uuid = cluster.boot("node5")

    def wait_for_a_sample(_move: Move) -> None:
        wait_until(lambda: cluster.instance(uuid).progress > 0)

    cluster.world.at("copying", wait_for_a_sample)
    migration = cluster.migrate(uuid)
    cluster.check_moved(migration, "node5", "node6")
    assert migration.memory_total_bytes == 64 << 20
    assert migration.memory_remaining_bytes < 64 << 20


def test_events_are_novas(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    migration = cluster.migrate(cluster.boot("node5"))
    names = [event.split(":")[0] for event in cluster.events(migration.id)]
    assert names[0] == "conductor_live_migrate_instance"
    assert "compute_live_migration" in names
    assert "switchover" in names
