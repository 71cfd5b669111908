"""A guest, its disks, and where its domain has been seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow
from lmigrate.states import PowerState, TaskState, VmState


def _partial(name: str, condition: str) -> Index:
    return Index(name, "created_at", "uuid", sqlite_where=text(condition), postgresql_where=text(condition))


class Instance(Base):
    """Our record of a guest.  ``host`` is where it runs; ``task_state`` is the lock of whoever works on it."""

    __tablename__ = "instances"
    __table_args__ = (  # what lists ask for, newest first: a page costs the same however many there are
        Index(None, "created_at", "uuid"),
        Index(None, "vm_state", "created_at", "uuid"),
        Index(None, "power_state", "created_at", "uuid"),
        Index(None, "vcpus", "memory_mib", "created_at", "uuid"),
        _partial("ix_instances_busy", "task_state IS NOT NULL"),
        _partial("ix_instances_anomalous", "anomaly IS NOT NULL"),
        # and one that only PostgreSQL has, for parts of names: see the revision "indexes for lists"
    )

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), index=True)
    host: Mapped[str | None] = mapped_column(String(63), index=True)
    vm_state: Mapped[VmState]
    power_state: Mapped[PowerState]
    task_state: Mapped[TaskState | None]
    memory_mib: Mapped[int]
    vcpus: Mapped[int]
    virt_type: Mapped[str] = mapped_column(String(16))  # kvm | qemu (TCG)
    is_persistent: Mapped[bool] = mapped_column(default=True)
    progress: Mapped[int] = mapped_column(default=0)  # percent, of the running migration
    anomaly: Mapped[str | None] = mapped_column(Text)  # e.g. "running on node5 and node6"; None when all is well
    launched_at: Mapped[datetime] = mapped_column(default=utcnow)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow, index=True)


class BlockDeviceMapping(Base):
    """One disk of an instance, as its domain has it."""

    __tablename__ = "block_device_mappings"
    __table_args__ = (UniqueConstraint("instance_uuid", "device_name"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(String(36), ForeignKey("instances.uuid", ondelete="CASCADE"), index=True)
    device_name: Mapped[str] = mapped_column(String(32))  # libvirt's <target dev>: vda
    device_type: Mapped[str] = mapped_column(String(16))  # disk | cdrom | floppy | lun
    bus: Mapped[str | None] = mapped_column(String(16))
    source_type: Mapped[str] = mapped_column(String(16))  # file | block | network | volume | blank
    destination_type: Mapped[str] = mapped_column(String(16))  # local | volume, Nova's words
    boot_index: Mapped[int | None]
    path: Mapped[str | None] = mapped_column(Text)
    format: Mapped[str | None] = mapped_column(String(16))
    serial: Mapped[str | None] = mapped_column(String(64))
    protocol: Mapped[str | None] = mapped_column(String(16))  # of a network disk: iscsi | nbd | rbd
    source_name: Mapped[str | None] = mapped_column(String(255))  # of a network disk: what its host calls it
    is_read_only: Mapped[bool] = mapped_column(default=False)
    is_shareable: Mapped[bool] = mapped_column(default=False)
    volume_uuid: Mapped[str | None] = mapped_column(String(36), ForeignKey("volumes.uuid"), index=True)
    attachment_uuid: Mapped[str | None] = mapped_column(String(36))  # of the host on which the guest runs; changes with instance.host
    capacity_bytes: Mapped[int | None]  # what the guest sees
    allocation_bytes: Mapped[int | None]  # what it takes on the host


class DomainSighting(Base):
    """What one host's libvirt last said about one domain; written by that host's daemon alone."""

    __tablename__ = "domain_sightings"

    host: Mapped[str] = mapped_column(String(63), primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(String(36), primary_key=True, index=True)
    name: Mapped[str] = mapped_column(String(255))
    power_state: Mapped[PowerState]
    reason: Mapped[str] = mapped_column(String(32))  # libvirt's reason for that state, by name: "migration", "migrated", …
    is_persistent: Mapped[bool]
    cpu_xml: Mapped[str | None] = mapped_column(Text)  # the domain's <cpu>, for the destination's check
    description: Mapped[dict[str, Any]]  # memory_mib, vcpus, virt_type, disks[]
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)
