"""A server's volumes as Nova lists them."""

from __future__ import annotations

from typing import Annotated

from api.nova.versioned import Versioned, since, until


class VolumeAttachment(Versioned):
    """One volume of a server.  The names are Nova's own."""

    id: Annotated[str, until("2.88")]
    serverId: str  # noqa: N815 - Nova's
    volumeId: str  # noqa: N815 - Nova's
    device: str
    tag: Annotated[str | None, since("2.70")] = None
    delete_on_termination: Annotated[bool, since("2.79")] = False
    attachment_id: Annotated[str | None, since("2.89")]
    bdm_uuid: Annotated[str, since("2.89")]


class VolumeAttachmentsAnswer(Versioned):
    """The volumes of a server."""

    volumeAttachments: list[VolumeAttachment]  # noqa: N815 - Nova's


class VolumeAttachmentAnswer(Versioned):
    """One volume of a server."""

    volumeAttachment: VolumeAttachment  # noqa: N815 - Nova's
