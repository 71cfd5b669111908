"""When a step counts as orphaned.  What happens if its worker dies at each of its moments, tests/crash enumerates."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.db.session import reading, writing
from lmigrate.db.stores import journal
from lmigrate.db.stores.journal import Claimant
from tests.integration.cluster import Cluster


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def test_a_restarted_daemon_need_not_wait_for_the_lease(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_one(cluster.work)  # select_destination
    with writing() as session:
        alive_for_long = Claimant("dead/1", "the epoch before", 100_000)
        assert journal.claim(session, migration_id, 1, "check_destination", alive_for_long)
    cluster.mail.waiting.clear()
    cluster.later()
    cluster.check_moved(cluster.migration(migration_id), "node5", "node6")


def test_a_living_worker_is_left_alone(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_one(cluster.work)
    with writing() as session:
        assert journal.claim(session, migration_id, 1, "check_destination", Claimant("alive/1", None, 100_000))
    cluster.deliver()  # the message arrives a second time
    assert cluster.later() == []
    with reading() as session:
        row = journal.find(session, migration_id, 1, "check_destination")
    assert row is not None
    assert row.owner == "alive/1"
