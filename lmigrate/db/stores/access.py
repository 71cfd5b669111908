"""Who may reach a backend's volumes according to the records: what the storage's own books are compared with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from lmigrate.db.models import DomainSighting, Host, Instance, Migration, Volume, VolumeAttachment
from lmigrate.db.rows import changed
from lmigrate.states import AttachmentState, Phase, VolumeState

UNFINISHED = (AttachmentState.GRANTING, AttachmentState.REVOKING)


def volumes_of(session: Session, backend: str) -> list[Volume]:
    """The backend's registered volumes."""
    query = select(Volume).where(Volume.backend == backend, Volume.state == VolumeState.AVAILABLE)
    return list(session.scalars(query.order_by(Volume.uuid)))


def rows_of(session: Session, backend: str) -> list[tuple[Volume, VolumeAttachment]]:
    """Every attachment on the backend, with its volume."""
    query = select(Volume, VolumeAttachment).join(VolumeAttachment, VolumeAttachment.volume_uuid == Volume.uuid)
    return [(volume, row) for volume, row in session.execute(query.where(Volume.backend == backend).order_by(VolumeAttachment.uuid))]


def users_of(session: Session, backend: str) -> dict[str, set[tuple[str, str]]]:
    """Volume → (instance, host) of its attachments."""
    found: dict[str, set[tuple[str, str]]] = {}
    for volume, row in rows_of(session, backend):
        found.setdefault(volume.uuid, set()).add((row.instance_uuid, row.host))
    return found


def moving(session: Session, instances: Collection[str]) -> set[str]:
    """Those of the instances that have an open migration."""
    query = select(Migration.instance_uuid).where(Migration.phase != Phase.ENDED, Migration.instance_uuid.in_(instances))
    return set(session.scalars(query))


def host_names(session: Session) -> set[str]:
    """Every host that ever registered."""
    return set(session.scalars(select(Host.name)))


def all_attachment_uuids(session: Session) -> set[str]:
    """Attachments of all backends: two may share one storage."""
    return set(session.scalars(select(VolumeAttachment.uuid)))


def initiators(session: Session) -> dict[str, str]:
    """Initiator → host, of every host that ever registered."""
    connectors = session.execute(select(Host.name, Host.connector))
    return {connector["initiator"]: name for name, connector in connectors if connector.get("initiator")}


def source_names_on(session: Session, hosts: Collection[str]) -> dict[str, set[str]]:
    """Host → what the domains that its libvirt last had call their disks, running or not, recorded here or not."""
    found: dict[str, set[str]] = {host: set() for host in hosts}
    query = select(DomainSighting.host, DomainSighting.description).where(DomainSighting.host.in_(hosts))
    for host, description in session.execute(query):
        found[host] |= {name for disk in description.get("disks", []) for name in (disk.get("source_name"), disk.get("path")) if name}
    return found


def leftovers(session: Session, backend: str, before: datetime) -> list[tuple[Volume, VolumeAttachment]]:
    """Attachments that nobody needs and nobody is going to finish.

    Half granted or half revoked, or granted for a migration that has ended, untouched since ``before``; never
    while the guest has a migration that is open, never on the host that has the guest or a live domain of it.
    """
    is_made_for_nothing = and_(VolumeAttachment.state == AttachmentState.GRANTED, VolumeAttachment.migration_id.is_not(None))
    query = select(Volume, VolumeAttachment).join(VolumeAttachment, VolumeAttachment.volume_uuid == Volume.uuid)
    query = query.where(Volume.backend == backend, VolumeAttachment.updated_at < before)
    query = query.where(or_(VolumeAttachment.state.in_(UNFINISHED), is_made_for_nothing))
    rows = session.execute(query.where(_is_unneeded()).order_by(VolumeAttachment.uuid))
    return [(volume, row) for volume, row in rows if not _has_domain(session, row)]


def claim_leftover(session: Session, row: VolumeAttachment) -> bool:
    """A leftover as it was read → REVOKING, just before its access is taken back.  False: it was touched since, or is needed now."""
    if _has_domain(session, row):
        return False
    seen = VolumeAttachment
    as_read = and_(seen.uuid == row.uuid, seen.state == row.state, seen.updated_at == row.updated_at)
    return changed(session, update(seen).where(as_read, _is_unneeded()).values(state=AttachmentState.REVOKING)) == 1


def _is_unneeded() -> ColumnElement[bool]:
    """The guest has no open migration, and is at home on another host."""
    row = VolumeAttachment
    moving = select(Migration.id).where(Migration.instance_uuid == row.instance_uuid, Migration.phase != Phase.ENDED)
    at_home = select(Instance.uuid).where(Instance.uuid == row.instance_uuid, Instance.host == row.host)
    return and_(~moving.exists(), ~at_home.exists())


def _has_domain(session: Session, row: VolumeAttachment) -> bool:
    seen: Any = session.get(DomainSighting, (row.host, row.instance_uuid))
    return seen is not None and seen.power_state.is_active


def tokens(session: Session) -> dict[str, str]:
    """Attachment → its encrypted connection info."""
    query = select(VolumeAttachment.uuid, VolumeAttachment.connection_info).where(VolumeAttachment.connection_info.is_not(None))
    return {uuid: token for uuid, token in session.execute(query) if token is not None}


def replace_token(session: Session, uuid: str, old: str, new: str) -> bool:
    """Another form of the same connection info; False: it has been granted anew meanwhile, or is gone."""
    row = VolumeAttachment
    statement = update(row).where(row.uuid == uuid, row.connection_info == old)
    return changed(session, statement.values(connection_info=new, updated_at=row.updated_at)) == 1
