"""What people ask of a migration under way: written into its row, honoured by whoever watches the copy."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import Migration


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
