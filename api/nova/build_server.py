"""From a record of ours to Nova's server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from api import caller
from api.liveness import down_reason
from api.nova.schemas.server import Flavor, FlavorLink, Server, ServerLink, VolumeAttached
from api.nova.states import host_status, power_state, server_status
from api.nova.times import whole_seconds
from api.pagination import Link, url
from lmigrate.db.models import BlockDeviceMapping
from lmigrate.db.stores.servers_view import ServerRecord

#: the one zone there is
ZONE = "nova"
_GIB = 2**30
_WITH_PROGRESS = {"ACTIVE", "MIGRATING"}


def server(record: ServerRecord) -> Server:
    """Everything that Nova tells of a server."""
    instance, reason = record.instance, down_reason(record.host) if record.host else None
    status = server_status(instance)
    return Server(
        id=instance.uuid,
        name=instance.name,
        status=status,
        tenant_id=caller.ADMINISTRATOR.project_id,
        user_id=caller.ADMINISTRATOR.user_id,
        created=whole_seconds(instance.created_at),
        updated=whole_seconds(instance.updated_at),
        host_id=host_id(instance.host),
        links=links(f"servers/{instance.uuid}"),
        flavor_link=_flavor_link(record),
        flavor=_flavor(record),
        progress=instance.progress if status in _WITH_PROGRESS else None,
        availability_zone=ZONE,
        host=instance.host,
        instance_name=instance.name,
        hypervisor_hostname=instance.host,
        task_state=instance.task_state,
        vm_state=instance.vm_state,
        power_state=power_state(instance),
        launched_at=whole_seconds(instance.launched_at),
        volumes_attached=[VolumeAttached(id=one) for one in map(volume_id, record.disks) if one],
        hostname=instance.name,
        root_device_name=_root_device(record.disks),
        host_status=host_status(record.host, reason),
        description=instance.anomaly,
    )


def server_link(uuid: str, name: str) -> ServerLink:
    """A server in the short list."""
    return ServerLink(id=uuid, name=name, links=links(f"servers/{uuid}"))


def host_id(host: str | None) -> str:
    """Nova's opaque name of a host for tenants: a digest of project and host."""
    if not host:
        return ""
    return hashlib.sha224(f"{caller.ADMINISTRATOR.project_id}{host}".encode()).hexdigest()


def links(path: str) -> list[Link]:
    """Where a resource is, with the version in the path and (bookmark) without."""
    return [Link(rel="self", href=url(f"v2.1/{path}")), Link(rel="bookmark", href=url(path))]


def volume_id(disk: BlockDeviceMapping) -> str | None:
    """The volume that a disk is: the registered one, else what its serial says."""
    return disk.volume_uuid or (disk.serial if disk.destination_type == "volume" else None)


def _root_device(disks: Sequence[BlockDeviceMapping]) -> str | None:
    wanted = [disk for disk in disks if disk.device_type == "disk"]
    by_boot = sorted(wanted, key=lambda disk: (disk.boot_index is None, disk.boot_index or 0, disk.device_name))
    return f"/dev/{by_boot[0].device_name}" if by_boot else None


def _flavor(record: ServerRecord) -> Flavor:
    local = [disk for disk in record.disks if disk.device_type == "disk" and disk.destination_type == "local"]
    disk_gib = sum(-(-(disk.capacity_bytes or 0) // _GIB) for disk in local)
    instance = record.instance
    return Flavor(original_name=_flavor_name(record), vcpus=instance.vcpus, ram=instance.memory_mib, disk=disk_gib)


def _flavor_name(record: ServerRecord) -> str:
    return f"{record.instance.vcpus}vcpu-{record.instance.memory_mib}mib"


def _flavor_link(record: ServerRecord) -> FlavorLink:
    name = _flavor_name(record)
    return FlavorLink(id=name, links=[Link(rel="bookmark", href=url(f"flavors/{name}"))])
