"""A database that is away for a moment fails no migration: what could not be written down is done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from lmigrate.db.session import engine
from lmigrate.migration.abort import request_abort
from lmigrate.migration.steps import STEPS
from lmigrate.migration.steps.base import Facts, Step, StepContext
from lmigrate.migration.steps.migrate import Migrate
from lmigrate.migration.steps.pre_live_migration import PreLiveMigration
from lmigrate.states import Phase
from tests.integration.cluster import Cluster

FACTS = "UPDATE migration_steps SET state="


class Away:
    """Refuses the ``skipped + 1``-th statement that ends a step, and the ``count - 1`` after it."""

    def __init__(self, skipped: int, count: int) -> None:
        self.skipped, self.left = skipped, count

    def __call__(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if not statement.startswith("UPDATE migration_steps") or "facts" not in statement.partition("WHERE")[0]:
            return
        if self.skipped:
            self.skipped -= 1
        elif self.left:
            self.left -= 1
            raise OperationalError(statement, parameters, RuntimeError("database or disk is full"))


@contextmanager
def away(skipped: int, count: int = 1) -> Iterator[Away]:
    made = Away(skipped, count)
    event.listen(engine(), "before_cursor_execute", made)
    yield made
    event.remove(engine(), "before_cursor_execute", made)


@pytest.mark.parametrize("nth", range(len(STEPS) + 1))
def test_facts_that_could_not_be_written(database: str, tmp_path: Path, nth: int) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    uuid = cluster.boot("node5")
    with away(nth) as fault:
        migration = cluster.migrate(uuid, "node6")
        for _ in range(3):
            cluster.later()
    assert fault.left == 0 or nth >= 8  # a guest without volumes has fewer steps
    migration = cluster.migration(migration.id)
    cluster.check_moved(migration, "node5", "node6")
    assert not any(sentence.startswith("rolled_back") for sentence in cluster.events(migration.id))


def test_a_database_that_never_takes_the_facts_ends_it_cleanly(database: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    with away(0, count=10_000):
        migration = cluster.migrate(uuid, "node6")
        for _ in range(25):
            cluster.later()
    migration = cluster.migration(migration.id)
    assert migration.status == "failed"
    assert "the database was not available" in str(migration.error)
    assert "UPDATE" not in str(migration.error)
    assert cluster.snapshot() == before


def gone_afterwards(monkeypatch: pytest.MonkeyPatch, step: type[Step], meanwhile: Callable[[], None] = lambda: None) -> None:
    """The step's first try does its work; ``meanwhile`` happens; then it finds the database away."""
    do = step.do

    def broken(self: Step, context: StepContext) -> Facts:
        monkeypatch.setattr(step, "do", do)
        do(self, context)
        meanwhile()
        raise OperationalError("COMMIT", {}, RuntimeError("server closed the connection unexpectedly"))

    monkeypatch.setattr(step, "do", broken)


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6")


def test_a_step_that_fails_when_it_is_rolled_back_already_is_undone(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reconciler has given it up; its worker finds the row first, and does not make it ready again."""
    uuid = cluster.boot("node5")
    before = cluster.snapshot()
    phases: list[Phase] = []

    def give_up() -> None:
        request_abort(uuid, migration_id)
        cluster.pass_time()
        cluster.reconcile()
        phases.append(cluster.migration(migration_id).phase)

    gone_afterwards(monkeypatch, PreLiveMigration, give_up)
    migration_id = cluster.request(uuid, "node6")
    cluster.deliver()
    for _ in range(3):
        cluster.later()
    assert phases == [Phase.ROLLING_BACK]
    assert cluster.migration(migration_id).status == "cancelled"
    assert cluster.snapshot() == before


@pytest.mark.parametrize("step", [PreLiveMigration, Migrate])
def test_a_step_that_waits_for_its_next_try_is_undone_as_well(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, step: type[Step]) -> None:
    uuid = cluster.boot("node5")
    cluster.world.domain("node5", uuid).autostart = True
    before = cluster.snapshot()
    if step is Migrate:  # tried, and not moved
        monkeypatch.setattr(Migrate, "_move", lambda *_: None)
        monkeypatch.setattr("lmigrate.migration.steps.migrate._failure", lambda *_: OperationalError("COMMIT", {}, RuntimeError("gone")))
    else:
        gone_afterwards(monkeypatch, step)
    migration_id = cluster.request(uuid, "node6")
    cluster.deliver()
    assert cluster.journal(migration_id)[step.name] == "ready"
    request_abort(uuid, migration_id)
    for _ in range(3):
        cluster.later()
    assert cluster.migration(migration_id).status == "cancelled"
    assert cluster.snapshot() == before
