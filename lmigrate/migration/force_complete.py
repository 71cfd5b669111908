"""Completion by force: a wish in the row, honoured by whoever watches the copy."""

from __future__ import annotations

from lmigrate.db.clock import utcnow
from lmigrate.db.session import writing
from lmigrate.db.stores import actions, migrations
from lmigrate.errors import ForceCompleteRefused, MigrationNotFound
from lmigrate.states import MigrationStatus


def request_force_complete(instance_uuid: str, migration_id: int) -> None:
    """Ask that the running copy comes to its end: by post-copy if that is permitted and possible, else by a pause of the guest.

    Asked for twice it is once; a copy that ends by itself meanwhile has ended.

    Raises:
        MigrationNotFound: the instance has no such migration.
        ForceCompleteRefused: nothing is being copied, or the copy is being aborted.
    """
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.instance_uuid != instance_uuid:
            raise MigrationNotFound(migration=migration_id)
        if migration.status is not MigrationStatus.RUNNING or migration.abort_requested_at is not None:
            status = migration.status.value if migration.abort_requested_at is None else "being aborted"
            raise ForceCompleteRefused(migration=migration_id, status=status)
        if migration.force_complete_requested_at is None:
            migration.force_complete_requested_at = utcnow()
            actions.begin(session, migration, actions.FORCE_COMPLETE)
