"""A guest does not move to where it is."""

from __future__ import annotations

from lmigrate.errors import UnableToMigrateToSelf
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def not_source(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse the source."""
    if host.name != spec.source_host:
        return None
    return str(UnableToMigrateToSelf(instance=spec.instance_uuid, host=host.name))
