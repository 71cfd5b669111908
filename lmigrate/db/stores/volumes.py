"""Volumes and attachments: who may reach what, and through which attachment a disk is used."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lmigrate import ids
from lmigrate.db.clock import utcnow
from lmigrate.db.models import BlockDeviceMapping, Host, Instance, Volume, VolumeAttachment
from lmigrate.errors import AccessBeingRevoked
from lmigrate.states import AttachmentState, VolumeState


@dataclass(frozen=True)
class AttachedDisk:
    """A disk of an instance that is a volume, and one host's attachment of it if there is one."""

    device_name: str
    volume: Volume
    attachment: VolumeAttachment | None


def of_instance(session: Session, instance_uuid: str, host: str, backend: str | None = None) -> list[AttachedDisk]:
    """The instance's volumes in the order of their devices, with ``host``'s attachments."""
    query = select(BlockDeviceMapping.device_name, Volume).join(Volume, Volume.uuid == BlockDeviceMapping.volume_uuid)
    query = query.where(BlockDeviceMapping.instance_uuid == instance_uuid).order_by(BlockDeviceMapping.device_name)
    if backend is not None:
        query = query.where(Volume.backend == backend)
    present = {row.volume_uuid: row for row in attachments(session, instance_uuid, host)}
    return [AttachedDisk(device, volume, present.get(volume.uuid)) for device, volume in session.execute(query)]


def backends_of(session: Session, instance_uuid: str) -> list[str]:
    """Backends of the instance's volumes, by name."""
    query = select(Volume.backend).join(BlockDeviceMapping, BlockDeviceMapping.volume_uuid == Volume.uuid)
    return sorted(set(session.scalars(query.where(BlockDeviceMapping.instance_uuid == instance_uuid))))


def attachments(session: Session, instance_uuid: str, host: str) -> list[VolumeAttachment]:
    """One host's attachments for an instance."""
    query = select(VolumeAttachment).where(VolumeAttachment.instance_uuid == instance_uuid, VolumeAttachment.host == host)
    return list(session.scalars(query.order_by(VolumeAttachment.volume_uuid)))


def all_attachments(session: Session, instance_uuid: str) -> list[VolumeAttachment]:
    """Every host's attachments for an instance."""
    query = select(VolumeAttachment).where(VolumeAttachment.instance_uuid == instance_uuid)
    return list(session.scalars(query.order_by(VolumeAttachment.uuid)))


def used_on(session: Session, host: str) -> list[tuple[str, VolumeAttachment]]:
    """Device name and attachment of each disk that a guest of ``host`` uses through an attachment of that host, as granted."""
    query = select(BlockDeviceMapping.device_name, VolumeAttachment).where(VolumeAttachment.host == host)
    query = query.join(VolumeAttachment, VolumeAttachment.uuid == BlockDeviceMapping.attachment_uuid)
    query = query.where(VolumeAttachment.state == AttachmentState.GRANTED, VolumeAttachment.connection_info.is_not(None))
    return [(device, row) for device, row in session.execute(query.order_by(VolumeAttachment.uuid))]


def made_by(session: Session, migration_id: int, backend: str) -> list[tuple[Volume, VolumeAttachment]]:
    """The attachments that a migration made on a backend, each with its volume."""
    query = select(Volume, VolumeAttachment).join(VolumeAttachment, VolumeAttachment.volume_uuid == Volume.uuid)
    rows = session.execute(query.where(VolumeAttachment.migration_id == migration_id, Volume.backend == backend))
    return [(volume, row) for volume, row in rows]


def begin_grant(
    session: Session, volume_uuid: str, instance_uuid: str, host: str, connector: dict[str, Any], migration_id: int | None
) -> VolumeAttachment:
    """The row for access that is about to be granted; the one that is there, if it is.

    Raises:
        AccessBeingRevoked: the storage may be about to take away what it would be asked for.
    """
    query = select(VolumeAttachment).where(VolumeAttachment.volume_uuid == volume_uuid, VolumeAttachment.host == host)
    query = query.where(VolumeAttachment.instance_uuid == instance_uuid)
    row = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is not None and row.state is AttachmentState.REVOKING:
        raise AccessBeingRevoked(volume=volume_uuid, instance=instance_uuid, host=host)
    if row is None:
        row = VolumeAttachment(uuid=ids.new_uuid(), volume_uuid=volume_uuid, instance_uuid=instance_uuid, host=host)
        session.add(row)
    row.migration_id, row.connector, row.state = migration_id, connector, AttachmentState.GRANTING
    row.updated_at = utcnow()  # also of one that changes in nothing else: a sweep sees by this that it was touched
    session.flush()
    return row


