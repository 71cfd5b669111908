"""The domain's XML as the destination needs it.

Only what is a matter of the host changes: paths of copied disks and of log files,
addresses to listen on, our mark.  Everything that the guest can see (machine type, MAC
and PCI addresses, CPU, serials) stays byte for byte; libvirt refuses the move otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

from lmigrate.virt.xml.document import parse, set_mark, write
from lmigrate.virt.xml.volume import VolumeSource, update_volume

#: addresses that each host has
_ON_EVERY_HOST = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}  # noqa: S104 - compared only


@dataclass(frozen=True)
class DestinationChanges:
    """What differs on the destination."""

    migration_uuid: str
    source_directory: str  # the guest's directory on the source: paths below it …
    destination_directory: str  # … become paths below this one
    copied_disks: frozenset[str] = frozenset()  # target devices whose content is copied
    disk_formats: Mapping[str, str] = field(default_factory=dict)  # target device → format on the destination
    graphics_listen: str | None = None
    volumes: Mapping[str, VolumeSource] = field(default_factory=dict)  # target device → how the destination reaches it


def destination_xml(source_xml: str, changes: DestinationChanges) -> str:
    """``source_xml`` with ``changes`` applied.  Applying it twice gives the same."""
    root = parse(source_xml)
    set_mark(root, changes.migration_uuid)
    for disk in root.findall("./devices/disk"):
        _update_disk(disk, changes)
    for source in root.xpath(
        "./devices/serial/source[@path] | ./devices/console/source[@path] | ./devices/serial/log | ./devices/console/log"
    ):
        _move_path(source, "path" if source.get("path") else "file", changes)
    _update_text(root.find("./os/nvram"), changes)
    if changes.graphics_listen:
        _update_graphics(root, changes.graphics_listen)
        _update_serial(root, changes.graphics_listen)
    return write(root)


def _update_disk(disk: etree._Element, changes: DestinationChanges) -> None:
    source, target = disk.find("./source"), disk.find("./target")
    if source is None or target is None:
        return
    _move_path(source, "file", changes)
    device = target.get("dev", "")
    if device in changes.volumes:
        update_volume(disk, changes.volumes[device])
    if device not in changes.copied_disks:
        return
    driver = disk.find("./driver")
    if driver is not None and device in changes.disk_formats:
        driver.set("type", changes.disk_formats[device])
    source.attrib.pop("index", None)
    for backing in disk.findall("./backingStore"):
        # libvirt reads the new image's own chain; the source's may name files that are not here
        disk.remove(backing)


def _move_path(element: etree._Element, attribute: str, changes: DestinationChanges) -> None:
    moved = moved_path(element.get(attribute), changes.source_directory, changes.destination_directory)
    if moved is not None:
        element.set(attribute, moved)


def _update_text(element: etree._Element | None, changes: DestinationChanges) -> None:
    if element is not None:
        element.text = moved_path(element.text, changes.source_directory, changes.destination_directory) or element.text


def _update_graphics(root: etree._Element, address: str) -> None:
    for graphics in root.findall("./devices/graphics"):
        if graphics.get("listen"):
            graphics.set("listen", address)
        for listen in graphics.findall("./listen[@type='address']"):
            listen.set("address", address)


def _update_serial(root: etree._Element, address: str) -> None:
    """Ports that listen on an address of the source; one for the host itself stays so: it asks for no password."""
    for source in root.xpath("./devices/serial/source[@mode='bind'][@host] | ./devices/console/source[@mode='bind'][@host]"):
        if source.get("host") not in _ON_EVERY_HOST:
            source.set("host", address)


def moved_path(path: str | None, old_directory: str, new_directory: str) -> str | None:
    """``path`` with its leading ``old_directory`` replaced; None if it does not lie below it, ``..`` resolved."""
    if path is None:
        return None
    path, old_directory = os.path.normpath(path), os.path.normpath(old_directory).rstrip("/")
    if not path.startswith(old_directory + "/"):
        return None
    return new_directory.rstrip("/") + path[len(old_directory) :]
