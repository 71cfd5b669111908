"""What a guest needs of its destination.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RequestSpec:
    """One guest that looks for a host."""

    instance_uuid: str
    source_host: str
    memory_mib: int
    vcpus: int
    virt_type: str  # kvm | qemu (TCG)
    disk_bytes: int = 0  # size of the local disks that have to move; 0: none, or not known yet

    protocols: frozenset[str] = frozenset()  # of its network disks: iscsi | nbd | rbd

    # The source's side of the comparison; None where the source never registered
    hypervisor_type: str | None = None
    qemu_version: int | None = None
    arch: str | None = None

    requested_destination: str | None = None  # consider this host only
    is_forced: bool = False  # the operator insists: only what cannot work at all is refused
    excluded: Mapping[str, str] = field(default_factory=dict)  # host -> why it is not asked again
