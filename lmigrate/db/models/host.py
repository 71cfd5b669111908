"""A hypervisor host, and what migrations have reserved on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow


class Host(Base):
    """One libvirtd with a daemon beside it."""

    __tablename__ = "hosts"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)  # libvirt's host UUID
    service_uuid: Mapped[str] = mapped_column(String(36), unique=True)  # Nova's service id on the wire
    name: Mapped[str] = mapped_column(String(63), unique=True)
    hypervisor_type: Mapped[str] = mapped_column(String(32))  # "QEMU", as libvirt's getType() says
    libvirt_version: Mapped[int]  # 1_000_000 * major + 1_000 * minor + release, as libvirt counts
    qemu_version: Mapped[int]  # same
    virt_types: Mapped[list[str]]  # "kvm" and/or "qemu"
    cpu: Mapped[dict[str, Any]]  # arch, model, vendor, features[], usable_models[], xml (host-model CPU)
    vcpus: Mapped[int]  # host CPUs
    memory_mib: Mapped[int]  # physical
    reserved_memory_mib: Mapped[int]
    instances_path: Mapped[str] = mapped_column(String(255))
    disk_total_bytes: Mapped[int]
    disk_free_bytes: Mapped[int]
    migration_address: Mapped[str] = mapped_column(String(255))
    connector: Mapped[dict[str, Any]] = mapped_column(default=dict)  # how storage knows this host: initiator, address
    tls_ready: Mapped[bool]
    tls_reason: Mapped[str | None] = mapped_column(Text)  # why it is not, or when the certificate ends

    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    forced_down: Mapped[bool] = mapped_column(default=False)

    epoch: Mapped[str] = mapped_column(String(36))  # new at each start of the daemon
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow)  # the daemon's last heartbeat
    libvirt_ok: Mapped[bool] = mapped_column(default=True)
    down_reason: Mapped[str | None] = mapped_column(Text)  # e.g. libvirt did not answer within 15 s
    uptime: Mapped[str | None] = mapped_column(String(128))  # in the words of uptime(1), at the last heartbeat
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)


class Reservation(Base):
    """What one migration holds on its destination until it ends: at most one row a migration."""

    __tablename__ = "reservations"

    migration_id: Mapped[int] = mapped_column(RowId, ForeignKey("migrations.id", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(String(63), index=True)
    memory_mib: Mapped[int]
    vcpus: Mapped[int]
    disk_bytes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
