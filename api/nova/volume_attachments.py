"""/servers/{id}/os-volume_attachments: the volumes of a server; attaching and detaching are not offered."""

from __future__ import annotations

import uuid

from api.errors import NotFound
from api.nova.blueprint import route
from api.nova.schemas import queries
from api.nova.schemas.volume_attachment import VolumeAttachment, VolumeAttachmentAnswer, VolumeAttachmentsAnswer
from lmigrate.db.models import BlockDeviceMapping
from lmigrate.db.session import reading
from lmigrate.db.stores import disks, servers_view

#: a disk has no UUID in the records: it follows from the server's and the device's name
_DISKS = uuid.UUID("0d3c7b0e-2d5c-4b52-9d0b-6a1f8f2a4c77")


@route("GET", "/servers/<server_id>/os-volume_attachments", query=queries.VOLUME_ATTACHMENTS, answer=VolumeAttachmentsAnswer)
def index(server_id: str, query: queries.VolumeAttachmentsQuery) -> VolumeAttachmentsAnswer:
    """List the registered volumes of a server."""
    last = None if query.limit is None else query.offset + query.limit
    return VolumeAttachmentsAnswer(volumeAttachments=_all(server_id)[query.offset : last])


@route("GET", "/servers/<server_id>/os-volume_attachments/<volume_id>", answer=VolumeAttachmentAnswer)
def show(server_id: str, volume_id: str) -> VolumeAttachmentAnswer:
    """Show one volume of a server."""
    found = next((one for one in _all(server_id) if one.volumeId == volume_id.lower()), None)
    if found is None:
        raise NotFound(f"Instance {server_id} is not attached to volume {volume_id}.")
    return VolumeAttachmentAnswer(volumeAttachment=found)


def _all(server_id: str) -> list[VolumeAttachment]:
    with reading() as session:
        instance = servers_view.require(session, server_id)
        rows = disks.of_instance(session, instance.uuid)
    return [_attachment(row, row.volume_uuid) for row in rows if row.volume_uuid is not None]


def _attachment(row: BlockDeviceMapping, volume_uuid: str) -> VolumeAttachment:
    return VolumeAttachment(
        id=volume_uuid,
        serverId=row.instance_uuid,
        volumeId=volume_uuid,
        device=f"/dev/{row.device_name}",
        attachment_id=row.attachment_uuid,
        bdm_uuid=str(uuid.uuid5(_DISKS, f"{row.instance_uuid}/{row.device_name}")),
    )
