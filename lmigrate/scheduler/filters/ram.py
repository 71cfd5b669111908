"""The guest's memory must be free on the destination."""

from __future__ import annotations

from lmigrate.errors import InsufficientMemory
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def ram(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse when ``available <= needed``: the comparison and the words of Nova's conductor."""
    available, needed = host.available_memory_mib, spec.memory_mib
    if available > needed:
        return None
    return str(InsufficientMemory(instance=spec.instance_uuid, host=host.name, available=available, needed=needed))
