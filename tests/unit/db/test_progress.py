"""How far a copy has come never goes back, though its guest makes work anew."""

from __future__ import annotations

from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import progress
from tests.factories.records import instance_row, migration_row

COUNTS = ("elapsed_ms", "iteration", "dirty_rate_bps", "bandwidth_bps")
AMOUNTS = tuple(f"{kind}_{part}_bytes" for kind in ("memory", "disk") for part in ("total", "processed", "remaining"))


def test_the_percentage_is_the_most_that_was_reached(database: str) -> None:
    guest = instance_row("node5")
    with writing() as session:
        session.add(guest)
        session.flush()
        migration = migration_row(guest)
        session.add(migration)
    shown = []
    for percent in (10, 40, 25, 60):
        sample = dict.fromkeys((*COUNTS, *AMOUNTS), 0) | {"memory_total_bytes": 100, "memory_remaining_bytes": 100 - percent}
        with writing() as session:
            progress.store(session, migration.id, guest.uuid, sample, percent=percent)
        with reading() as session:
            row = session.get_one(Migration, migration.id)
            shown.append((row.percent, session.get_one(Instance, guest.uuid).progress, row.memory_remaining_bytes))
    assert shown == [(10, 10, 90), (40, 40, 60), (40, 40, 75), (60, 60, 40)]
