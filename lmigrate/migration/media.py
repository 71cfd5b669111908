"""Media that arrive with the guest: read-only images in its own directory, such as a config drive.

QEMU copies no read-only disk, so their content is read through the source's libvirtd into a
file that carries this migration's mark, and counts only if it is the source's to the last byte.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmigrate.db.session import reading
from lmigrate.db.stores import hosts
from lmigrate.errors import MigrationAborted, MigrationPreCheckError, UnknownHost
from lmigrate.migration import peer_uri
from lmigrate.migration.migrate_data import Medium
from lmigrate.storage import ownership

if TYPE_CHECKING:
    from lmigrate.migration.steps.base import StepContext  # the list of steps holds one that uses this module


def fetch_medium(context: StepContext, medium: Medium, path: Path) -> None:
    """Make ``path`` the same as the source's file; twice is once.

    Raises:
        DestinationDiskExists: the path is taken by somebody else's file.
        MigrationPreCheckError: what arrived is not what the source has.
        HypervisorError: the source's libvirtd does not answer, or refuses.
        MigrationAborted: the migration was aborted meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ownership.claim_file(path, context.uuid, context.settings.host.name, partial(_download, context, medium))


def libvirt_uri(context: StepContext, host_name: str) -> str:
    """Where another host's libvirtd answers.

    Raises:
        UnknownHost: the records have no such host.
        UnsafeAddress: what the records call its address is none.
    """
    with reading() as session:
        host = hosts.by_name(session, host_name)
        if host is None:
            raise UnknownHost(host=host_name)
        address = host.migration_address
    return peer_uri.libvirt_uri(host_name, address, tls=context.settings.migration.tls)


def _download(context: StepContext, medium: Medium, path: Path) -> None:
    uri = libvirt_uri(context, context.migration.source_host)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        path.chmod(medium.mode)
        for chunk in context.hypervisor.read_disk(uri, context.instance.uuid, medium.device_name, medium.size_bytes):
            if context.is_abort_requested():
                raise MigrationAborted
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != medium.sha256:
        raise MigrationPreCheckError(reason=f"{medium.path} ({medium.device_name}) changed while it was fetched: try again")
