"""What was done to an instance, in the words of Nova's instance actions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow


class InstanceAction(Base):
    """One request that changed an instance: live-migration, live_migration_cancel."""

    __tablename__ = "instance_actions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    request_id: Mapped[str] = mapped_column(String(40), index=True)
    instance_uuid: Mapped[str] = mapped_column(String(36), ForeignKey("instances.uuid", ondelete="CASCADE"), index=True)
    migration_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("migrations.id", ondelete="CASCADE"), index=True)
    action: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(255))
    project_id: Mapped[str | None] = mapped_column(String(255))
    message: Mapped[str | None] = mapped_column(Text)  # "Error" when it failed, as Nova has it
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)


class InstanceActionEvent(Base):
    """One part of an action, or one decision about it, as a sentence."""

    __tablename__ = "instance_action_events"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    action_id: Mapped[int] = mapped_column(RowId, ForeignKey("instance_actions.id", ondelete="CASCADE"), index=True)
    event: Mapped[str] = mapped_column(String(64))  # compute_check_can_live_migrate_destination, …
    host: Mapped[str | None] = mapped_column(String(63))
    result: Mapped[str | None] = mapped_column(String(16))  # Success | Error | None while it runs
    details: Mapped[str | None] = mapped_column(Text)  # the sentence: what was done, or why it failed
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None]
