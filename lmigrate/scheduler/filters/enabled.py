"""An operator may close a host to new guests."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def enabled(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse a disabled host, with the operator's words."""
    del spec
    if host.is_enabled:
        return None
    return f"it is disabled: {host.disabled_reason}" if host.disabled_reason else "it is disabled"
