"""Volumes on shared block storage, and which host may reach them for which instance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow
from lmigrate.states import AttachmentState, VolumeState


class Volume(Base):
    """One volume of one backend.  ``location`` is the driver's: a target and LUN, an export, a pool and image."""

    __tablename__ = "volumes"
    __table_args__ = (
        UniqueConstraint("backend", "source_name"),
        Index(None, "created_at", "uuid"),
        Index(None, "backend", "created_at", "uuid"),
    )

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), index=True)
    backend: Mapped[str] = mapped_column(String(63))  # a name in the settings
    source_name: Mapped[str] = mapped_column(String(255))  # <source name='…'> of a domain's disk, by which the volume is known
    location: Mapped[dict[str, Any]]
    size_bytes: Mapped[int]
    is_shareable: Mapped[bool] = mapped_column(default=False)
    state: Mapped[VolumeState] = mapped_column(default=VolumeState.AVAILABLE)
    error: Mapped[str | None] = mapped_column(Text)  # why the storage refused it
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class VolumeAttachment(Base):
    """One host's access to one volume for one instance (Cinder: attachment).

    The row is committed before access is granted and deleted after it was revoked, so
    that the rows always name at least all the access that there is.
    """

    __tablename__ = "volume_attachments"
    __table_args__ = (UniqueConstraint("volume_uuid", "host", "instance_uuid"),)

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    volume_uuid: Mapped[str] = mapped_column(String(36), ForeignKey("volumes.uuid"), index=True)
    instance_uuid: Mapped[str] = mapped_column(String(36), index=True)  # may be granted before its guest is seen
    host: Mapped[str] = mapped_column(String(63), index=True)
    migration_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("migrations.id", ondelete="SET NULL"), index=True)  # that made it
    state: Mapped[AttachmentState]
    connector: Mapped[dict[str, Any]]  # the host's side: initiator, address
    connection_info: Mapped[str | None] = mapped_column(Text)  # encrypted JSON: the storage's side, its secrets included
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
