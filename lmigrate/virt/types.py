"""What is known of a host, a domain and a migration job.  Plain values; no libvirt."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lmigrate.states import PowerState


@dataclass(frozen=True)
class HostFacts:
    """What libvirt says of its host."""

    uuid: str
    hostname: str
    hypervisor_type: str  # "QEMU"
    libvirt_version: int  # 9000000 is 9.0.0
    qemu_version: int
    virt_types: tuple[str, ...]  # "kvm", "qemu"
    arch: str
    vcpus: int
    memory_mib: int
    cpu_model: str | None
    cpu_vendor: str | None
    cpu_features: tuple[str, ...]
    usable_models: tuple[str, ...]
    cpu_xml: str | None  # host-model CPU as domain capabilities give it


@dataclass(frozen=True)
class DiskInfo:
    """One <disk> of a domain."""

    device_name: str  # vda
    device_type: str  # disk | cdrom | floppy | lun
    source_type: str  # file | block | network | volume | dir | blank
    path: str | None
    format: str | None
    bus: str | None
    serial: str | None
    is_read_only: bool
    is_shareable: bool
    boot_index: int | None
    protocol: str | None = None  # of a network disk: iscsi | nbd | rbd
    source_name: str | None = None  # of a network disk, or of one that the kernel's initiator has made: IQN/LUN
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None

    @property
    def is_local_file(self) -> bool:
        """Whether its content is a file (or block device) on the host itself."""
        return self.source_type in {"file", "block"} and self.path is not None


@dataclass(frozen=True)
class DomainInfo:
    """One domain on one host."""

    uuid: str
    name: str
    power_state: PowerState
    reason: str  # libvirt's reason, by name: booted, migration, migrated, postcopy-failed, …
    is_persistent: bool
    memory_mib: int
    vcpus: int
    virt_type: str
    cpu_xml: str | None
    disks: tuple[DiskInfo, ...]
    migration_mark: str | None  # uuid of the migration that made this domain here, from its metadata

    @property
    def is_active(self) -> bool:
        """Whether a QEMU process runs for it."""
        return self.power_state.is_active


class JobType(StrEnum):
    """libvirt's virDomainJobType, by name."""

    NONE = "none"
    BOUNDED = "bounded"
    UNBOUNDED = "unbounded"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class JobStats:
    """A migration job at one moment, as virDomainGetJobStats tells it."""

    type: JobType
    operation: str | None = None  # migration-out, migration-in, …
    elapsed_ms: int = 0
    iteration: int = 0
    memory_total_bytes: int = 0
    memory_processed_bytes: int = 0
    memory_remaining_bytes: int = 0
    disk_total_bytes: int = 0
    disk_processed_bytes: int = 0
    disk_remaining_bytes: int = 0
    dirty_rate_bps: int = 0
    bandwidth_bps: int = 0
    downtime_ms: int | None = None  # expected while running, measured when completed
    throttle_percent: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether something is being moved right now."""
        return self.type in {JobType.BOUNDED, JobType.UNBOUNDED}

    @property
    def is_migration(self) -> bool:
        """Whether the guest is being moved right now: a backup or a dump is a job too."""
        return self.is_active and self.operation in {"migration-out", "migration-in"}

    @property
    def percent(self) -> int:
        """Share of memory and disk that has not to be sent again, 0-100 (Nova: instance.progress)."""
        total = self.memory_total_bytes + self.disk_total_bytes
        if total == 0:
            return 0
        return max(0, min(100, 100 - 100 * (self.memory_remaining_bytes + self.disk_remaining_bytes) // total))


@dataclass(frozen=True)
class Secret:
    """What libvirt hands to QEMU so that it may log in to storage."""

    uuid: str
    kind: str  # iscsi | ceph
    usage: str  # a name; unique on the host
    value: str = field(repr=False)

    @property
    def payload(self) -> bytes:
        """What libvirt is to keep: of a Ceph key, which is base64 text, the bytes that it stands for."""
        return base64.b64decode(self.value) if self.kind == "ceph" else self.value.encode()


@dataclass(frozen=True)
class MigrateSpec:
    """All that a peer-to-peer migrateToURI3 needs."""

    uuid: str
    dest_uri: str  # qemu+tls://node6/system
    migrate_uri: str | None  # tcp://node6
    destination_xml: str
    persistent_xml: str | None  # None: the guest is transient and stays so
    migrate_disks: tuple[str, ...] = ()  # target devices to copy; empty: none at all
    copy_mode: str = "full"  # full: whole chain into a flat image; inc: the top layer only
    tls: bool = True
    is_storage_proven_shared: bool = False  # lmigrate's own test found it so: libvirt need not object
    auto_converge: bool = False
    post_copy: bool = False  # it may be switched to post-copy; libvirt knows only one of the two, so auto_converge is then left out
    is_resume: bool = False  # not a move, but the rest of a post-copy that broke
    bandwidth_mib_s: int = 0
    post_copy_bandwidth_mib_s: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
