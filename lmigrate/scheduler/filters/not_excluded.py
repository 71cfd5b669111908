"""A host that refused this guest is not asked again."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def not_excluded(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse what refused before, with its own reason."""
    return spec.excluded.get(host.name)
