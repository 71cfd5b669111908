"""A volume's <disk> on another host, and the <secret> it logs in with."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from lmigrate.virt.types import Secret
from lmigrate.virt.xml.document import write

#: disks that are a path of the host: type → the attribute of <source>
_PATHS = {"file": "file", "block": "dev"}


@dataclass(frozen=True)
class VolumeSource:
    """The host's own part of a network disk, or the path of a file or block device."""

    protocol: str  # iscsi | nbd | rbd | file | block
    name: str
    hosts: tuple[tuple[str, int], ...]
    initiator: str | None = None
    auth_username: str | None = None
    auth_type: str | None = None  # iscsi | ceph
    secret_uuid: str | None = None
    is_tls: bool = False


def update_volume(disk: etree._Element, source: VolumeSource) -> None:
    """Make ``disk`` reach its volume by ``source``.

    Only <source> (and the older place of <auth>) changes: driver, cache, target, serial, address,
    boot order, iothread and encryption are the guest's and stay.
    """
    old = disk.find("./source")
    new = _source(source)
    disk.set("type", source.protocol if source.protocol in _PATHS else "network")
    for child in [] if old is None else old:
        if child.tag not in {"host", "initiator", "auth"}:
            new.append(child)  # <encryption>, <slices>, <snapshot> … belong to the volume, not to the host
    for auth in disk.findall("./auth"):
        disk.remove(auth)
    if old is None:
        disk.insert(0, new)
    else:
        new.tail = old.tail
        disk.replace(old, new)


def _source(source: VolumeSource) -> etree._Element:
    if source.protocol in _PATHS:
        return etree.Element("source", {_PATHS[source.protocol]: source.name})
    element = etree.Element("source", protocol=source.protocol, name=source.name)
    if source.is_tls:
        element.set("tls", "yes")
    for name, port in source.hosts:
        etree.SubElement(element, "host", name=name, port=str(port))
    if source.initiator:
        etree.SubElement(etree.SubElement(element, "initiator"), "iqn", name=source.initiator)
    if source.auth_username and source.secret_uuid:
        auth = etree.SubElement(element, "auth", username=source.auth_username)
        etree.SubElement(auth, "secret", type=source.auth_type or "iscsi", uuid=source.secret_uuid)
    return element


def secret_xml(secret: Secret) -> str:
    """The definition of a secret, without its value: https://libvirt.org/formatsecret.html"""
    root = etree.Element("secret", ephemeral="yes", private="yes")
    etree.SubElement(root, "uuid").text = secret.uuid
    usage = etree.SubElement(root, "usage", type=secret.kind)
    etree.SubElement(usage, "name" if secret.kind == "ceph" else "target").text = secret.usage
    return write(root)
