"""Both sides need the same hypervisor."""

from __future__ import annotations

from lmigrate.errors import InvalidHypervisorType
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def hypervisor_type(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse a hypervisor of another type than the source's."""
    if spec.hypervisor_type in {None, host.hypervisor_type}:
        return None
    return str(InvalidHypervisorType(host=host.name, actual=host.hypervisor_type, expected=spec.hypervisor_type))
