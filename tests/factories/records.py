"""Rows as the daemons and the API would have written them."""

from __future__ import annotations

from typing import Any

from lmigrate.db.clock import utcnow
from lmigrate.db.models import BlockDeviceMapping, DomainSighting, Host, Instance, Migration
from lmigrate.ids import new_request_id, new_uuid
from lmigrate.states import PowerState, TaskState, VmState

GIB = 1024**3


def host_row(name: str, **fields: Any) -> Host:
    """A host that is up, with 4 GiB of memory and nothing reserved for itself."""
    values: dict[str, Any] = {
        "uuid": new_uuid(),
        "service_uuid": new_uuid(),
        "hypervisor_type": "QEMU",
        "libvirt_version": 9_000_000,
        "qemu_version": 7_002_000,
        "virt_types": ["kvm", "qemu"],
        "cpu": {"arch": "x86_64", "model": "Skylake-Client", "vendor": "Intel", "features": [], "usable_models": ["qemu64"], "xml": None},
        "vcpus": 8,
        "memory_mib": 4096,
        "reserved_memory_mib": 0,
        "instances_path": "/var/lib/lmigrate/instances",
        "disk_total_bytes": 100 * GIB,
        "disk_free_bytes": 50 * GIB,
        "migration_address": name,
        "tls_ready": True,
        "epoch": new_uuid(),
        "last_seen_at": utcnow(),
        "uptime": " 08:32:11 up 93 days, 18:25,  12 users,  load average: 0.20, 0.12, 0.14",
        **fields,
    }
    return Host(name=name, **values)


def instance_row(host: str | None, **fields: Any) -> Instance:
    """A running, idle guest with 1 GiB of memory."""
    uuid = fields.pop("uuid", None) or new_uuid()
    values: dict[str, Any] = {
        "name": f"guest-{uuid[:8]}",
        "vm_state": VmState.ACTIVE,
        "power_state": PowerState.RUNNING,
        "memory_mib": 1024,
        "vcpus": 1,
        "virt_type": "kvm",
        **fields,
    }
    return Instance(uuid=uuid, host=host, **values)


def migration_row(instance: Instance, **fields: Any) -> Migration:
    """A migration that was just accepted; it takes the instance."""
    instance.task_state = TaskState.MIGRATING
    values: dict[str, Any] = {
        "uuid": new_uuid(),
        "request_id": new_request_id(),
        "source_host": instance.host,
        "power_state_before": instance.power_state,
        "refusals": {},
        "migrate_data": {},
        **fields,
    }
    return Migration(instance_uuid=instance.uuid, **values)


def sighting_row(host: str, instance: Instance, **fields: Any) -> DomainSighting:
    """What ``host`` saw: the guest running."""
    values: dict[str, Any] = {
        "name": instance.name,
        "power_state": PowerState.RUNNING,
        "reason": "booted",
        "is_persistent": True,
        "cpu_xml": None,
        "description": {"memory_mib": instance.memory_mib, "vcpus": instance.vcpus, "virt_type": instance.virt_type, "disks": []},
        "seen_at": utcnow(),
        **fields,
    }
    return DomainSighting(host=host, instance_uuid=instance.uuid, **values)


def disk_row(instance: Instance, device_name: str, **fields: Any) -> BlockDeviceMapping:
    """A local qcow2 image of 10 GiB."""
    values: dict[str, Any] = {
        "device_type": "disk",
        "bus": "virtio",
        "source_type": "file",
        "destination_type": "local",
        "path": f"/var/lib/lmigrate/instances/{instance.uuid}/{device_name}",
        "format": "qcow2",
        "capacity_bytes": 10 * GIB,
        "allocation_bytes": GIB,
        **fields,
    }
    return BlockDeviceMapping(instance_uuid=instance.uuid, device_name=device_name, **values)
