"""A running backup, as libvirt describes it."""

from __future__ import annotations

from lmigrate.virt.xml.document import parse

_REMEDIES = {
    "push": "wait for its end, or cancel it (virsh domjobabort)",
    "pull": "it has no end of its own: whoever reads it ends it (virsh domjobabort)",
}


def backup_obstacle(xml: str) -> str:
    """Why a guest with this <domainbackup> cannot move, with what to do about it: https://libvirt.org/formatbackup.html"""
    root = parse(xml)
    mode = root.get("mode", "push")
    names = [disk.get("name", "") for disk in root.findall("./disks/disk") if disk.get("backup", "yes") == "yes"]
    return f"a backup of {', '.join(names)} runs ({mode} mode): {_REMEDIES.get(mode, _REMEDIES['push'])}"
