"""Post-copy: how it is begun, what is refused then, and how it goes on when it breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lmigrate.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import writing
from lmigrate.errors import AbortTooLate, ForceCompleteRefused, HypervisorError, MigrationNotFound, OutcomeUnknown, ResolutionRefused
from lmigrate.ids import new_uuid
from lmigrate.migration.abort import request_abort
from lmigrate.migration.force_complete import request_force_complete
from lmigrate.migration.resolve import resolve
from lmigrate.migration.steps import step_of
from lmigrate.migration.steps.base import StepContext
from lmigrate.migration.steps.pre_live_migration import remove_incoming_domain
from lmigrate.states import MigrationStatus, Phase, PowerState
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster, wait_until
from tests.integration.test_saga_convergence import never_ends

QUICK: dict[str, Any] = {"post_copy_stall_s": 0.05, "post_copy_retry_max_s": 0.02}


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", permit_post_copy=True, timeout_action="force_complete", **QUICK)


def once(hook: Callable[[Move], None]) -> Callable[[Move], None]:
    left = [hook]
    return lambda move: left.pop()(move) if left else None


def begin(cluster: Cluster, uuid: str) -> int:
    """A migration that completes by post-copy as soon as it is delivered."""
    never_ends(cluster, uuid)
    return cluster.request(uuid, "node6")


def part_the_hosts(cluster: Cluster) -> Callable[[Move], None]:
    def part(_move: Move) -> None:
        cluster.world.is_parted = True

    return once(part)


# -- without mishaps ------------------------------------------------------------------------------


def test_the_timeout_switches_to_post_copy(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=2)
    seen: list[object] = []

    def look(_move: Move) -> None:
        seen.append(cluster.world.where(uuid))
        wait_until(lambda: cluster.migration(migration_id).status is MigrationStatus.RUNNING_POST_COPY)
        seen.append(cluster.instance(uuid).host)

    cluster.world.at("post-copy", once(look))
    migration_id = begin(cluster, uuid)
    cluster.deliver()
    assert seen == [{"node5": "paused (postcopy)", "node6": "running (postcopy)"}, "node5"]
    migration = cluster.migration(migration_id)
    cluster.check_moved(migration, "node5", "node6")
    assert migration.post_copy_at is not None
    told = cluster.events(migration_id)
    assert any("switching to post-copy: not completed after 10000 s" in event for event in told)
    assert any("the guest runs on node6; its memory follows" in event for event in told)


@pytest.mark.parametrize("is_permitted", [True, False])
def test_completion_on_request(database: str, tmp_path: Path, *, is_permitted: bool) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", permit_post_copy=is_permitted)
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")

    def ask(move: Move) -> None:
        request_force_complete(uuid, migration_id)
        request_force_complete(uuid, migration_id)  # twice is once
        wait_until(lambda: move.is_post_copy_ordered or not cluster.world.domain("node5", uuid).is_running)

    cluster.world.at("copying", once(ask))
    cluster.deliver()
    migration = cluster.migration(migration_id)
    cluster.check_moved(migration, "node5", "node6")
    assert (migration.post_copy_at is not None) is is_permitted
    assert cluster.world.domain("node6", uuid).power_state is PowerState.RUNNING


def test_what_is_being_aborted_is_not_completed_by_force(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")

    def ask(_move: Move) -> None:
        with writing() as session:
            session.get_one(Migration, migration_id).abort_requested_at = utcnow()
        with pytest.raises(ForceCompleteRefused, match="being aborted"):
            request_force_complete(uuid, migration_id)

    cluster.world.at("copying", once(ask))
    cluster.deliver()
    assert cluster.migration(migration_id).force_complete_requested_at is None


def test_a_paused_guest_is_never_switched(cluster: Cluster) -> None:
    """libvirt would let it run on the destination."""
    uuid = cluster.boot("node5", is_paused=True)
    flags: list[bool] = []
    cluster.world.at("copying", lambda move: flags.append(move.spec.post_copy))
    migration = cluster.migrate(uuid, "node6")
    assert migration.status is MigrationStatus.COMPLETED
    assert set(flags) == {False}
    assert cluster.world.domain("node6", uuid).power_state is PowerState.PAUSED


def test_where_the_hypervisor_refuses_the_guest_is_paused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(hypervisor: FakeHypervisor, _uuid: str) -> None:
        raise HypervisorError(host=hypervisor._name, reason="Postcopy is not supported")

    monkeypatch.setattr(FakeHypervisor, "start_post_copy", refuse)
    uuid = cluster.boot("node5")
    migration_id = begin(cluster, uuid)
    cluster.deliver()
    migration = cluster.migration(migration_id)
    cluster.check_moved(migration, "node5", "node6")
    assert migration.post_copy_at is None
    assert any("refused to switch to post-copy" in event and "Postcopy is not supported" in event for event in cluster.events(migration_id))


@pytest.mark.parametrize("status", [MigrationStatus.ACCEPTED, MigrationStatus.RUNNING_POST_COPY, MigrationStatus.POST_MIGRATING])
def test_only_a_running_copy_is_completed(cluster: Cluster, status: MigrationStatus) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    change(migration_id, status=status)
    with pytest.raises(ForceCompleteRefused, match="only a copy that runs"):
        request_force_complete(uuid, migration_id)
    with pytest.raises(MigrationNotFound):
        request_force_complete(new_uuid(), migration_id)


def change(migration_id: int, **values: Any) -> None:
    with writing() as session:
        row = session.get_one(Migration, migration_id)
        for name, value in values.items():
            setattr(row, name, value)


# -- no way back ----------------------------------------------------------------------------------


def test_an_abort_is_refused_once_it_has_begun(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    refused: list[str] = []

    def try_to_abort(_move: Move) -> None:
        with pytest.raises(AbortTooLate) as error:
            request_abort(uuid, migration_id)
        refused.append(str(error.value))

    cluster.world.at("post-copy", once(try_to_abort))
    migration_id = begin(cluster, uuid)
    cluster.deliver()
    assert "Post-copy has begun: the guest runs on node6, neither host has all of it" in refused[0]
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_an_abort_that_was_first_wins(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")

    def ask_for_both(move: Move) -> None:
        request_abort(uuid, migration_id)
        change(migration_id, force_complete_requested_at=utcnow())
        move.wait_for_abort()

    cluster.world.at("copying", once(ask_for_both))
    cluster.deliver()
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.post_copy_at) == (MigrationStatus.CANCELLED, None)
    cluster.check()


def contexts_of_halves(cluster: Cluster, migration_id: int) -> dict[str, StepContext]:
    migration = cluster.migration(migration_id)
    instance = cluster.instance(migration.instance_uuid)

    def context(host: str) -> StepContext:
        known = cluster.settings(host)
        options = known.host.model_copy(update={"state_dir": cluster.top / "run" / "other"})  # the move holds the guest's lock
        settings = known.model_copy(update={"host": options})
        return StepContext(migration, instance, settings, {}, lambda _facts: None, lambda: False, lambda: None, cluster.connect(host))

    return {host: context(host) for host in ("node5", "node6")}


def test_no_undo_touches_a_half(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    refused: list[str] = []

    def try_to_undo(_move: Move) -> None:
        contexts = contexts_of_halves(cluster, migration_id)
        for undo in (
            lambda: step_of("migrate").undo(contexts["node5"], {"inodes": {}, "is_paused_by_us": True}),
            lambda: remove_incoming_domain(contexts["node6"]),
            lambda: step_of("post_at_source").do(contexts["node5"]),
        ):
            with pytest.raises(OutcomeUnknown) as error:
                undo()
            refused.append(str(error.value))

    cluster.world.at("post-copy", once(try_to_undo))
    migration_id = begin(cluster, uuid)
    cluster.deliver()
    assert len(refused) == 3
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


# -- when it breaks -------------------------------------------------------------------------------


def test_a_broken_post_copy_is_resumed_when_the_link_is_back(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=2)
    migration_id = begin(cluster, uuid)
    cluster.world.at("post-copy", part_the_hosts(cluster))
    delivery = threading.Thread(target=cluster.deliver)
    delivery.start()
    wait_until(lambda: "cannot be resumed yet" in (cluster.migration(migration_id).error or ""))
    broken = cluster.migration(migration_id)
    assert (broken.status, broken.phase) == (MigrationStatus.RUNNING_POST_COPY, Phase.FORWARD)
    assert "unable to connect" in (broken.error or "")
    assert broken.post_copy_broken_at is not None
    assert set(cluster.world.where(uuid).values()) == {"paused (postcopy-failed)", "running (postcopy-failed)"}
    cluster.world.is_parted = False
    delivery.join(20)
    migration = cluster.migration(migration_id)
    cluster.check_moved(migration, "node5", "node6")
    assert any("post-copy broke; source: paused (postcopy-failed)" in event for event in cluster.events(migration_id))


def test_a_connection_that_only_seems_to_live_is_given_up(cluster: Cluster) -> None:
    """Nothing moves, and libvirt says nothing: QEMU waits for a peer that is gone."""
    uuid = cluster.boot("node5")
    migration_id = begin(cluster, uuid)

    def stand_still(move: Move) -> None:
        move.wake.clear()
        move.wait_for_abort()

    cluster.world.at("post-copy", once(stand_still))
    cluster.deliver()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")
    assert any("has moved nothing for" in event for event in cluster.events(migration_id))


def break_and_lose_the_daemon(cluster: Cluster, uuid: str) -> int:
    """The hosts are parted, and so is the daemon from its database: its step fails with half a guest on either side."""
    migration_id = begin(cluster, uuid)
    cluster.world.at("post-copy", part_the_hosts(cluster))
    change_limit(cluster, 0)
    cluster.deliver()
    return migration_id


def change_limit(cluster: Cluster, seconds: float) -> None:
    cluster._migration = cluster._migration.model_copy(update={"post_copy_recovery_timeout_s": seconds})
    cluster.settings.cache_clear()


def test_after_the_limit_it_is_held_with_both_sides_told(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.ERROR, Phase.HELD)
    for part in (
        "source: paused (postcopy-failed), migration job active",
        "destination: running (postcopy-failed)",
        "could not be resumed within 0 s",
        f"lmigrate migration resolve {migration_id} --running-on node6",
    ):
        assert part in (migration.error or ""), migration.error
    assert cluster.instance(uuid).task_state is not None
    assert list(cluster.world.where(uuid)) == ["node5", "node6"]
    cluster.check()


def test_held_it_is_resumed_by_an_operator_when_the_link_is_back(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=1)
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    with pytest.raises(ResolutionRefused, match="node5 has no whole copy any more"):
        resolve(migration_id, "node5", "alice", cluster.mail)
    change_limit(cluster, 60)
    cluster.world.is_parted = False
    resolve(migration_id, "node6", "alice", cluster.mail)
    assert cluster.migration(migration_id).status is MigrationStatus.RUNNING_POST_COPY
    cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_resolved_too_early_it_is_held_again(cluster: Cluster) -> None:
    migration_id = break_and_lose_the_daemon(cluster, cluster.boot("node5"))
    resolve(migration_id, "node6", "alice", cluster.mail)
    cluster.later()
    assert cluster.migration(migration_id).phase is Phase.HELD
    cluster.check()


def test_a_silent_destination_does_not_keep_it_from_being_told(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    cluster.world.at("post-copy", once(lambda _move: setattr(cluster.world.hosts["node6"], "is_unreachable", True)))
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert migration.phase is Phase.HELD
    assert "destination: does not answer" in (migration.error or "")
    cluster.check()


def left_by_a_killed_daemon(migration_id: int, **values: Any) -> None:
    """Nobody works on it any more, and the conductor has noticed."""
    change(migration_id, phase=Phase.ROLLING_BACK, status=MigrationStatus.RUNNING_POST_COPY, error=None, error_code=None, **values)


def test_the_next_daemon_sees_to_a_broken_post_copy(cluster: Cluster) -> None:
    """Its first look finds half a guest: no second move is begun, and it is resumed."""
    uuid = cluster.boot("node5", disks=1)
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    change_limit(cluster, 60)
    cluster.world.is_parted = False
    left_by_a_killed_daemon(migration_id, post_copy_broken_at=None)
    cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")
    assert any(event.startswith("verdict: resume") for event in cluster.events(migration_id))


def test_the_time_that_it_has_been_broken_is_not_forgotten(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    change_limit(cluster, 600)
    left_by_a_killed_daemon(migration_id, post_copy_broken_at=utcnow() - timedelta(hours=1))
    cluster.later()
    migration = cluster.migration(migration_id)
    assert migration.phase is Phase.HELD
    assert "within 600 s" in (migration.error or "")


def test_a_source_that_has_lost_its_half_is_held_and_nothing_is_removed(cluster: Cluster) -> None:
    uuid = cluster.boot("node5", disks=1)
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    cluster.world.domain("node5", uuid).stop("crashed")
    left_by_a_killed_daemon(migration_id)
    for _ in range(4):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert migration.phase is Phase.HELD
    assert "source: shutoff (crashed)" in (migration.error or "")
    assert "destination: running (postcopy-failed)" in (migration.error or "")
    assert list((cluster.instances("node6") / uuid).iterdir()) != []


def test_when_both_halves_are_gone_the_newer_disks_are_kept(cluster: Cluster) -> None:
    """Without post-copy this is a guest that has ended at home, whose copy would be undone."""
    uuid = cluster.boot("node5", disks=1)
    migration_id = break_and_lose_the_daemon(cluster, uuid)
    cluster.world.domain("node5", uuid).stop("crashed")
    del cluster.world.hosts["node6"].domains[uuid]
    left_by_a_killed_daemon(migration_id)
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert migration.phase is Phase.HELD
    assert "post-copy was begun" in (migration.error or "")
    assert (cluster.instances("node6") / uuid / "disk0").exists()
