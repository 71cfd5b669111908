"""Every filter is a function from a host and a request to None (it can) or the reason (it cannot), one file each."""

from __future__ import annotations

from collections.abc import Callable

from lmigrate.scheduler.filters.cpu import cpu
from lmigrate.scheduler.filters.disk import disk
from lmigrate.scheduler.filters.enabled import enabled
from lmigrate.scheduler.filters.hypervisor_type import hypervisor_type
from lmigrate.scheduler.filters.hypervisor_version import hypervisor_version
from lmigrate.scheduler.filters.not_excluded import not_excluded
from lmigrate.scheduler.filters.not_source import not_source
from lmigrate.scheduler.filters.protocols import protocols
from lmigrate.scheduler.filters.ram import ram
from lmigrate.scheduler.filters.up import up
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec

Filter = Callable[[HostState, RequestSpec], str | None]

#: asked in this order; the first reason is the one that is told
FILTERS: tuple[Filter, ...] = (
    not_source,
    not_excluded,
    up,
    enabled,
    hypervisor_type,
    hypervisor_version,
    cpu,
    protocols,
    ram,
    disk,
)

#: what even a forced destination has to pass, as in Nova
FORCED_FILTERS: tuple[Filter, ...] = (not_source, not_excluded, up, hypervisor_type, hypervisor_version, cpu, protocols, ram)

__all__ = ["FILTERS", "FORCED_FILTERS", "Filter"]
