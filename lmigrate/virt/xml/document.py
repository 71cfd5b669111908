"""Parsing and writing of libvirt's XML, with everything dangerous switched off."""

from __future__ import annotations

from lxml import etree

#: Namespace of what lmigrate keeps in a domain's <metadata>.
NAMESPACE = "urn:lmigrate:domain:1"
_MARK = f"{{{NAMESPACE}}}migration"


def parse(xml: str) -> etree._Element:
    """The root element.  Entities are not resolved and nothing is fetched."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=False, huge_tree=False)
    return etree.fromstring(xml.encode(), parser)


def write(root: etree._Element) -> str:
    """The document as text."""
    return etree.tostring(root, encoding="unicode")


def mark_of(root: etree._Element) -> str | None:
    """UUID of the migration that made this domain, if one of ours did."""
    found = root.find(f"./metadata/{_MARK}")
    return None if found is None else found.get("uuid")


def set_mark(root: etree._Element, migration_uuid: str) -> None:
    """Write the migration's UUID into the domain's metadata, in place of an older one."""
    metadata = root.find("./metadata")
    if metadata is None:
        metadata = etree.SubElement(root, "metadata")
    for old in metadata.findall(_MARK):
        metadata.remove(old)
    mark = etree.SubElement(metadata, _MARK, nsmap={"lmigrate": NAMESPACE})
    mark.set("uuid", migration_uuid)
