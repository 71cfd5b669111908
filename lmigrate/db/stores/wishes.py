"""What people ask of a migration under way: written into its row, honoured by whoever watches the copy."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import Migration
from lmigrate.states import PendingRequest, Phase

#: what :func:`pending` reads
READ_BY_PENDING = (
    *(Migration.phase, Migration.switched_over_at, Migration.post_copy_at),
    *(Migration.abort_requested_at, Migration.force_complete_requested_at),
)


@dataclass(frozen=True)
class Wishes:
    """What was asked for, and whether the switch to post-copy was ordered."""

    is_abort_requested: bool
    is_completion_requested: bool
    is_post_copy_ordered: bool


def of(session: Session, migration_id: int) -> Wishes:
    """As the row has it now."""
    columns = select(Migration.abort_requested_at, Migration.force_complete_requested_at, Migration.post_copy_at)
    abort, completion, post_copy = session.execute(columns.where(Migration.id == migration_id)).one()
    return Wishes(abort is not None, completion is not None, post_copy is not None)


def pending(migration: Migration) -> PendingRequest | None:
    """What was asked for and has not come about; after the switchover neither can."""
    if migration.phase is Phase.ENDED or migration.switched_over_at is not None:
        return None
    if migration.abort_requested_at is not None:
        return PendingRequest.ABORT
    is_asked = migration.force_complete_requested_at is not None and migration.post_copy_at is None
    return PendingRequest.FORCE_COMPLETE if is_asked and migration.phase is Phase.FORWARD else None
