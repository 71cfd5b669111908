"""What is recorded of a guest's domain and disks."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import BlockDeviceMapping, DomainSighting


def cpu_xml(session: Session, instance_uuid: str, host: str) -> str | None:
    """The <cpu> of the guest's domain as its host last reported it."""
    return session.scalar(
        select(DomainSighting.cpu_xml).where(DomainSighting.host == host, DomainSighting.instance_uuid == instance_uuid),
    )


def local_disk_paths(session: Session, instance_uuid: str) -> list[str]:
    """Paths of the disks that are files of a host."""
    query = select(BlockDeviceMapping.path).where(BlockDeviceMapping.instance_uuid == instance_uuid)
    return [path for path in session.scalars(query.where(BlockDeviceMapping.source_type == "file")) if path]
