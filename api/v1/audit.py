"""/v1/audit: who wanted to change what, and what became of it."""

from __future__ import annotations

from typing import Any

from api.contract import contract
from api.errors import MarkerNotFound
from api.v1.blueprint import v1
from api.v1.schemas.audit import AuditEvent, AuditEvents, AuditQuery, Outcome
from lmigrate.db import models
from lmigrate.db.session import reading
from lmigrate.db.stores import audit as store
from lmigrate.db.stores.audit import AuditFilter
from lmigrate.errors import AuditEventNotFound


@v1.get("/audit")
@contract(query=AuditQuery, answer=AuditEvents, errors=(404,))
def list_audit(query: AuditQuery) -> AuditEvents:
    """List the changes that were asked for, newest first."""
    rows = _page(query)
    next_marker = str(rows[-1].id) if len(rows) == query.limit else None
    return AuditEvents(events=[_event(row) for row in rows], next_marker=next_marker)


def _page(query: AuditQuery) -> list[models.AuditEvent]:
    wanted = AuditFilter(query.user, query.operation, query.request_id, query.refused, query.since)
    with reading() as session:
        try:
            return store.page(session, wanted, query.limit, None if query.marker is None else int(query.marker))
        except AuditEventNotFound as error:
            raise MarkerNotFound(marker=query.marker) from error


def _event(row: models.AuditEvent) -> AuditEvent:
    different = {"user", "outcome"}
    same: dict[str, Any] = {name: getattr(row, name) for name in AuditEvent.model_fields if name not in different}
    return AuditEvent(user=row.user_id, outcome=_outcome(row.status), **same)


def _outcome(status: int | None) -> Outcome:
    if status is None:
        return "unknown"
    if status < 400:
        return "done"
    return "refused" if status < 500 else "failed"
