"""How the destination reaches the guest's volumes: from the attachments' rows to libvirt's terms."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmigrate import crypto
from lmigrate.config import HostSettings
from lmigrate.db.models import VolumeAttachment
from lmigrate.db.session import reading
from lmigrate.db.stores import volumes
from lmigrate.errors import MigrationPreCheckError, StorageError
from lmigrate.storage.drivers.base import ConnectionInfo
from lmigrate.storage.initiators import initiator_for
from lmigrate.virt.types import Secret
from lmigrate.virt.xml.volume import VolumeSource

if TYPE_CHECKING:
    from lmigrate.migration.steps.base import StepContext  # the list of steps holds some that use this module

#: libvirt's secrets of an attachment have a UUID that follows from the attachment's
_SECRETS = uuid.UUID("5a8b3c1e-6f0d-4c57-9a43-2f1f6f1d7c11")


@dataclass(frozen=True)
class Connection:
    """One volume of the guest as the destination reaches it."""

    device_name: str
    attachment_uuid: str
    info: ConnectionInfo

    @property
    def secret_uuid(self) -> str:
        """UUID of libvirt's secret for this attachment."""
        return secret_uuid(self.attachment_uuid)

    @property
    def secret(self) -> Secret | None:
        """What libvirt has to know, if the storage wants a password."""
        if self.info.secret is None:
            return None
        kind = self.info.auth_type or "iscsi"
        return Secret(self.secret_uuid, kind, f"lmigrate-{self.attachment_uuid}", self.info.secret)

    @property
    def source(self) -> VolumeSource:
        """For the domain's XML, where QEMU logs in."""
        info = self.info
        return VolumeSource(
            protocol=info.protocol,
            name=info.source_name,
            hosts=info.hosts,
            initiator=info.initiator,
            auth_username=info.auth_username,
            auth_type=info.auth_type,
            secret_uuid=self.secret_uuid if info.secret else None,
            is_tls=info.is_tls,
        )

    def open_here(self, options: HostSettings) -> ConnectionInfo:
        """How QEMU on this host opens it, tried once.

        Raises:
            MigrationPreCheckError: the storage does not let this host in, or is not reached.
        """
        try:
            return initiator_for(self.info, options).connect(self.info)
        except StorageError as error:
            raise MigrationPreCheckError(
                reason=f"volume {self.info.source_name} ({self.device_name}) cannot be reached from here: {error.fields['reason']}"
            ) from error

    def close_here(self, options: HostSettings) -> None:
        """Let go of it; absent is fine."""
        initiator_for(self.info, options).disconnect(self.info)


def secret_uuid(attachment_uuid: str) -> str:
    """UUID of libvirt's secret for an attachment."""
    return str(uuid.uuid5(_SECRETS, attachment_uuid))


def is_used_by_others(attachment_uuid: str) -> bool:
    """Whether another guest of that host has the volume too: the kernel's session is the host's, not a guest's."""
    with reading() as session:
        row = session.get(VolumeAttachment, attachment_uuid)
        return row is not None and volumes.is_needed_by_others(session, row)


def connections_of(context: StepContext, host: str | None = None) -> list[Connection]:
    """The guest's volumes with ``host``'s attachments (the destination's); those without connection info (yet) are left out."""
    with reading() as session:
        disks = volumes.of_instance(session, context.instance.uuid, host or context.migration.dest_host or "")
    keys = context.settings.secrets.plain_keys
    found = [(disk.device_name, disk.attachment) for disk in disks if disk.attachment is not None]
    return [connection_of(device_name, row, keys) for device_name, row in found if row.connection_info is not None]


def connection_of(device_name: str, row: VolumeAttachment, keys: Sequence[str]) -> Connection:
    """An attachment that was granted, with what is secret in it.

    Raises:
        WrongSecretKey: none of ``keys`` decrypts it.
    """
    return Connection(device_name, row.uuid, ConnectionInfo.from_json(json.loads(crypto.decrypt(row.connection_info or "", keys))))
