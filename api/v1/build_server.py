"""From an instance's record to ``/v1``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.v1.schemas.servers import Disk, Server, ServerDetail, Sighting
from lmigrate.db.models import BlockDeviceMapping, DomainSighting
from lmigrate.db.stores.servers_view import ServerRecord


def server(record: ServerRecord) -> Server:
    """A guest in a list."""
    return Server(**_common(record))


def server_detail(record: ServerRecord, sightings: Sequence[DomainSighting]) -> ServerDetail:
    """A guest with its disks and where its domain was seen."""
    return ServerDetail(
        **_common(record),
        disks=[_disk(row) for row in record.disks],
        sightings=[_sighting(row) for row in sightings],
        launched_at=record.instance.launched_at,
        created_at=record.instance.created_at,
    )


def _common(record: ServerRecord) -> dict[str, Any]:
    migration = record.migration
    same = {name: getattr(record.instance, name) for name in Server.model_fields if name != "migration_id"}
    return same | {"migration_id": None if migration is None else migration.id}


def _disk(row: BlockDeviceMapping) -> Disk:
    same = {name: getattr(row, name) for name in Disk.model_fields if name not in {"device", "type"}}
    return Disk(device=row.device_name, type=row.device_type, **same)


def _sighting(row: DomainSighting) -> Sighting:
    same = {name: getattr(row, name) for name in Sighting.model_fields if name != "note"}
    return Sighting(note=row.description.get("note"), **same)
