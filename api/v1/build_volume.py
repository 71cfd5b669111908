"""From a volume's record to ``/v1``."""

from __future__ import annotations

from typing import Any

from api.v1.schemas.volumes import Attachment, Volume, VolumeDetail
from lmigrate.db.stores.volumes_view import AttachmentRecord, VolumeRecord
from lmigrate.states import VolumeState


def volume(record: VolumeRecord) -> Volume:
    """A volume in a list."""
    return Volume(**_same(record))


def volume_detail(record: VolumeRecord) -> VolumeDetail:
    """A volume with the access there is to it."""
    return VolumeDetail(**_same(record), attachments=[attachment(one) for one in record.attachments])


def attachment(record: AttachmentRecord) -> Attachment:
    """One host's access."""
    row = record.attachment
    copied = ("uuid", "volume_uuid", "host", "state", "migration_id", "created_at", "updated_at")
    return Attachment(
        **{name: getattr(row, name) for name in copied},
        server_uuid=row.instance_uuid,
        server_name=record.server_name,
        device=record.device_name,
        is_used=record.is_used,
    )


def _same(record: VolumeRecord) -> dict[str, Any]:
    row = record.volume
    copied = ("uuid", "name", "backend", "state", "error", "created_at")
    is_known = row.state is VolumeState.AVAILABLE
    return {name: getattr(row, name) for name in copied} | {
        "source_name": row.source_name if is_known or not row.location else None,
        "size_bytes": row.size_bytes if is_known else None,
        "hosts": sorted({one.attachment.host for one in record.attachments}),
    }
