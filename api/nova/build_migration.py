"""From a record of ours to Nova's migrations."""

from __future__ import annotations

from typing import Any

from api.nova.build_server import links
from api.nova.schemas.migration import Migration, ServerMigration
from api.nova.times import microseconds
from lmigrate.db.stores.migrations_view import AddressedMigration
from lmigrate.states import IN_PROGRESS


def server_migration(record: AddressedMigration) -> ServerMigration:
    """A migration in progress."""
    row = record.migration
    return ServerMigration(
        server_uuid=row.instance_uuid,
        memory_total_bytes=row.memory_total_bytes or None,
        memory_processed_bytes=row.memory_processed_bytes or None,
        memory_remaining_bytes=row.memory_remaining_bytes or None,
        disk_total_bytes=row.disk_total_bytes or None,
        disk_processed_bytes=row.disk_processed_bytes or None,
        disk_remaining_bytes=row.disk_remaining_bytes or None,
        **_common(record),
    )


def migration(record: AddressedMigration) -> Migration:
    """Any migration."""
    row = record.migration
    found = links(f"servers/{row.instance_uuid}/migrations/{row.id}") if row.status in IN_PROGRESS else None
    return Migration(instance_uuid=row.instance_uuid, links=found, **_common(record))


def _common(record: AddressedMigration) -> dict[str, Any]:
    row = record.migration
    return {
        "id": row.id,
        "uuid": row.uuid,
        "status": row.status,
        "source_compute": row.source_host,
        "source_node": row.source_host,
        "dest_compute": row.dest_host,
        "dest_node": row.dest_host,
        "dest_host": record.dest_address,
        "created_at": microseconds(row.created_at),
        "updated_at": microseconds(row.updated_at),
        "user_id": row.user_id,
        "project_id": row.project_id,
    }
