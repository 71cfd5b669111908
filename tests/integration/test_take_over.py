"""A daemon that starts drives on at once what earlier ones of its host have left in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.db.models import Migration
from lmigrate.db.session import writing
from lmigrate.db.stores import journal
from lmigrate.db.stores.journal import Claimant
from lmigrate.migration.reconcile import take_over
from lmigrate.migration.runner import run_step
from lmigrate.states import MigrationStatus, Phase
from tests.integration.cluster import Cluster
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
