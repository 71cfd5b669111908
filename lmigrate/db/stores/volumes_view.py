"""Reading volumes with the access there is to them, in a fixed number of queries; no secret is ever read here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, defer

from lmigrate.db.models import BlockDeviceMapping, Instance, Volume, VolumeAttachment
from lmigrate.db.stores.paging import newest_first
from lmigrate.errors import VolumeNotFound


@dataclass(frozen=True)
class AttachmentRecord:
    """One host's access, with the guest that it is for."""

    attachment: VolumeAttachment
    server_name: str | None  # None: the guest has not been seen yet
    device_name: str | None
    is_used: bool  # the guest's disk is used through this one


@dataclass(frozen=True)
class VolumeRecord:
    """One volume."""

    volume: Volume
    attachments: tuple[AttachmentRecord, ...]


def page(
    session: Session, limit: int, marker: str | None = None, *, backend: str | None = None, name: str | None = None
) -> list[VolumeRecord]:
    """At most ``limit`` volumes, newest first, after ``marker`` (a uuid).

    Raises:
        VolumeNotFound: there is no volume ``marker``.
    """
    query = select(Volume)
    if backend is not None:
        query = query.where(Volume.backend == backend)
    if name is not None:
        query = query.where(Volume.name == name)
    last = None if marker is None else require(session, marker)
    after = None if last is None else (last.created_at, last.uuid)
    return with_attachments(session, list(session.scalars(newest_first(query, Volume.created_at, Volume.uuid, after, limit))))


def one(session: Session, uuid: str) -> VolumeRecord:
    """One volume.

    Raises:
        VolumeNotFound: there is none.
    """
    return with_attachments(session, [require(session, uuid)])[0]


def require(session: Session, uuid: str) -> Volume:
    """The bare volume.

    Raises:
        VolumeNotFound: there is none.
    """
    found = session.get(Volume, uuid.lower())
    if found is None:
        raise VolumeNotFound(volume=uuid)
    return found


def with_attachments(session: Session, rows: Sequence[Volume]) -> list[VolumeRecord]:
    """The volumes, each with all access to it."""
    found = _attachments(session, {row.uuid for row in rows}) if rows else {}
    return [VolumeRecord(row, tuple(found.get(row.uuid, ()))) for row in rows]


def of_server(session: Session, instance_uuid: str) -> dict[str, VolumeRecord]:
    """Device name → the volume that the guest has there, with all access to it."""
    query = select(BlockDeviceMapping.device_name, Volume).join(Volume, Volume.uuid == BlockDeviceMapping.volume_uuid)
    disks = session.execute(query.where(BlockDeviceMapping.instance_uuid == instance_uuid)).all()
    distinct = {volume.uuid: volume for _, volume in disks}
    records = {record.volume.uuid: record for record in with_attachments(session, list(distinct.values()))}
    return {str(device): records[volume.uuid] for device, volume in disks}


def _attachments(session: Session, volume_uuids: Collection[str]) -> dict[str, list[AttachmentRecord]]:
    disk, row = BlockDeviceMapping, VolumeAttachment
    query = select(row, Instance.name, disk.device_name, disk.attachment_uuid).options(defer(row.connection_info))
    query = query.outerjoin(Instance, Instance.uuid == row.instance_uuid)
    query = query.outerjoin(disk, and_(disk.instance_uuid == row.instance_uuid, disk.volume_uuid == row.volume_uuid))
    found: dict[str, list[AttachmentRecord]] = defaultdict(list)
    for one, server_name, device_name, used in session.execute(query.where(row.volume_uuid.in_(volume_uuids)).order_by(row.host, row.uuid)):
        found[one.volume_uuid].append(AttachmentRecord(one, server_name, device_name, is_used=used == one.uuid))
    return found
