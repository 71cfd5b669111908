"""What a host is and can do, from libvirt's capabilities and domain capabilities."""

from __future__ import annotations

import libvirt
from lxml import etree

from lmigrate.virt.types import HostFacts
from lmigrate.virt.xml.document import parse


def read_facts(connection: libvirt.virConnect) -> HostFacts:
    """Facts of the host behind ``connection``."""
    capabilities = parse(connection.getCapabilities())
    arch = capabilities.findtext("./host/cpu/arch") or "x86_64"
    virt_types = _virt_types(capabilities, arch)
    domain_capabilities = parse(connection.getDomainCapabilities(None, arch, None, "kvm" if "kvm" in virt_types else "qemu"))
    return HostFacts(
        uuid=capabilities.findtext("./host/uuid") or "",
        hostname=connection.getHostname(),
        hypervisor_type=connection.getType(),
        libvirt_version=connection.getLibVersion(),
        qemu_version=connection.getVersion(),
        virt_types=virt_types,
        arch=arch,
        vcpus=connection.getInfo()[2],
        memory_mib=_memory_mib(connection),
        cpu_model=capabilities.findtext("./host/cpu/model"),
        cpu_vendor=capabilities.findtext("./host/cpu/vendor"),
        cpu_features=tuple(sorted(feature.get("name", "") for feature in capabilities.findall("./host/cpu/feature"))),
        usable_models=_usable_models(domain_capabilities),
        cpu_xml=_host_model(domain_capabilities),
    )


def _memory_mib(connection: libvirt.virConnect) -> int:
    """Physical memory of all cells.  virNodeGetInfo counts NUMA cells, and misses memory that came later."""
    stats = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    return int(stats["total"]) // 1024


def compare_cpu(connection: libvirt.virConnect, cpu_xml: str, virt_type: str) -> str | None:
    """None if a guest with this <cpu> can run here, else why not.

    TCG emulates any CPU, so only KVM guests are compared.  The live domain's <cpu> is used,
    not the host's: it names exactly what the guest was started with.
    """
    if virt_type != "kvm":
        return None
    try:
        result = connection.compareHypervisorCPU(None, None, None, virt_type, cpu_xml, libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        if error.get_error_code() == libvirt.VIR_ERR_CPU_INCOMPATIBLE:
            return str(error)
        raise
    return "libvirt calls it incompatible" if result <= libvirt.VIR_CPU_COMPARE_INCOMPATIBLE else None


def _virt_types(capabilities: etree._Element, arch: str) -> tuple[str, ...]:
    domains = capabilities.xpath("./guest[os_type='hvm']/arch[@name=$arch]/domain/@type", arch=arch)
    return tuple(sorted({str(name) for name in domains}))


def _usable_models(domain_capabilities: etree._Element) -> tuple[str, ...]:
    return tuple(sorted(model.text or "" for model in domain_capabilities.findall("./cpu/mode[@name='custom']/model[@usable='yes']")))


def _host_model(domain_capabilities: etree._Element) -> str | None:
    mode = domain_capabilities.find("./cpu/mode[@name='host-model'][@supported='yes']")
    if mode is None:
        return None
    return etree.tostring(mode, encoding="unicode", with_tail=False)
