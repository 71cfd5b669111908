"""A volume on its way into the records: written down, asked for at the storage, linked to the disks that are it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from lmigrate import ids
from lmigrate.db.models import BlockDeviceMapping, Volume
from lmigrate.db.stores import volumes
from lmigrate.states import VolumeState


def begin(session: Session, backend: str, name: str, location: dict[str, Any], source_name: str | None) -> Volume:
    """The row, before the storage was asked; in place of one that the storage refused."""
    if source_name is not None:
        refused = session.scalar(select(Volume).where(Volume.source_name == source_name, Volume.state == VolumeState.ERROR))
        if refused is not None:
            session.delete(refused)
            session.flush()
    uuid = ids.new_uuid()
    # a location alone does not tell the name: until the storage has told it, the UUID keeps the place
    row = Volume(uuid=uuid, name=name, backend=backend, source_name=source_name or uuid, location=location, size_bytes=0)
    row.state = VolumeState.REGISTERING
    session.add(row)
    session.flush()
    return row


def namesake(session: Session, source_name: str, besides: str | None = None) -> Volume | None:
    """Another volume, of whatever backend, that a domain calls the same."""
    query = select(Volume).where(Volume.source_name == source_name, Volume.state != VolumeState.ERROR)
    return session.scalars(query.where(Volume.uuid != besides) if besides else query).first()


def waiting(session: Session, backend: str, before: datetime) -> list[str]:
    """Volumes that were to be registered before then, and of which the storage has said nothing."""
    query = select(Volume.uuid).where(Volume.backend == backend, Volume.state == VolumeState.REGISTERING, Volume.created_at < before)
    return list(session.scalars(query))


def finish(session: Session, uuid: str, location: dict[str, Any], source_name: str, size_bytes: int) -> None:
    """The storage has it: from here it counts, and disks that are it say so."""
    row = session.get(Volume, uuid, with_for_update=True)
    if row is None or row.state is not VolumeState.REGISTERING:
        return  # whoever asked has taken it back, or another was faster
    row.location, row.source_name, row.size_bytes = location, source_name, size_bytes
    row.state, row.error = VolumeState.AVAILABLE, None
    session.flush()
    disk = BlockDeviceMapping
    query = select(disk.instance_uuid).where(or_(disk.source_name == source_name, disk.path == source_name))
    for instance_uuid in sorted(set(session.scalars(query))):
        volumes.link_disks(session, instance_uuid)


def fail(session: Session, uuid: str, reason: str) -> None:
    """The storage was asked, and does not have it."""
    row = session.get(Volume, uuid)
    if row is not None and row.state is VolumeState.REGISTERING:
        row.state, row.error = VolumeState.ERROR, reason


def forget(session: Session, uuid: str) -> None:
    """Take back a registration that came to nothing; a volume that is available stays."""
    row = session.get(Volume, uuid)
    if row is not None and row.state is not VolumeState.AVAILABLE:
        session.delete(row)
