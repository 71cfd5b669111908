"""migrate_data: what the two checks found out together, for the steps that follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from lmigrate.storage.disk_image import FileIdentity
from lmigrate.virt.types import DiskInfo


class LocalDisk(BaseModel):
    """A disk whose content is a file on the source."""

    model_config = ConfigDict(frozen=True)

    device_name: str
    path: str
    format: str
    capacity_bytes: int
    allocation_bytes: int
    is_shared: bool  # the destination reaches the same file
    is_copied: bool  # its content is moved by this migration
    backing: list[dict[str, Any]] = []  # chain below it, nearest first: path, format, identity


class NeededFile(BaseModel):
    """A file that QEMU only reads, and must find on the destination under the same path."""

    model_config = ConfigDict(frozen=True)

    what: str  # kernel, initrd, cdrom sda …
    path: str
    size_bytes: int
    inode: int
    mtime_ns: int

    @property
    def identity(self) -> FileIdentity:
        """For comparison with the destination's file."""
        return FileIdentity(self.path, self.size_bytes, self.inode, self.mtime_ns)


class Medium(BaseModel):
    """A read-only disk in the guest's own directory (a config drive): its content arrives with the guest."""

    model_config = ConfigDict(frozen=True)

    device_name: str
    path: str
    size_bytes: int
    mode: int  # permission bits
    sha256: str


class VolumeDisk(BaseModel):
    """A disk that is a volume: the storage moves nothing, the destination logs in by itself."""

    model_config = ConfigDict(frozen=True)

    device_name: str
    volume_uuid: str


class MigrateData(BaseModel):
    """Nova's LiveMigrateData, as far as it applies."""

    model_config = ConfigDict(frozen=True)

    is_volume_backed: bool
    is_shared_instance_path: bool
    is_shared_block_storage: bool
    block_migration: bool
    source_instances_path: str
    destination_instances_path: str
    disk_available_bytes: int
    disk_needed_bytes: int
    disks: list[LocalDisk]
    volumes: list[VolumeDisk] = []
    media: list[Medium] = []
    needed_files: list[NeededFile]
    needed_secrets: list[str] = []  # libvirt's, of encrypted disks, by UUID
    is_persistent: bool
    removable_files: list[str]  # logs and the like in the guest's directory that go when it is gone

    def accounts_for(self, disks: Iterable[DiskInfo]) -> bool:
        """Whether it is known of each of a domain's writable disks that its content is on the destination, or gets there."""
        known = {disk.device_name for disk in self.disks if disk.is_shared or disk.is_copied}
        known |= {volume.device_name for volume in self.volumes}
        return all(disk.is_read_only or disk.source_type in {"network", "blank"} or disk.device_name in known for disk in disks)

    @property
    def copied_disks(self) -> list[LocalDisk]:
        """The disks that this migration copies."""
        return [disk for disk in self.disks if disk.is_copied]

    @property
    def moved_files(self) -> list[LocalDisk | Medium]:
        """Everything whose content this migration brings to the destination: copied disks and media."""
        return [*self.copied_disks, *self.media]
