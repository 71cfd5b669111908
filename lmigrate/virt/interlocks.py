"""Work on a domain's disks that a migration must not meet."""

from __future__ import annotations

import libvirt

from lmigrate.virt.xml.backup import backup_obstacle
from lmigrate.virt.xml.document import parse
from lmigrate.virt.xml.domain import disks

_BLOCK_JOBS = {
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: "pull",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY: "copy",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT: "commit",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT: "active commit",
}


def interlocks(dom: libvirt.virDomain) -> list[str]:
    """Each reason, with what to do about it; libvirt would refuse these only after everything was prepared."""
    found = [reason for disk in disks(parse(dom.XMLDesc(0))) if (reason := _block_job(dom, disk.device_name))]
    found += _backup(dom)
    snapshots = dom.snapshotNum()
    if snapshots:
        found.append(f"libvirt keeps {snapshots} snapshots of it, which cannot move along: delete them (virsh snapshot-delete)")
    return found


def _block_job(dom: libvirt.virDomain, device_name: str) -> str | None:
    job = dom.blockJobInfo(device_name)
    if not job or job["type"] == libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP:  # `_backup` tells of all its disks at once
        return None
    kind = _BLOCK_JOBS.get(job["type"], "unknown")
    percent = 100 * job["cur"] // job["end"] if job["end"] else 0
    return f"disk {device_name} has a block job ({kind}, {percent} %): wait for its end or cancel it (virsh blockjob)"


def _backup(dom: libvirt.virDomain) -> list[str]:
    """Its block jobs cannot be cancelled one by one."""
    try:
        return [backup_obstacle(dom.backupGetXMLDesc())]
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_BACKUP:
            return []
        raise
