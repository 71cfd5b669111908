"""What the reconciler sends again, how often, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.config import settings
from lmigrate.db.clock import ago
from lmigrate.db.models import Host, Migration
from lmigrate.db.session import writing
from lmigrate.db.stores import journal
from lmigrate.db.stores.hosts import STOPPED
from lmigrate.db.stores.journal import Claimant
from lmigrate.migration import reconcile, runner
from lmigrate.migration.attempt import send_tail
from lmigrate.states import MigrationStatus, Phase, StepState
from tests.integration.cluster import Cluster
from tests.integration.mail import name_of


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def look(cluster: Cluster) -> list[str]:
    """One look of the reconciler, now; nothing is delivered."""
    return reconcile.reconcile(cluster.settings(None), cluster.mail)


def waiting(cluster: Cluster) -> list[str]:
    names = [name_of(chain.links[0]) for chain in cluster.mail.waiting]
    cluster.mail.waiting.clear()
    return names


def age(migration_id: int, seconds: float) -> None:
    with writing() as session:
        migration = session.get_one(Migration, migration_id)
        migration.dispatched_at = ago(seconds)
        for step in journal.steps_of(session, migration):
            if step.ready_at is not None:
                step.ready_at = ago(seconds)


def test_what_was_just_sent_is_left_alone(cluster: Cluster) -> None:
    cluster.request(cluster.boot("node5"))
    waiting(cluster)
    assert look(cluster) == []
    assert waiting(cluster) == []


def test_the_pause_between_two_re_sends_grows(cluster: Cluster) -> None:
    """A dead host's queue must not grow by a message at each look."""
    migration_id = cluster.request(cluster.boot("node5"))
    waiting(cluster)
    for pause_s in (10, 20, 40, 80):
        age(migration_id, pause_s - 1)
        assert look(cluster) == []
        age(migration_id, pause_s + 1)
        assert len(look(cluster)) == 1
        assert waiting(cluster) == ["select_destination"]


def test_a_lost_claim_is_not_sent_at_each_look_either(cluster: Cluster) -> None:
    migration_id = cluster.request(cluster.boot("node5"))
    waiting(cluster)
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "select_destination", Claimant("dead/1", None, 0))
    sent = []
    for _ in range(10):
        look(cluster)
        sent += waiting(cluster)
    assert sent == ["select_destination"]


def test_a_doubled_first_step_does_not_send_itself_while_the_other_works(cluster: Cluster) -> None:
    migration_id = cluster.request(cluster.boot("node5"))
    waiting(cluster)
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "select_destination", Claimant("alive/1", None, 60))
    send_tail(migration_id, 1, cluster.mail)
    assert waiting(cluster) == []


@pytest.mark.parametrize("step", ["check_destination", "check_source", "pre_live_migration", "migrate"])
def test_a_host_that_is_down_before_the_move_ends_the_attempt(cluster: Cluster, step: str) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    while name_of(cluster.mail.waiting[0].links[0]) != step:
        cluster.mail.deliver_one(cluster.work)
    waiting(cluster)
    host = "node5" if step in {"check_source", "migrate"} else "node6"
    with writing() as session:
        session.query(Host).filter_by(name=host).one().last_seen_at = ago(600)
    sentences = look(cluster)
    assert "last heard of" in cluster.events(migration_id)[-1]
    assert sentences
    migration = cluster.migration(migration_id)
    assert migration.phase is Phase.ROLLING_BACK
    assert host in (migration.error or "")


@pytest.mark.parametrize("step", ["check_destination", "migrate"])
def test_a_daemon_that_is_started_anew_is_waited_for(cluster: Cluster, step: str) -> None:
    """Stopped in good order, as in a rolling upgrade; gone for longer, its host is down like any other."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    while name_of(cluster.mail.waiting[0].links[0]) != step:
        cluster.mail.deliver_one(cluster.work)
    waiting(cluster)
    host = "node5" if step == "migrate" else "node6"
    with writing() as session:
        row = session.query(Host).filter_by(name=host).one()
        row.libvirt_ok, row.down_reason, row.last_seen_at = False, STOPPED, ago(10)
    look(cluster)
    assert cluster.migration(migration_id).phase is Phase.FORWARD
    with writing() as session:
        session.query(Host).filter_by(name=host).one().last_seen_at = ago(600)
    look(cluster)
    assert cluster.migration(migration_id).phase is Phase.ROLLING_BACK


def test_after_the_switchover_a_host_that_is_down_is_waited_for(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    while name_of(cluster.mail.waiting[0].links[0]) != "post_at_source":
        cluster.mail.deliver_one(cluster.work)
    waiting(cluster)
    with writing() as session:
        session.query(Host).filter_by(name="node5").one().last_seen_at = ago(600)
    age(migration_id, 3600)
    look(cluster)
    assert cluster.migration(migration_id).phase is Phase.FORWARD
    cluster.deliver()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_a_step_after_the_switchover_that_never_succeeds_is_held(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source cannot be tidied, whatever is tried: a person has to look."""
    faults = tmp_path_factory.mktemp("faults")
    monkeypatch.setenv("LMIGRATE_FAULTS__DIR", str(faults))
    settings.cache_clear()
    (faults / "step.post_at_source.before_do").write_text("raise")
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    while name_of(cluster.mail.waiting[0].links[0]) != "post_at_source":
        cluster.mail.deliver_one(cluster.work)
    cluster.deliver()
    for _ in range(runner.MAX_FORWARD_TRIES + 5):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.ERROR, Phase.HELD)
    assert f"failed {runner.MAX_FORWARD_TRIES} times" in (migration.error or "")
    assert cluster.instance(uuid).host == "node6"
    cluster.check()


def test_held_and_ended_migrations_are_left_alone(cluster: Cluster) -> None:
    migration = cluster.migrate(cluster.boot("node5"))
    age(migration.id, 3600)
    assert look(cluster) == []
    assert cluster.journal(migration.id)["complete"] == StepState.DONE.value
