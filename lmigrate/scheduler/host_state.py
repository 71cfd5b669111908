"""A host as the scheduler sees it at one moment.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostState:
    """A candidate: what it is, and what is left of it."""

    name: str
    is_enabled: bool
    disabled_reason: str | None
    down_reason: str | None  # None: it is up
    hypervisor_type: str
    qemu_version: int
    virt_types: tuple[str, ...]
    arch: str | None
    protocols: frozenset[str] | None  # of network disks, which its QEMU speaks; None: not known

    memory_mib: int
    reserved_memory_mib: int  # for the host itself
    used_memory_mib: int  # guests that run here, and guests on their way
    ram_allocation_ratio: float

    disk_free_bytes: int
    reserved_disk_bytes: int  # disks on their way
    incoming_migrations: int

    @property
    def available_memory_mib(self) -> int:
        """Memory for one more guest, by Nova's formula: total x ratio - used; may be negative."""
        return int(self.memory_mib * self.ram_allocation_ratio) - self.reserved_memory_mib - self.used_memory_mib

    @property
    def available_disk_bytes(self) -> int:
        """Disk space for one more guest."""
        return self.disk_free_bytes - self.reserved_disk_bytes
