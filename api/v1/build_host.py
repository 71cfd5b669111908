"""From a host's record to ``/v1``."""

from __future__ import annotations

from typing import Any

from api.liveness import down_reason
from api.v1.schemas.hosts import Host, HostDetail, HostUseShape
from lmigrate.db.stores.hosts_view import HostRecord


def host(record: HostRecord) -> Host:
    """A host in a list."""
    return Host(**_common(record))


def host_detail(record: HostRecord) -> HostDetail:
    """A host with what its daemon found out about it."""
    row = record.host
    copied = (
        "service_uuid", "hypervisor_type", "virt_types", "instances_path", "migration_address", "connector",
        "tls_ready", "tls_reason", "epoch", "started_at", "created_at",
    )  # fmt: skip
    return HostDetail(
        **_common(record),
        **{name: getattr(row, name) for name in copied},
        libvirt_version=version_text(row.libvirt_version),
        qemu_version=version_text(row.qemu_version),
        cpu={key: value for key, value in row.cpu.items() if key != "xml"},
    )


def version_text(number: int) -> str:
    """9.0.0 from libvirt's 9000000."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _common(record: HostRecord) -> dict[str, Any]:
    row, use, reason = record.host, record.use, down_reason(record.host)
    copied = (
        "name", "uuid", "enabled", "disabled_reason", "forced_down", "vcpus", "memory_mib",
        "reserved_memory_mib", "disk_total_bytes", "disk_free_bytes", "last_seen_at",
    )  # fmt: skip
    return {name: getattr(row, name) for name in copied} | {
        "state": "down" if reason else "up",
        "down_reason": reason,
        "use": HostUseShape(**{name: getattr(use, name) for name in HostUseShape.model_fields}),
    }
