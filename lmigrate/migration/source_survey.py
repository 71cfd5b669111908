"""What there is of a guest on its source host: disks, files that it needs, obstacles.  Reads only."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from lmigrate.db.models import BlockDeviceMapping
from lmigrate.db.session import reading
from lmigrate.db.stores import volumes
from lmigrate.errors import MigrationPreCheckError
from lmigrate.migration.migrate_data import LocalDisk, Medium, NeededFile, VolumeDisk
from lmigrate.migration.steps.base import StepContext
from lmigrate.storage import disk_image, probe
from lmigrate.virt.types import DiskInfo, DomainInfo
from lmigrate.virt.xml import domain as domain_xml
from lmigrate.virt.xml.document import parse

#: `vhostuser` and `nvme` are told as obstacles of the domain; `blank` is an empty drive
_KNOWN_TYPES = {"block", "file", "network", "blank", "vhostuser", "nvme"}


@dataclass(frozen=True)
class Survey:
    """Everything about the guest that decides whether and how it can move."""

    obstacles: list[str]
    disks: list[LocalDisk]  # writable, local
    volumes: list[VolumeDisk]
    media: list[Medium]  # read-only, in the guest's own directory, not seen by the destination
    needed_files: list[NeededFile]
    needed_secrets: list[str]
    removable_files: list[str]
    is_volume_backed: bool
    is_shared_instance_path: bool


def survey(context: StepContext, domain: DomainInfo) -> Survey:
    """Look at the running domain, its files, and which of the destination's probes show here."""
    root = parse(context.hypervisor.domain_xml(domain.uuid))
    instances_path = context.settings.host.instances_path
    writable = [disk for disk in domain.disks if disk.is_local_file and not disk.is_read_only]
    local = [_local_disk(context, disk) for disk in writable if disk.source_type == "file"]
    known, unknown = _volumes(context, domain)
    _refuse_hidden(context, local)
    shared = {disk.device_name for disk in local if disk.is_shared}
    volumes_here = {volume.device_name for volume in known}
    read_only = [disk for disk in domain.disks if disk.is_read_only and disk.source_type == "file"]
    own = [disk for disk in read_only if _is_own_medium(context, disk)]
    return Survey(
        obstacles=[*domain_xml.obstacles(root), *_disk_obstacles(domain.disks, shared, volumes_here), *unknown],
        disks=local,
        volumes=known,
        media=[_medium(disk) for disk in own],
        needed_files=[*_auxiliary_files(root), *(_needed_disk(disk) for disk in read_only if disk not in own)],
        needed_secrets=domain_xml.encryption_secrets(root),
        removable_files=_removable_files(root, instances_path / domain.uuid),
        is_volume_backed=_is_volume_backed(domain, volumes_here),
        is_shared_instance_path=probe.is_seen(instances_path, context.uuid),
    )


def _volumes(context: StepContext, domain: DomainInfo) -> tuple[list[VolumeDisk], list[str]]:
    """The registered volumes among the disks, and a reason for each network disk that is none.

    Access is granted by the records, the destination's XML is made from the domain: both must name the same volumes.
    """
    remote = [disk for disk in domain.disks if disk.source_type == "network"]
    with reading() as session:
        registered = volumes.by_source_names(session, [disk.source_name or disk.path or "" for disk in domain.disks])
        recorded = volumes.of_instance(session, context.instance.uuid, context.migration.source_host)
        mapped = {disk.device_name: disk.volume.uuid for disk in recorded}
    known = {disk.device_name: registered.get(disk.source_name or disk.path or "") for disk in domain.disks}
    found = {device: volume.uuid for device, volume in known.items() if volume is not None}
    reasons = [why_unregistered(disk) for disk in remote if known[disk.device_name] is None]
    different = sorted(device for device, _ in found.items() ^ mapped.items())
    if different:
        reasons.append(
            f"the volumes in the records are not yet those of the domain ({', '.join(dict.fromkeys(different))}): try again in a moment"
        )
    return [VolumeDisk(device_name=device, volume_uuid=uuid) for device, uuid in found.items()], reasons


def _refuse_hidden(context: StepContext, local: list[LocalDisk]) -> None:
    """Of the volumes that are files, only those of a `local` backend are copied.

    Raises:
        MigrationPreCheckError: one of another backend lies where the destination does not see it.
    """
    paths = [disk.path for disk in local if not disk.is_shared]
    with reading() as session:
        registered = volumes.by_source_names(session, paths)
    backends = context.settings.storage.backends
    for path, volume in registered.items():
        backend = backends.get(volume.backend)
        if backend is None or backend.driver != "local":
            destination = context.migration.dest_host
            raise MigrationPreCheckError(
                reason=f"{destination} does not see {path}, a volume of backend {volume.backend}: is its directory mounted there?"
            )


