"""Who may use the API, and what was done through it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow
from lmigrate.states import Role


def _partial(name: str, condition: str) -> Index:
    return Index(name, "at", "id", sqlite_where=text(condition), postgresql_where=text(condition))


class ApiToken(Base):
    """A credential; what is kept of it proves nothing to anybody.  A session is one that another one opened."""

    __tablename__ = "api_tokens"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), index=True)  # whose it is; several may have one name while they replace each other
    role: Mapped[Role]
    digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of the token, in hexadecimal
    parent_uuid: Mapped[str | None] = mapped_column(String(36), ForeignKey("api_tokens.uuid", ondelete="CASCADE"), index=True)
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # at most a minute behind
    last_used_from: Mapped[str | None] = mapped_column(String(45))


class AuditEvent(Base):
    """One request that wanted to change something.  ``status`` is empty while it runs, and stays so if the API died in it."""

    __tablename__ = "audit_events"
    __table_args__ = (  # one for each thing that the audit is searched by, newest first
        Index("ix_audit_events_at_id", "at", "id"),
        Index(None, "user_id", "at", "id"),
        Index(None, "operation", "at", "id"),
        _partial("ix_audit_events_refused", "status >= 400"),
        _partial("ix_audit_events_done", "status < 400 OR status IS NULL"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    request_id: Mapped[str] = mapped_column(String(40), index=True)
    user_id: Mapped[str | None] = mapped_column(String(255))  # None: nobody knows who it was
    token_uuid: Mapped[str | None] = mapped_column(String(36))
    role: Mapped[Role | None]
    address: Mapped[str] = mapped_column(String(45))
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    operation: Mapped[str | None] = mapped_column(String(64))  # None: there is none at that path
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the named fields of the body; never a secret
    status: Mapped[int | None] = mapped_column(Integer)  # of the answer
    error_code: Mapped[str | None] = mapped_column(String(64))
