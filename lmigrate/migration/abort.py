"""Abort on request: a wish in the row, honoured by whoever works on the migration."""

from __future__ import annotations

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import writing
from lmigrate.db.stores import actions, migrations
from lmigrate.errors import AbortTooLate, MigrationNotFound
from lmigrate.states import ABORTABLE, Phase


def request_abort(instance_uuid: str, migration_id: int) -> None:
    """Ask for an abort.  Every step looks before it begins, the running copy at each poll.

    The switchover may still win the race; the migration then ends `completed`.

    Raises:
        MigrationNotFound: the instance has no such migration.
        AbortTooLate: it has ended, or the guest already runs on the destination.
    """
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.instance_uuid != instance_uuid:
            raise MigrationNotFound(migration=migration_id)
        if migration.switched_over_at is not None or migration.post_copy_at is not None or migration.status not in ABORTABLE:
            raise AbortTooLate(migration=migration_id, status=migration.status.value, remedy=_remedy(migration))
        if migration.abort_requested_at is None:
            migration.abort_requested_at = utcnow()
            actions.begin(session, migration, actions.CANCEL)


def _remedy(migration: Migration) -> str:
    if migration.phase is Phase.HELD:
        return "An operator has to decide what becomes of it."
    if migration.post_copy_at is not None and migration.phase is not Phase.ENDED and migration.switched_over_at is None:
        return f"Post-copy has begun: the guest runs on {migration.dest_host}, neither host has all of it, and there is no way back."
    if migration.switched_over_at is not None:
        return f"The guest runs on {migration.dest_host}; to have it back, migrate it to {migration.source_host}."
    return "It has ended."
