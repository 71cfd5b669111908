"""Only a host that answers can take a guest."""

from __future__ import annotations

from lmigrate.errors import ComputeServiceUnavailable
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def up(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse a host whose daemon or libvirtd does not answer."""
    del spec
    if host.down_reason is None:
        return None
    return str(ComputeServiceUnavailable(host=host.name, reason=host.down_reason))
