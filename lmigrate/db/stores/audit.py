"""The audit: written once, finished once, never changed afterwards, forgotten by age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from lmigrate.db.models import AuditEvent
from lmigrate.db.rows import changed
from lmigrate.db.stores.paging import newest_first
from lmigrate.errors import AuditEventNotFound

#: rows of one DELETE, so that no transaction of the housekeeping is long
_BATCH = 5000


@dataclass(frozen=True)
class AuditFilter:
    """Which events; None: whatever it is."""

    user_id: str | None = None
    operation: str | None = None
    request_id: str | None = None
    is_refused: bool | None = None
    since: datetime | None = None


def finish(session: Session, event_id: int, status: int, error_code: str | None) -> bool:
    """Say how a request ended; False when that has been said."""
    mine = update(AuditEvent).where(AuditEvent.id == event_id, AuditEvent.status.is_(None))
    return changed(session, mine.values(status=status, error_code=error_code)) == 1


def page(session: Session, wanted: AuditFilter, limit: int, marker: int | None = None) -> list[AuditEvent]:
    """At most ``limit`` events, newest first, after ``marker`` (an id).

    Raises:
        AuditEventNotFound: there is no event ``marker``.
    """
    query = select(AuditEvent)
    for column, value in ((AuditEvent.user_id, wanted.user_id), (AuditEvent.operation, wanted.operation)):
        query = query if value is None else query.where(column == value)
    if wanted.request_id is not None:
        query = query.where(AuditEvent.request_id == wanted.request_id)
    if wanted.is_refused is not None:
        query = query.where(AuditEvent.status >= 400 if wanted.is_refused else or_(AuditEvent.status < 400, AuditEvent.status.is_(None)))
    if wanted.since is not None:
        query = query.where(AuditEvent.at >= wanted.since)
    last = None if marker is None else session.get(AuditEvent, marker)
    if marker is not None and last is None:
        raise AuditEventNotFound(event=marker)
    after = None if last is None else (last.at, last.id)
    return list(session.scalars(newest_first(query, AuditEvent.at, AuditEvent.id, after, limit)))


def forget(session: Session, before: datetime) -> int:
    """Delete events older than ``before``, some thousand at a time; how many."""
    old = select(AuditEvent.id).where(AuditEvent.at < before).order_by(AuditEvent.at).limit(_BATCH)
    return changed(session, delete(AuditEvent).where(AuditEvent.id.in_(old)))
