"""A migration's post-copy: ordered before it is done, then under way, broken, under way again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from lmigrate.db.clock import utcnow
from lmigrate.db.stores import actions, migrations
from lmigrate.states import MigrationStatus, Phase

EVENT = "post_copy"


def order(session: Session, migration_id: int, reason: str) -> bool:
    """Write down that the guest is to be switched, before it is.  False: an abort was asked for, or it is too late.

    An abort is refused from here on: of the two, whichever is written first wins.
    """
    migration = migrations.lock(session, migration_id)
    if migration.abort_requested_at is not None or migration.phase is not Phase.FORWARD or migration.switched_over_at is not None:
        return False
    if migration.post_copy_at is None:
        migration.post_copy_at = utcnow()
        actions.record(session, migration, EVENT, f"switching to post-copy: {reason}")
    return True


def withdraw(session: Session, migration_id: int, reason: str) -> None:
    """The hypervisor refused, and the guest was seen to stay on the source."""
    migration = migrations.lock(session, migration_id)
    migration.post_copy_at = None
    actions.record(session, migration, EVENT, f"the hypervisor refused to switch to post-copy: {reason}", result="Error")


def begun(session: Session, migration_id: int) -> None:
    """The source was seen without its guest: it runs on the destination, its memory follows."""
    migration = migrations.lock(session, migration_id)
    if migration.phase is not Phase.FORWARD or migration.status is MigrationStatus.RUNNING_POST_COPY:
        return
    migration.status = MigrationStatus.RUNNING_POST_COPY
    migration.post_copy_at = migration.post_copy_at or utcnow()
    actions.record(session, migration, EVENT, f"the guest runs on {migration.dest_host}; its memory follows", result="Success")


def broke(session: Session, migration_id: int, reason: str) -> datetime:
    """It stands still, for this reason; since when."""
    migration = migrations.lock(session, migration_id)
    migration.error = reason
    if migration.post_copy_broken_at is None:
        migration.post_copy_broken_at = utcnow()
        actions.record(session, migration, EVENT, reason, result="Error")
    return migration.post_copy_broken_at


def flows(session: Session, migration_id: int) -> None:
    """It moves again."""
    migration = migrations.lock(session, migration_id)
    if migration.post_copy_broken_at is not None:
        migration.post_copy_broken_at = migration.error = None
        actions.record(session, migration, EVENT, "post-copy goes on", result="Success")
