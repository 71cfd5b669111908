"""What there is of a guest on its source host: disks, files that it needs, obstacles.  Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from lmigrate.migration.migrate_data import LocalDisk, NeededFile
from lmigrate.migration.steps.base import StepContext
from lmigrate.storage import disk_image, probe
from lmigrate.virt.types import DiskInfo, DomainInfo
from lmigrate.virt.xml import domain as domain_xml
from lmigrate.virt.xml.document import parse

#: `vhostuser` and `nvme` are told as obstacles of the domain; `blank` is an empty drive
_KNOWN_TYPES = {"file", "network", "blank", "vhostuser", "nvme"}


@dataclass(frozen=True)
class Survey:
    """Everything about the guest that decides whether and how it can move."""

    obstacles: list[str]
    disks: list[LocalDisk]  # writable, local
    needed_files: list[NeededFile]
    removable_files: list[str]
    is_volume_backed: bool
    is_shared_instance_path: bool


def survey(context: StepContext, domain: DomainInfo) -> Survey:
    """Look at the running domain, its files, and which of the destination's probes show here."""
    root = parse(context.hypervisor.domain_xml(domain.uuid))
    instances_path = context.settings.host.instances_path
    writable = [disk for disk in domain.disks if disk.is_local_file and not disk.is_read_only]
    local = [_local_disk(context, disk) for disk in writable if disk.source_type == "file"]
    shared = {disk.device_name for disk in local if disk.is_shared}
    return Survey(
        obstacles=[*domain_xml.obstacles(root), *_disk_obstacles(domain.disks, shared)],
        disks=local,
        needed_files=[*_auxiliary_files(root), *_read_only_disks(domain)],
        removable_files=_removable_files(root, instances_path / domain.uuid),
        is_volume_backed=_is_volume_backed(domain),
        is_shared_instance_path=probe.is_seen(instances_path, context.uuid),
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


def _disk_obstacles(disks: Iterable[DiskInfo], shared: set[str]) -> list[str]:
    return [f"disk {disk.device_name} {reason}" for disk in disks if (reason := _why_not(disk, shared))]


def _why_not(disk: DiskInfo, shared: set[str]) -> str | None:
    """Why a disk cannot move, or None; those of types that `domain_xml.obstacles` names are told there."""
    if disk.source_type == "block":
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


def _read_only_disks(domain: DomainInfo) -> list[NeededFile]:
    disks = [disk for disk in domain.disks if disk.is_local_file and disk.is_read_only and disk.source_type == "file"]
    return [_needed(f"{disk.device_type} {disk.device_name}", disk.path or "") for disk in disks]


def _needed(what: str, path: str) -> NeededFile:
    return NeededFile(what=what, path=path, **_identity(path))


def _removable_files(root: etree._Element, directory: Path) -> list[str]:
    """Log and firmware variable files below the guest's own directory: they are of no use without it."""
    paths = [domain_xml.nvram_path(root), *domain_xml.character_device_files(root)]
    plain = {os.path.normpath(path) for path in paths if path}  # `..` leads out of it
    return sorted(path for path in plain if Path(path).is_relative_to(directory))


def _is_volume_backed(domain: DomainInfo) -> bool:
    """The disk that the guest boots from is a network disk (Nova: root BDM with destination_type volume)."""
    disks = [disk for disk in domain.disks if disk.device_type == "disk"]
    if not disks:
        return False
    root_disk = min(disks, key=lambda disk: (disk.boot_index is None, disk.boot_index or 0))
    return root_disk.source_type in {"network", "volume"}