def _local_disk(context: StepContext, disk: DiskInfo) -> LocalDisk:
    path = disk.path or ""
    info, *chain = disk_image.inspect_chain(path, disk.format or "raw")  # raw: libvirt's own default
    return LocalDisk(
        device_name=disk.device_name,
        path=path,
        format=info.format,
        # a raw image carries no size of its own that a guest could not have been given more of
        capacity_bytes=disk.capacity_bytes or info.capacity_bytes,
        allocation_bytes=info.allocation_bytes,
        is_shared=probe.is_seen(Path(path).parent, context.uuid),
        is_copied=False,
        backing=[{"path": image.path, "format": image.format, **_identity(image.path)} for image in chain],
    )


def _identity(path: str) -> dict[str, int]:
    identity = disk_image.identify(path)
    return {"size_bytes": identity.size_bytes, "inode": identity.inode, "mtime_ns": identity.mtime_ns}


def _disk_obstacles(disks: Iterable[DiskInfo], shared: set[str], volumes_here: set[str]) -> list[str]:
    return [f"disk {disk.device_name} {reason}" for disk in disks if (reason := why_disk_stays(disk, shared, volumes_here))]


def why_unregistered(disk: DiskInfo | BlockDeviceMapping) -> str:
    """What is told of a network disk that is no volume."""
    return f"disk {disk.device_name} ({disk.protocol} {disk.source_name}) is not a registered volume (`lmigrate volume register`)"


def why_disk_stays(disk: DiskInfo | BlockDeviceMapping, shared: Collection[str], volumes_here: Collection[str]) -> str | None:
    """Why a disk cannot move, or None; those of types that `domain_xml.obstacles` names are told there."""
    if disk.source_type == "block" and disk.device_name not in volumes_here:
        return f"is a block device of the host ({disk.path}): use a volume or a file"
    if disk.device_type == "lun":
        return "is passed through as a SCSI LUN: its persistent reservations belong to the host's initiator; use device='disk'"
    if disk.source_type not in _KNOWN_TYPES:
        return f"is of type {disk.source_type}, which cannot be moved: use a volume or a file"
    if disk.source_type == "file" and disk.is_shareable and not disk.is_read_only and disk.device_name not in shared:
        return "is shareable but lies on local storage: put it on shared storage"
    return None


def _auxiliary_files(root: etree._Element) -> list[NeededFile]:
    return [_needed(what, path) for what, path in domain_xml.auxiliary_files(root).items()]


def _is_own_medium(context: StepContext, disk: DiskInfo) -> bool:
    """A raw image in the guest's own directory, which the destination does not share: nobody else can provide it there."""
    is_own = may_be_medium(disk, context.settings.host.instances_path / context.instance.uuid)
    return is_own and not probe.is_seen(Path(disk.path or "").parent, context.uuid)


def may_be_medium(disk: DiskInfo | BlockDeviceMapping, directory: Path) -> bool:
    """Whether a read-only disk arrives with the guest unless the destination shares ``directory``, the guest's own."""
    return Path(disk.path or "").is_relative_to(directory) and disk.format in {None, "raw"}


def _medium(disk: DiskInfo) -> Medium:
    path = disk.path or ""
    stat = Path(path).stat()
    return Medium(
        device_name=disk.device_name, path=path, size_bytes=stat.st_size, mode=stat.st_mode & 0o777, sha256=disk_image.digest(path)
    )


def _needed_disk(disk: DiskInfo) -> NeededFile:
    return _needed(f"{disk.device_type} {disk.device_name}", disk.path or "")


def _needed(what: str, path: str) -> NeededFile:
    return NeededFile(what=what, path=path, **_identity(path))


def _removable_files(root: etree._Element, directory: Path) -> list[str]:
    """Log and firmware variable files below the guest's own directory: they are of no use without it."""
    paths = [domain_xml.nvram_path(root), *domain_xml.character_device_files(root)]
    plain = {os.path.normpath(path) for path in paths if path}  # `..` leads out of it
    return sorted(path for path in plain if Path(path).is_relative_to(directory))


def _is_volume_backed(domain: DomainInfo, volumes_here: set[str]) -> bool:
    """The guest boots from a network disk, or one that the kernel reaches (Nova: root BDM with destination_type volume)."""
    disks = [disk for disk in domain.disks if disk.device_type == "disk"]
    if not disks:
        return False
    root_disk = min(disks, key=lambda disk: (disk.boot_index is None, disk.boot_index or 0))
    return root_disk.source_type in {"network", "volume"} or (root_disk.source_type == "block" and root_disk.device_name in volumes_here)
