"""The CPU that the destination is asked about."""

from __future__ import annotations

from lxml import etree

from lmigrate.virt.xml.document import parse, write

#: modes in which the guest has whatever CPU its host has: of these libvirt says that they run everywhere
_AS_HOST = {"host-passthrough", "maximum"}


def cpu_to_compare(guest_cpu: str | None, source_host_model: str | None) -> str | None:
    """A <cpu> whose comparison tells something, or None if it is not known what the guest's CPU has.

    ``guest_cpu`` is the running domain's <cpu>; ``source_host_model`` the host-model <mode> of its host's
    domain capabilities, which stands for the guest's CPU where that is its host's.
    """
    if guest_cpu is None:
        return None
    guest = parse(guest_cpu)
    if guest.get("mode") not in _AS_HOST:
        return guest_cpu
    return None if source_host_model is None else write(_custom_cpu(parse(source_host_model), guest))


def _custom_cpu(host_model: etree._Element, guest: etree._Element) -> etree._Element:
    """The host's model with its features, but for those that the guest's <cpu> says otherwise."""
    cpu = etree.Element("cpu", mode="custom", match="exact")
    for name in ("model", "vendor"):
        found = host_model.find(name)
        if found is not None:
            etree.SubElement(cpu, name).text = found.text
    features = {
        feature.get("name", ""): feature.get("policy", "require") for feature in [*host_model.findall("feature"), *guest.findall("feature")]
    }
    for name, policy in features.items():
        etree.SubElement(cpu, "feature", policy=policy, name=name)
    return cpu
