"""Hosts and requests for the scheduler's pure parts."""

from __future__ import annotations

from typing import Any

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec

UUID = "5b3f7d1e-6c0f-4c58-9d3b-0a8b0a4c9d11"


def spec(**fields: Any) -> RequestSpec:
    """A KVM guest of 1 GiB on node5."""
    values: dict[str, Any] = {"memory_mib": 1024, "vcpus": 1, "virt_type": "kvm", **fields}
    return RequestSpec(instance_uuid=UUID, source_host="node5", **values)


def host_state(name: str, **fields: Any) -> HostState:
    """An idle host with 4 GiB."""
    values: dict[str, Any] = {
        "is_enabled": True,
        "disabled_reason": None,
        "down_reason": None,
        "hypervisor_type": "QEMU",
        "qemu_version": 7_002_000,
        "virt_types": ("kvm", "qemu"),
        "arch": "x86_64",
        "protocols": None,
        "memory_mib": 4096,
        "reserved_memory_mib": 0,
        "used_memory_mib": 0,
        "ram_allocation_ratio": 1.0,
        "disk_free_bytes": 0,
        "reserved_disk_bytes": 0,
        "incoming_migrations": 0,
        **fields,
    }
    return HostState(name=name, **values)