def finish_grant(session: Session, attachment_uuid: str, connection_info: str) -> None:
    """GRANTING → GRANTED, with the (encrypted) connection info."""
    statement = update(VolumeAttachment).where(VolumeAttachment.uuid == attachment_uuid)
    session.execute(statement.values(state=AttachmentState.GRANTED, connection_info=connection_info))


def begin_revoke(session: Session, rows: Collection[VolumeAttachment]) -> None:
    """The storage may or may not have taken these back from here on."""
    uuids = [row.uuid for row in rows]
    session.execute(update(VolumeAttachment).where(VolumeAttachment.uuid.in_(uuids)).values(state=AttachmentState.REVOKING))


def is_needed_by_others(session: Session, attachment: VolumeAttachment) -> bool:
    """Whether the same host uses the same (shareable) volume for another guest too."""
    query = select(VolumeAttachment.uuid).where(
        VolumeAttachment.volume_uuid == attachment.volume_uuid,
        VolumeAttachment.host == attachment.host,
        VolumeAttachment.uuid != attachment.uuid,
        VolumeAttachment.state != AttachmentState.REVOKING,
    )
    return session.scalar(query.limit(1)) is not None


def finish_revoke(session: Session, attachment_uuid: str) -> None:
    """The access is gone, and so is its row."""
    row = session.get(VolumeAttachment, attachment_uuid)
    if row is not None:
        session.delete(row)


def point_disks_to(session: Session, instance_uuid: str, host: str) -> None:
    """Each of the instance's volume disks is used through ``host``'s attachment: part of the switchover's transaction."""
    for row in attachments(session, instance_uuid, host):
        disks = update(BlockDeviceMapping).where(BlockDeviceMapping.instance_uuid == instance_uuid)
        session.execute(disks.where(BlockDeviceMapping.volume_uuid == row.volume_uuid).values(attachment_uuid=row.uuid))
        row.migration_id = None  # it is the guest's now, and no migration's to take back


def link_disks(session: Session, instance_uuid: str) -> None:
    """Tell the instance's disks which volumes they are, and note the access by which its host already uses them."""
    session.flush()
    instance = session.get_one(Instance, instance_uuid)
    rows = list(session.scalars(select(BlockDeviceMapping).where(BlockDeviceMapping.instance_uuid == instance_uuid)))
    known = by_source_names(session, [name for row in rows if (name := row.source_name or row.path)])
    for row in rows:
        volume = known.get(row.source_name or row.path or "")
        row.volume_uuid = None if volume is None else volume.uuid
        row.attachment_uuid = None if volume is None or instance.host is None else _found(session, instance, volume.uuid)


def _found(session: Session, instance: Instance, volume_uuid: str) -> str:
    """The attachment through which the guest's host uses a volume: one that lmigrate did not make is written down."""
    present = {row.volume_uuid: row for row in attachments(session, instance.uuid, instance.host or "")}
    if volume_uuid not in present:
        connector = session.scalar(select(Host.connector).where(Host.name == instance.host)) or {}
        row = begin_grant(session, volume_uuid, instance.uuid, instance.host or "", connector, None)
        row.state = AttachmentState.GRANTED
        return row.uuid
    return present[volume_uuid].uuid


def by_source_names(session: Session, source_names: Sequence[str]) -> dict[str, Volume]:
    """Volumes by the name under which a domain has them: of a network disk <source name>, of a file its path."""
    query = select(Volume).where(Volume.source_name.in_(source_names), Volume.state == VolumeState.AVAILABLE)
    return {row.source_name: row for row in session.scalars(query)}
