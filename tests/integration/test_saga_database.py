"""A database that is away for a moment fails no migration: what could not be written down is done again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from lmigrate.db.session import engine
from lmigrate.migration.steps import STEPS
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
