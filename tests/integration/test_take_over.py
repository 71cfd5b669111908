"""A daemon that starts drives on at once what earlier ones of its host have left in the middle."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import writing
from lmigrate.db.stores import journal
from lmigrate.db.stores.journal import Claimant
from lmigrate.errors import StepFailed
from lmigrate.migration.reconcile import take_over
from lmigrate.migration.runner import make_context, run_step
from lmigrate.migration.steps import step_of
from lmigrate.migration.steps.base import StepContext
from lmigrate.states import HoldReason, MigrationStatus, Phase, PowerState
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster, wait_until
from tests.integration.mail import name_of

CHECKED = [("select_destination", None), ("check_destination", "node6"), ("check_source", "node5")]
LONG_S = 3600.0


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def interrupted(cluster: Cluster, epoch: str) -> int:
    """A daemon of node6 has claimed a step, with a lease that runs for long, and died."""
    migration_id = cluster.request(cluster.boot("node5"), "node6")
    for name, host in CHECKED:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    cluster.mail.waiting.clear()
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "pre_live_migration", Claimant("gone/1", epoch, LONG_S))
    return migration_id


def test_what_an_earlier_daemon_left_is_sent_at_once(cluster: Cluster) -> None:
    migration_id = interrupted(cluster, "old")
    (sentence,) = take_over(cluster.settings("node6"), "new", cluster.mail)
    assert "pre_live_migration on node6 lost its worker; sent again" in sentence
    cluster.deliver()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


@pytest.mark.parametrize(("host", "epoch"), [("node6", "old"), ("node5", "new")], ids=["its own claim", "another host's"])
def test_what_is_at_work_is_left_alone(cluster: Cluster, host: str, epoch: str) -> None:
    migration_id = interrupted(cluster, "old")
    assert take_over(cluster.settings(host), epoch, cluster.mail) == []
    assert [name_of(chain.links[0]) for chain in cluster.mail.waiting] == []
    assert cluster.journal(migration_id)["pre_live_migration"] == "running"


def test_an_undo_that_was_left_is_driven_on(cluster: Cluster) -> None:
    migration_id = interrupted(cluster, "old")
    with writing() as session:
        migration = session.get_one(Migration, migration_id)
        row = journal.find(session, migration_id, 1, "pre_live_migration")
        assert row is not None
        assert journal.fail(session, row, "StepFailed", "it broke")
        migration.phase, migration.error = Phase.ROLLING_BACK, "it broke"
        assert journal.claim_undo(session, migration_id, 1, "pre_live_migration", Claimant("gone/2", "old", LONG_S))
    take_over(cluster.settings("node6"), "new", cluster.mail)
    cluster.deliver()
    assert cluster.migration(migration_id).status is MigrationStatus.FAILED
    assert list(cluster.instances("node6").iterdir()) == []


def test_twice_is_once(cluster: Cluster) -> None:
    interrupted(cluster, "old")
    assert len(take_over(cluster.settings("node6"), "new", cluster.mail)) == 1
    cluster.deliver()
    assert take_over(cluster.settings("node6"), "new", cluster.mail) == []


def slow_at_the_move(cluster: Cluster) -> tuple[str, StepContext]:
    """The guest, and what a worker goes on with whose lease has run out in the move."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    for name, host in [*CHECKED, ("pre_live_migration", "node6")]:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "migrate", Claimant("slow/1", "old", -1))
        row = journal.find(session, migration_id, 1, "migrate")
    assert row is not None
    return uuid, make_context(row, cluster.settings("node5"), cluster.connect("node5"))


def take_it_over(migration_id: int) -> None:
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "migrate", Claimant("fast/2", "new", LONG_S))


def test_what_could_not_be_journalled_is_not_done(cluster: Cluster) -> None:
    """Autostart would be lost: who undoes it does not know of it."""
    uuid, context = slow_at_the_move(cluster)
    cluster.world.domain("node5", uuid).autostart = True
    take_it_over(context.migration.id)
    with pytest.raises(StepFailed, match="another worker has taken it over"):
        step_of("migrate").do(context)
    assert cluster.world.domain("node5", uuid).autostart
    assert cluster.world.where(uuid) == {"node5": "running (booted)"}


def test_a_pause_that_could_not_be_journalled_is_not_made(cluster: Cluster) -> None:
    """The guest would stand still for ever if the move then failed."""
    uuid, context = slow_at_the_move(cluster)
    over = threading.Event()

    def ask(_move: Move) -> None:
        cluster.world.reset_hooks()
        take_it_over(context.migration.id)
        with writing() as session:
            session.get_one(Migration, context.migration.id).force_complete_requested_at = utcnow()
        assert over.wait(10)

    cluster.world.at("copying", ask)
    try:
        with pytest.raises(StepFailed, match="another worker has taken it over"):
            step_of("migrate").do(context)
        assert cluster.world.domain("node5", uuid).is_running
    finally:
        over.set()
    wait_until(lambda: list(cluster.world.where(uuid).values()) == ["shutoff (migrated)", "running (migrated)"])


def moved_without_a_word(cluster: Cluster, paused_by: str) -> tuple[int, list[int]]:
    """The guest runs on node6; libvirtd and daemon of node5 died at the switchover, and its libvirtd shows the guest stopped and no job.

    Also: a list that grows with every move.
    """
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    for name, host in [*CHECKED, ("pre_live_migration", "node6")]:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    cluster.mail.waiting.clear()
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "migrate", Claimant("gone/1", "old", LONG_S))
        row = journal.find(session, migration_id, 1, "migrate")
    assert row is not None
    context = make_context(row, cluster.settings("node5"), cluster.connect("node5"))
    moves: list[int] = []
    cluster.world.at("begin", lambda _move: moves.append(1))
    guest = cluster.world.domain("node5", uuid)
    xml = guest.xml
    step_of("migrate").do(context)
    if paused_by == "user":
        context.keep({"is_paused_by_us": True})
    guest.active_xml = xml
    guest.set_state(PowerState.PAUSED, paused_by)
    return migration_id, moves


@pytest.mark.parametrize("paused_by", ["migration", "user"], ids=["by the switchover", "by us, to complete it"])
def test_a_guest_that_may_have_run_there_is_not_moved_again(cluster: Cluster, paused_by: str) -> None:
    """Its memory here is old: what it has written there since would be lost."""
    migration_id, moves = moved_without_a_word(cluster, paused_by)
    cluster.world.power_off("node6", cluster.migration(migration_id).instance_uuid)
    take_over(cluster.settings("node5"), "new", cluster.mail)
    cluster.deliver()
    migration = cluster.migration(migration_id)
    assert (migration.phase, migration.hold_reason) == (Phase.HELD, HoldReason.STOPPED_ON_BOTH)
    assert moves == [1]
    assert (cluster.instances("node6") / migration.instance_uuid / "disk0").exists()


@pytest.mark.parametrize("paused_by", ["migration", "user"], ids=["by the switchover", "by us, to complete it"])
def test_a_guest_that_runs_there_is_seen_there(cluster: Cluster, paused_by: str) -> None:
    migration_id, moves = moved_without_a_word(cluster, paused_by)
    take_over(cluster.settings("node5"), "new", cluster.mail)
    cluster.deliver()
    migration = cluster.migration(migration_id)
    assert migration.switched_over_at is not None
    assert cluster.instance(migration.instance_uuid).host == "node6"
    assert moves == [1]
    cluster.check()
