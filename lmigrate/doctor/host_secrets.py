"""Gives libvirt back what it has forgotten: the secrets of volumes are in no file of the host, and end with libvirtd or the host.

A guest that runs has logged in and goes on; one that is stopped could not be started by its owner.
"""

from __future__ import annotations

import structlog

from lmigrate.config import Settings
from lmigrate.db.session import reading
from lmigrate.db.stores import volumes
from lmigrate.migration.connections import Connection, connection_of
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import Secret

log = structlog.get_logger(__name__)


def restore_secrets(settings: Settings, hypervisor: Hypervisor) -> list[str]:
    """Define the secrets that libvirt lacks and that its domains name for volumes of this host's guests; a sentence for each.

    Raises:
        HypervisorError: libvirtd does not answer.
        WrongSecretKey: what the records have cannot be decrypted.
    """
    known = hypervisor.secrets()
    wanted = [(one, secret) for one in _used(settings) if (secret := one.secret) is not None]
    missing = [(one, secret) for one, secret in wanted if secret.uuid not in known]
    named = _named(hypervisor) if missing else ""
    return [_restore(settings, hypervisor, one, secret) for one, secret in missing if secret.uuid in named]


def _restore(settings: Settings, hypervisor: Hypervisor, connection: Connection, secret: Secret) -> str:
    """A guest that leaves just now takes its secret away before or after this; what is not needed any more does not stay."""
    hypervisor.define_secret(secret)
    if connection.attachment_uuid not in {one.attachment_uuid for one in _used(settings)}:
        hypervisor.undefine_secret(secret.uuid)
        return f"the secret of attachment {connection.attachment_uuid} is not needed any more"
    sentence = f"libvirt was given back the secret of attachment {connection.attachment_uuid} ({connection.device_name})"
    log.info(sentence)
    return sentence


def _used(settings: Settings) -> list[Connection]:
    with reading() as session:
        rows = volumes.used_on(session, settings.host.name)
    return [connection_of(device_name, row, settings.secrets.plain_keys) for device_name, row in rows]


def _named(hypervisor: Hypervisor) -> str:
    """What all domains say, running or not."""
    return "\n".join(hypervisor.domain_xml(domain.uuid, is_inactive=not domain.is_active) for domain in hypervisor.domains())
