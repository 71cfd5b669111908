"""A held migration goes on when an operator has said where the guest runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.config import settings
from lmigrate.errors import NotHeld, ResolutionRefused
from lmigrate.migration.resolve import resolve
from lmigrate.migration.runner import MAX_FORWARD_TRIES
from lmigrate.states import MigrationStatus, Phase
from tests.integration.cluster import Cluster


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def held_before_switchover(cluster: Cluster) -> int:
    """A transient guest that ended by itself in the copy: it is on neither host."""
    uuid = cluster.boot("node5", disks=2, is_persistent=False)
    cluster.world.at("copying", lambda _move: cluster.world.power_off("node5", uuid))
    return cluster.migrate(uuid, "node6").id


@pytest.fixture
def held_after_switchover(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> int:
    """The source's tidying fails again and again; the obstacle is out of the way at the end."""
    faults = tmp_path_factory.mktemp("faults")
    monkeypatch.setenv("LMIGRATE_FAULTS__DIR", str(faults))
    settings.cache_clear()
    obstacle = faults / "step.post_at_source.before_do"
    obstacle.write_text("raise")
    migration = cluster.migrate(cluster.boot("node5"), "node6")
    for _ in range(MAX_FORWARD_TRIES):
        cluster.later()
    obstacle.unlink()
    return migration.id


def test_back_on_the_source(cluster: Cluster) -> None:
    migration_id = held_before_switchover(cluster)
    assert cluster.migration(migration_id).phase is Phase.HELD
    resolve(migration_id, "node5", "alice", cluster.mail)
    cluster.deliver()
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert cluster.instance(migration.instance_uuid).task_state is None
    assert list(cluster.instances("node6").iterdir()) == []
    assert any("alice says that the guest runs on node5" in event for event in cluster.events(migration_id))


def test_forward_on_the_destination(cluster: Cluster, held_after_switchover: int) -> None:
    assert cluster.migration(held_after_switchover).status is MigrationStatus.ERROR
    resolve(held_after_switchover, "node6", "alice", cluster.mail)
    cluster.deliver()
    cluster.check_moved(cluster.migration(held_after_switchover), "node5", "node6")


def test_never_back_once_it_was_seen_to_leave(cluster: Cluster, held_after_switchover: int) -> None:
    with pytest.raises(ResolutionRefused, match="no whole copy any more"):
        resolve(held_after_switchover, "node5", "alice", cluster.mail)


def test_only_the_two_hosts_count(cluster: Cluster) -> None:
    migration_id = held_before_switchover(cluster)
    with pytest.raises(ResolutionRefused, match="node7 is neither its source"):
        resolve(migration_id, "node7", "alice", cluster.mail)
    assert cluster.migration(migration_id).phase is Phase.HELD


def test_only_a_held_one(cluster: Cluster) -> None:
    migration = cluster.migrate(cluster.boot("node5"), "node6")
    with pytest.raises(NotHeld, match="completed"):
        resolve(migration.id, "node6", "alice", cluster.mail)
