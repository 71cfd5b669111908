"""What was left over, and what became of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow
from lmigrate.states import LeakKind


class Leak(Base):
    """One thing of ours that nobody needs, or that nobody can prove to be needed."""

    __tablename__ = "leaks"
    __table_args__ = (UniqueConstraint("place", "kind", "subject"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    place: Mapped[str] = mapped_column(String(63))  # a host, a storage backend, or "records"
    kind: Mapped[LeakKind]
    subject: Mapped[str] = mapped_column(String(1024))  # a domain's or secret's UUID, a path, an attachment …
    reason: Mapped[str] = mapped_column(Text)  # why it is one, and why it was removed or not
    migration_id: Mapped[int | None]  # that made it
    instance_uuid: Mapped[str | None] = mapped_column(String(36))
    first_seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    removed_at: Mapped[datetime | None]  # None: it is still there
    done: Mapped[str | None] = mapped_column(Text)  # what lmigrate did, or why that failed
