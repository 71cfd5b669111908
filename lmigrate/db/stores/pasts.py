"""What became of the migration whose mark something carries, as far as it decides whether that thing is needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from lmigrate.db.models import Instance, Migration, Volume, VolumeAttachment
from lmigrate.states import MigrationStatus, Phase


@dataclass(frozen=True)
class Past:
    """An ended (or not) migration and its guest now."""

    migration_id: int
    instance_uuid: str
    status: MigrationStatus
    ended_at: datetime | None  # None: it has not ended
    guest_host: str | None  # where the guest is, by its record
    is_guest_moving: bool  # it has a migration that is open
    fenced_host: str | None  # this one was not asked at the end: it was off, an operator said


def of_mark(session: Session, migration_uuid: str) -> Past | None:
    """The migration of that UUID, or None: these records know of none."""
    row = session.scalar(select(Migration).where(Migration.uuid == migration_uuid).execution_options(populate_existing=True))
    return None if row is None else _past(session, row)


def of_departure(session: Session, instance_uuid: str, host: str) -> Past | None:
    """The last migration by which a guest left ``host``, if there is one and the guest has not come back."""
    query = select(Migration).where(Migration.instance_uuid == instance_uuid, Migration.switched_over_at.is_not(None))
    row = session.scalar(
        query.where(or_(Migration.source_host == host, Migration.dest_host == host)).order_by(Migration.id.desc()).limit(1)
    )
    return None if row is None or row.dest_host == host else _past(session, row)


def has_attachment(session: Session, attachment_uuid: str, host: str) -> bool:
    """Whether ``host`` has, or is getting or losing, that access."""
    query = select(VolumeAttachment.uuid).where(VolumeAttachment.uuid == attachment_uuid, VolumeAttachment.host == host)
    return session.scalar(query) is not None


def are_volumes_of(session: Session, target: str) -> bool:
    """Whether registered volumes lie on that iSCSI target."""
    return session.scalar(select(Volume.uuid).where(_is_on(target)).limit(1)) is not None


def has_attachment_on(session: Session, target: str, host: str) -> bool:
    """Whether ``host`` has, or is getting or losing, access to a volume on that iSCSI target."""
    query = select(VolumeAttachment.uuid).join(Volume, Volume.uuid == VolumeAttachment.volume_uuid)
    return session.scalar(query.where(_is_on(target), VolumeAttachment.host == host).limit(1)) is not None


def _is_on(target: str) -> ColumnElement[bool]:
    return Volume.source_name.startswith(f"{target}/", autoescape=True)


def is_moving(session: Session, instance_uuid: str) -> bool:
    """Whether the guest has a migration that is open."""
    query = select(Migration.id).where(Migration.instance_uuid == instance_uuid, Migration.phase != Phase.ENDED)
    return session.scalar(query.limit(1)) is not None


def _past(session: Session, row: Migration) -> Past:
    guest = session.get(Instance, row.instance_uuid, populate_existing=True)
    return Past(
        migration_id=row.id,
        instance_uuid=row.instance_uuid,
        status=row.status,
        ended_at=row.ended_at if row.phase is Phase.ENDED else None,
        guest_host=None if guest is None else guest.host,
        is_guest_moving=is_moving(session, row.instance_uuid),
        fenced_host=row.fenced_host,
    )
