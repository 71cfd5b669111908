"""Steps that nobody takes, and an abort that need not wait for its turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmigrate.migration.abort import request_abort
from lmigrate.migration.dispatch import StepMessage
from lmigrate.states import MigrationStatus, Phase
from tests.integration.cluster import Cluster
from tests.integration.mail import Message


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", is_shared=True)


def lose(step: str) -> Callable[[Message], int]:
    return lambda message: 0 if isinstance(message, StepMessage) and message.step == step else 1


@pytest.mark.parametrize("step", ["check_destination", "check_source", "pre_live_migration"])
def test_a_step_that_nobody_takes_ends_the_attempt(cluster: Cluster, step: str) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.mail.copies = lose(step)
    migration = cluster.migrate(uuid)
    for _ in range(6):
        cluster.later()
    migration = cluster.migration(migration.id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert f"nobody took {step}" in (migration.error or "")
    assert cluster.snapshot() == before


def test_an_hour_without_a_conductor_is_nobodys_fault(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    cluster.mail.copies = lambda _message: 0
    migration = cluster.migrate(uuid)
    cluster.mail.copies = lambda _message: 1
    cluster.later(seconds=36_000)
    cluster.check_moved(cluster.migration(migration.id), "node5", "node6")


def test_an_abort_does_not_wait_for_the_copies_ahead(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    cluster.mail.copies = lose("migrate")  # it waits in the queue behind others
    migration = cluster.migrate(uuid)
    assert cluster.journal(migration.id)["migrate"] == "ready"
    request_abort(uuid, migration.id)
    cluster.later(seconds=1)
    assert cluster.migration(migration.id).status is MigrationStatus.CANCELLED
    assert cluster.snapshot() == before
