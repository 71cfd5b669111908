"""A copy that does not end: the policy's actions, performed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lmigrate.states import MigrationStatus, Phase, PowerState
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster, wait_until

LONG_MS = 10_000_000


def never_ends(cluster: Cluster, uuid: str) -> None:
    """The copy has been going on for hours; it ends when it is aborted, or the guest paused or switched."""

    def go_on(move: Move) -> None:
        guest = cluster.world.domain("node5", uuid)
        guest.job = replace(guest.job, elapsed_ms=LONG_MS)
        wait_until(lambda: move.is_aborted or move.is_post_copy_ordered or not guest.is_running)

    cluster.world.at("copying", go_on)


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", timeout_action="abort")


def test_the_timeout_aborts(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    never_ends(cluster, uuid)
    migration = cluster.migrate(uuid, "node6")
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert "not completed after 10000 s" in (migration.error or "")
    assert cluster.snapshot() == before


def test_the_timeout_pauses_the_guest_and_it_arrives_running(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", timeout_action="force_complete")
    uuid = cluster.boot("node5")
    never_ends(cluster, uuid)
    migration = cluster.migrate(uuid, "node6")
    cluster.check_moved(migration, "node5", "node6")
    assert cluster.world.domain("node6", uuid).power_state is PowerState.RUNNING
    told = [event for event in cluster.events(migration.id) if "the guest is paused so that its copy ends: not completed after" in event]
    assert len(told) == 1


def test_a_guest_that_the_policy_paused_runs_again_after_a_failure(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", timeout_action="force_complete")
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    never_ends(cluster, uuid)

    def fail_once_paused(move: Move) -> None:
        if not cluster.world.domain("node5", uuid).is_running:
            raise move.error("operation failed: injected")

    cluster.world.at("copying", fail_once_paused)
    migration = cluster.migrate(uuid, "node6")
    assert migration.status is MigrationStatus.FAILED
    assert cluster.snapshot() == before


def test_a_guest_that_is_paused_in_the_copy_runs_again_after_a_failure(cluster: Cluster) -> None:
    """libvirt takes any pause in the copy for a part of the move, and ends it with the move."""
    uuid = cluster.boot("node5")

    def pause_and_fail(move: Move) -> None:
        cluster.hypervisor("node5").pause(uuid)
        raise move.error("operation failed: injected")

    cluster.world.at("copying", pause_and_fail)
    migration = cluster.migrate(uuid, "node6")
    assert migration.status is MigrationStatus.FAILED
    assert cluster.world.where(uuid) == {"node5": "running (migration-canceled)"}
