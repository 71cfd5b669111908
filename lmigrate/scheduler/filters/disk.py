"""Disks that have to move need room on the destination."""

from __future__ import annotations

from lmigrate.errors import DestinationDiskTooSmall
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def disk(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse when the disks do not fit; nothing to move always fits."""
    available, need = host.available_disk_bytes, spec.disk_bytes
    if need == 0 or available >= need:
        return None
    return str(DestinationDiskTooSmall(instance=spec.instance_uuid, available=available, need=need))
