"""What a guest needs of its destination.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree


@dataclass(frozen=True)
class RequestSpec:
    """One guest that looks for a host."""

    instance_uuid: str
    source_host: str
    memory_mib: int
    vcpus: int
    virt_type: str  # kvm | qemu (TCG)
    disk_bytes: int = 0  # size of the local disks that have to move; 0: none, or not known yet

    # The source's side of the comparison; None where the source never registered
    hypervisor_type: str | None = None
    qemu_version: int | None = None
    arch: str | None = None
    cpu_model: str | None = None  # of the running guest, when its XML names one

    requested_destination: str | None = None  # consider this host only
    is_forced: bool = False  # the operator insists: only what cannot work at all is refused
    excluded: Mapping[str, str] = field(default_factory=dict)  # host -> why it is not asked again


def named_cpu_model(cpu_xml: str | None) -> str | None:
    """The CPU model that a domain's ``<cpu>`` names, or None when it only says "like the host"."""
    if not cpu_xml:
        return None
    cpu = etree.fromstring(cpu_xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    # <cpu match='…'> without a mode is libvirt's older way of writing mode='custom'
    return cpu.findtext("model") if cpu.get("mode", "custom") == "custom" else None
