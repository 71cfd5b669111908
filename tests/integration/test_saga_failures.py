"""Failure at each place of each step: before the switchover all is as it was, after it the migration goes on."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from lmigrate.errors import HypervisorError, HypervisorTimeout
from lmigrate.migration.guest_lock import guest_lock
from lmigrate.migration.steps import check_destination
from lmigrate.states import MigrationStatus, Phase
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster
from tests.integration.conftest import FailPoint

BEFORE_MOVE = ["select_destination", "check_destination", "check_source", "pre_live_migration"]
HEALTHY_AGAIN = 4


@pytest.fixture(params=["shared", "private"])
def cluster(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", is_shared=request.param == "shared")


@pytest.fixture
def private(database: str, tmp_path: Path) -> Cluster:
    """Where the kind of storage makes no difference: the one with more to do."""
    return Cluster(tmp_path, "node5", "node6")


def check_failed(cluster: Cluster, migration_id: int, before: object) -> None:
    """It ended by itself, all is as it was, and a second try right away succeeds."""
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert migration.error
    assert cluster.snapshot() == before
    cluster.check()
    cluster.world.reset_hooks()
    cluster.check_moved(cluster.migrate(migration.instance_uuid, "node6"), "node5", "node6")


@pytest.mark.parametrize(
    ("action", "moment"), [("raise", "before_do"), ("raise", "after_do"), ("raise-request", "after_do"), ("raise-host", "after_do")]
)
@pytest.mark.parametrize("step", BEFORE_MOVE)
def test_a_step_before_the_move(cluster: Cluster, failpoint: FailPoint, step: str, action: str, moment: str) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    failpoint(f"step.{step}.{moment}", f"{action} once")
    migration = cluster.migrate(uuid, "node6")
    assert "Injected" in (migration.error or "")
    check_failed(cluster, migration.id, before)


def test_a_destination_on_which_somebody_is_at_work_on_the_guest(private: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_destination, "SWEEP_PATIENCE_S", 0.05)
    uuid = private.boot("node5")
    before = private.snapshot()
    with guest_lock(private.settings("node6").host.state_dir, uuid):
        migration = private.migrate(uuid, "node6")
    assert f"node6: Another worker on this host is still at work on instance {uuid}" in (migration.error or "")
    check_failed(private, migration.id, before)


def test_before_the_move_call(private: Cluster, failpoint: FailPoint) -> None:
    uuid = private.boot("node5")
    before = private.snapshot()
    failpoint("step.migrate.before_do", "raise once")
    check_failed(private, private.migrate(uuid, "node6").id, before)


@pytest.mark.parametrize(
    ("step", "moment"),
    [("migrate", "after_do"), *product(["post_at_destination", "post_at_source", "complete"], ["before_do", "after_do"])],
)
def test_once_the_guest_has_moved_only_forward(private: Cluster, failpoint: FailPoint, step: str, moment: str) -> None:
    uuid = private.boot("node5", disks=2)
    failpoint(f"step.{step}.{moment}", "raise once")
    migration = private.migrate(uuid, "node6")
    for _ in range(HEALTHY_AGAIN):
        private.later()
    private.check_moved(private.migration(migration.id), "node5", "node6")


@pytest.mark.parametrize("step", [*BEFORE_MOVE, "migrate", "post_at_destination", "post_at_source", "complete"])
def test_a_worker_that_breaks_after_the_commit(private: Cluster, failpoint: FailPoint, step: str) -> None:
    """The step is done; only the chain is broken, and the reconciler takes it up."""
    uuid = private.boot("node5")
    failpoint(f"step.{step}.after_commit", "raise once")
    migration = private.migrate(uuid, "node6")
    for _ in range(HEALTHY_AGAIN):
        private.later()
    private.check_moved(private.migration(migration.id), "node5", "node6")


@pytest.mark.parametrize("step", [*BEFORE_MOVE, "migrate"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_undo_that_fails_is_tried_again(private: Cluster, failpoint: FailPoint, step: str, moment: str) -> None:
    uuid = private.boot("node5")
    before = private.snapshot()
    private.world.at("copying", fail)
    failpoint(f"undo.{step}.{moment}", "raise once")
    migration = private.migrate(uuid, "node6")
    assert migration.phase is Phase.ROLLING_BACK
    private.later()
    check_failed(private, migration.id, before)


def fail(move: Move) -> None:
    raise move.error("operation failed: injected")


@pytest.mark.parametrize("moment", ["begin", "copying", "switchover"])
def test_libvirt_fails(cluster: Cluster, moment: str) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    cluster.world.at(moment, fail)
    migration = cluster.migrate(uuid, "node6")
    assert "injected" in (migration.error or "")
    check_failed(cluster, migration.id, before)


@pytest.mark.parametrize("moment", ["copying", "switchover"])
def test_libvirt_fails_and_leaves_its_domain_on_the_destination(cluster: Cluster, moment: str) -> None:
    def fail_badly(move: Move) -> None:
        move.leaves_destination = True
        fail(move)

    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.world.at(moment, fail_badly)
    check_failed(cluster, cluster.migrate(uuid, "node6").id, before)


@pytest.mark.parametrize("error", [HypervisorError, HypervisorTimeout])
def test_libvirt_raises_although_the_guest_has_moved(private: Cluster, error: type[HypervisorError]) -> None:
    def raise_late(_move: Move) -> None:
        raise error("Cannot recv data: Connection reset by peer")

    uuid = private.boot("node5", disks=2)
    private.world.at("finished", raise_late)
    private.check_moved(private.migrate(uuid, "node6"), "node5", "node6")


def test_a_guest_that_powers_off_in_the_copy_keeps_its_disks(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=2)
    before = cluster.snapshot()
    cluster.world.at("copying", lambda _move: cluster.world.power_off("node5", uuid))
    migration = cluster.migrate(uuid, "node6")
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert cluster.snapshot()["files"] == before["files"]
    assert cluster.world.where(uuid) == {"node5": "shutoff (shutdown)"}
    assert cluster.instance(uuid).task_state is None


def test_a_transient_guest_that_powers_off_in_the_copy_is_held(cluster: Cluster) -> None:
    """It is nowhere: nobody may guess.  Its disks survive."""
    uuid = cluster.boot("node5", disks=2, is_persistent=False)
    before = cluster.snapshot()
    cluster.world.at("copying", lambda _move: cluster.world.power_off("node5", uuid))
    migration = cluster.migrate(uuid, "node6")
    assert (migration.status, migration.phase) == (MigrationStatus.ERROR, Phase.HELD)
    after = cluster.snapshot()["files"]
    assert {path: content for path, content in after.items() if path in before["files"]} == before["files"]


def test_the_destination_hangs_after_the_move(private: Cluster) -> None:
    def hang(_move: Move) -> None:
        private.world.hosts["node6"].is_hung = True

    uuid = private.boot("node5", disks=2)
    private.world.at("finished", hang)
    migration = private.migrate(uuid, "node6")
    assert not private.migration(migration.id).status.is_terminal
    assert (private.instances("node5") / uuid / "disk0").exists()
    private.later()
    private.world.hosts["node6"].is_hung = False
    for _ in range(HEALTHY_AGAIN):
        private.later()
    private.check_moved(private.migration(migration.id), "node5", "node6")


def test_the_source_hangs_in_the_copy(private: Cluster) -> None:
    """Nothing is undone before it has answered: the guest may have moved."""

    def hang(_move: Move) -> None:
        private.world.hosts["node5"].is_hung = True

    uuid = private.boot("node5")
    before = private.snapshot()
    private.world.at("copying", hang)
    private.world.at("switchover", fail)
    migration = private.migrate(uuid, "node6")
    assert not private.migration(migration.id).status.is_terminal
    private.later()
    private.world.hosts["node5"].is_hung = False
    for _ in range(HEALTHY_AGAIN):
        private.later()
    check_failed(private, migration.id, before)
