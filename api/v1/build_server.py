"""From an instance's record to ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.v1.schemas.servers import Disk, DiskAccess, DiskVolume, Server, ServerDetail, Sighting
from lmigrate.db.models import BlockDeviceMapping, DomainSighting
from lmigrate.db.stores import wishes
from lmigrate.db.stores.servers_view import ServerRecord
from lmigrate.db.stores.volumes_view import VolumeRecord


def server(record: ServerRecord) -> Server:
    """A guest in a list."""
    return Server(**_common(record))


def server_detail(record: ServerRecord, sightings: Sequence[DomainSighting], volumes: Mapping[str, VolumeRecord]) -> ServerDetail:
    """A guest with its disks and where its domain was seen."""
    return ServerDetail(
        **_common(record),
        disks=[_disk(row, volumes.get(row.device_name)) for row in record.disks],
        sightings=[_sighting(row) for row in sightings],
        launched_at=record.instance.launched_at,
        created_at=record.instance.created_at,
    )


def _common(record: ServerRecord) -> dict[str, Any]:
    row = record.migration
    same = {name: getattr(record.instance, name) for name in Server.model_fields if name not in {"migration_id", "pending_request"}}
    return same | {"migration_id": row and row.id, "pending_request": row and wishes.pending(row)}


def _disk(row: BlockDeviceMapping, record: VolumeRecord | None) -> Disk:
    same = {name: getattr(row, name) for name in Disk.model_fields if name not in {"device", "type", "volume"}}
    volume = None if record is None else _volume(record, row.instance_uuid)
    return Disk(device=row.device_name, type=row.device_type, volume=volume, **same)


def _volume(record: VolumeRecord, instance_uuid: str) -> DiskVolume:
    same = {name: getattr(record.volume, name) for name in DiskVolume.model_fields if name != "attachments"}
    own = [one for one in record.attachments if one.attachment.instance_uuid == instance_uuid]
    access = [DiskAccess(uuid=a.uuid, host=a.host, state=a.state, is_used=one.is_used) for one in own for a in (one.attachment,)]
    return DiskVolume(**same, attachments=access)


def _sighting(row: DomainSighting) -> Sighting:
    same = {name: getattr(row, name) for name in Sighting.model_fields if name != "note"}
    return Sighting(note=row.description.get("note"), **same)
