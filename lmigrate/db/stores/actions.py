"""Instance actions and their events: what happened, as sentences a person can read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.clock import utcnow
from lmigrate.db.models import InstanceAction, InstanceActionEvent, Migration

# what Nova calls them
LIVE_MIGRATION = "live-migration"
CANCEL = "live_migration_cancel"
FORCE_COMPLETE = "live_migration_force_complete"

#: what Nova's clients look for when a step of ours starts or ends
NOVA_EVENTS = {
    "select_destination": "conductor_live_migrate_instance",
    "check_destination": "compute_check_can_live_migrate_destination",
    "check_source": "compute_check_can_live_migrate_source",
    "grant_volumes": "storage_grant_volumes",
    "revoke_volumes": "storage_revoke_volumes",
    "pre_live_migration": "compute_pre_live_migration",
    "migrate": "compute_live_migration",
    "post_at_destination": "compute_post_live_migration_at_destination",
    "post_at_source": "compute_post_live_migration_at_source",
    "complete": "conductor_live_migration_complete",
}


def begin(session: Session, migration: Migration, action: str) -> InstanceAction:
    """Open an action for ``migration``."""
    row = InstanceAction(
        request_id=migration.request_id,
        instance_uuid=migration.instance_uuid,
        migration_id=migration.id,
        action=action,
        user_id=migration.user_id,
        project_id=migration.project_id,
    )
    session.add(row)
    session.flush()
    return row


def record(
    session: Session,
    migration: Migration,
    event: str,
    details: str,
    *,
    result: str | None = None,
    host: str | None = None,
    started_at: datetime | None = None,
) -> None:
    """Add one sentence to the migration's action."""
    action = session.scalar(
        select(InstanceAction).where(InstanceAction.migration_id == migration.id).order_by(InstanceAction.id).limit(1),
    )
    if action is None:  # a row made before actions were recorded
        action = begin(session, migration, LIVE_MIGRATION)
    now = utcnow()
    session.add(
        InstanceActionEvent(
            action_id=action.id, event=event, host=host, result=result, details=details, started_at=started_at or now, finished_at=now
        ),
    )


def close(session: Session, migration: Migration, *, failed: bool) -> None:
    """Close the migration's actions; a cancel that the switchover has forestalled came to nothing."""
    query = select(InstanceAction).where(InstanceAction.migration_id == migration.id, InstanceAction.finished_at.is_(None))
    for action in session.scalars(query):
        action.finished_at = utcnow()
        action.message = "Error" if failed is not (action.action == CANCEL) else None
