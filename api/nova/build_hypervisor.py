"""From a host of ours to Nova's hypervisor and compute service."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from api.liveness import down_reason
from api.microversions import at_least
from api.nova.build_server import ZONE
from api.nova.schemas.hypervisor import (
    Hypervisor,
    HypervisorDetail,
    HypervisorServer,
    HypervisorService,
    HypervisorUptime,
    HypervisorWithServers,
    Statistics,
)
from api.nova.schemas.service import Service
from api.nova.times import microseconds
from lmigrate.db.models import Host
from lmigrate.db.stores.hosts_view import HostRecord

_GIB = 2**30
Servers = Mapping[str, list[tuple[str, str]]]


def hypervisor(host: Host, servers: Servers | None = None) -> Hypervisor:
    """A hypervisor in the short list; ``servers`` when they were asked for."""
    return Hypervisor(**_common(host, servers))


def hypervisor_detail(record: HostRecord, servers: Servers | None = None) -> HypervisorDetail:
    """A hypervisor with what is used of it."""
    host = record.host
    cpu = _cpu_info(host) if shows_cpu() else {}
    return HypervisorDetail(
        **_common(host, servers),
        hypervisor_type=host.hypervisor_type,
        hypervisor_version=host.qemu_version,
        host_ip=host.migration_address,
        service=HypervisorService(number=host.id, uuid=host.service_uuid, host=host.name, disabled_reason=host.disabled_reason),
        cpu_info_text="" if at_least("2.28") else json.dumps(cpu),
        cpu_info=cpu,
        uptime=host.uptime,
        **_use(record),
    )


def shows_cpu() -> bool:
    """Whether the present request's microversion tells of hypervisors' CPUs: all but the newest do."""
    return not at_least("2.88")


def hypervisor_with_servers(host: Host, servers: Servers) -> HypervisorWithServers:
    """A hypervisor with its servers; one that has none says nothing of them."""
    return HypervisorWithServers(**_common(host, None), listed_servers=_servers(host, servers))


def uptime(host: Host) -> HypervisorUptime:
    """A hypervisor and since when its host runs."""
    return HypervisorUptime(**_common(host, None), uptime=host.uptime)


def statistics(records: Iterable[HostRecord]) -> Statistics:
    """All of ``records`` added up."""
    total: Counter[str] = Counter()
    for record in records:
        total.update({"count": 1, **_use(record)})
    return Statistics(**{name: total[name] for name in Statistics.model_fields})


def service(host: Host) -> Service:
    """The compute service that stands for ``host``."""
    return Service(
        number=host.id,
        uuid=host.service_uuid,
        host=host.name,
        zone=ZONE,
        status=_status(host),
        state=_state(host),
        updated_at=microseconds(host.last_seen_at),
        disabled_reason=host.disabled_reason,
        forced_down=host.forced_down,
    )


def _use(record: HostRecord) -> dict[str, int]:
    host, use = record.host, record.use
    memory_used = use.memory_mib + host.reserved_memory_mib
    free_gib = host.disk_free_bytes // _GIB
    return {
        "vcpus": host.vcpus,
        "vcpus_used": use.vcpus,
        "memory_mb": host.memory_mib,
        "memory_mb_used": memory_used,
        "free_ram_mb": host.memory_mib - memory_used,
        "local_gb": host.disk_total_bytes // _GIB,
        "local_gb_used": (host.disk_total_bytes - host.disk_free_bytes) // _GIB,
        "free_disk_gb": free_gib,
        "disk_available_least": free_gib,
        "current_workload": use.outgoing + use.incoming,
        "running_vms": use.running,
    }


def _common(host: Host, servers: Servers | None) -> dict[str, Any]:
    return {
        "number": host.id,
        "uuid": host.uuid,
        "hypervisor_hostname": host.name,
        "state": _state(host),
        "status": _status(host),
        "servers": _servers(host, servers),
    }


def _servers(host: Host, servers: Servers | None) -> list[HypervisorServer] | None:
    found = [HypervisorServer(uuid=uuid, name=name) for uuid, name in (servers or {}).get(host.name, [])]
    # before 2.75 a host without servers says nothing of them
    return None if servers is None or (not found and not at_least("2.75")) else found


def _state(host: Host) -> str:
    return "up" if down_reason(host) is None else "down"


def _status(host: Host) -> str:
    return "enabled" if host.enabled else "disabled"


def _cpu_info(host: Host) -> dict[str, Any]:
    return {
        "arch": host.cpu.get("arch"),
        "model": host.cpu.get("model"),
        "vendor": host.cpu.get("vendor"),
        "features": host.cpu.get("features", []),
    }
