"""The records as the scheduler's own values."""

from __future__ import annotations

from collections.abc import Sequence

from lmigrate.config import settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import BlockDeviceMapping, Host, Instance, Migration
from lmigrate.db.session import Session
from lmigrate.db.stores import disks, hosts, usage
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def host_states(session: Session, rows: Sequence[Host], *, except_migration: int | None = None) -> list[HostState]:
    """The given hosts with what is taken on them now."""
    taken = usage.of_hosts(session, [row.name for row in rows], except_migration=except_migration)
    return [_host_state(row, taken[row.name]) for row in rows]


def request_spec(session: Session, migration: Migration, instance: Instance) -> RequestSpec:
    """What ``migration`` asks for."""
    source = hosts.by_name(session, migration.source_host)
    mapped = disks.of_instance(session, instance.uuid)
    return RequestSpec(
        instance_uuid=instance.uuid,
        source_host=migration.source_host,
        memory_mib=instance.memory_mib,
        vcpus=instance.vcpus,
        virt_type=instance.virt_type,
        disk_bytes=_bytes_to_move(mapped, migration),
        protocols=frozenset(row.protocol for row in mapped if row.protocol is not None),
        hypervisor_type=source.hypervisor_type if source else None,
        qemu_version=source.qemu_version if source else None,
        arch=source.cpu.get("arch") if source else None,
        requested_destination=migration.requested_destination,
        is_forced=migration.is_forced,
        excluded={host: str(reason) for host, reason in migration.refusals.items()},
    )


def _bytes_to_move(rows: Sequence[BlockDeviceMapping], migration: Migration) -> int:
    """Only a request that says "block migration" is known to move disks; "auto" is for the destination's check."""
    if not migration.block_migration:
        return 0
    local = [row for row in rows if row.destination_type == "local" and row.device_type == "disk" and not row.is_read_only]
    if migration.disk_over_commit:
        return sum(row.allocation_bytes or 0 for row in local)
    return sum(row.capacity_bytes or 0 for row in local)


def _protocols(row: Host) -> frozenset[str] | None:
    found = row.connector.get("protocols")
    return None if found is None else frozenset(found)


def _host_state(row: Host, taken: usage.HostUsage) -> HostState:
    options = settings().scheduler
    return HostState(
        name=row.name,
        is_enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        down_reason=hosts.why_down(row, utcnow(), options.service_down_time_s),
        hypervisor_type=row.hypervisor_type,
        qemu_version=row.qemu_version,
        virt_types=tuple(row.virt_types),
        arch=row.cpu.get("arch"),
        protocols=_protocols(row),
        memory_mib=row.memory_mib,
        reserved_memory_mib=row.reserved_memory_mib,
        used_memory_mib=taken.memory_mib,
        ram_allocation_ratio=options.ram_allocation_ratio,
        disk_free_bytes=row.disk_free_bytes,
        reserved_disk_bytes=taken.reserved_disk_bytes,
        incoming_migrations=taken.incoming,
    )
