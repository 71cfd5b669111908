"""What a domain's XML says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from lmigrate.virt.types import DiskInfo

#: KiB per unit of <memory unit='…'>, https://libvirt.org/formatdomain.html#memory-allocation
_KIB = {
    "b": 1 / 1024,
    "bytes": 1 / 1024,
    "KB": 1000 / 1024,
    "k": 1,
    "KiB": 1,
    "MB": 1e6 / 1024,
    "M": 1024,
    "MiB": 1024,
    "GB": 1e9 / 1024,
    "G": 1024**2,
    "GiB": 1024**2,
    "T": 1024**3,
    "TiB": 1024**3,
}


def memory_mib(root: etree._Element) -> int:
    """The guest's memory in MiB, rounded up."""
    element = root.find("./memory")
    if element is None or not element.text:
        return 0
    kib = int(element.text) * _KIB[element.get("unit", "KiB")]
    return -int(-kib // 1024)


def vcpus(root: etree._Element) -> int:
    """Number of virtual CPUs (the maximum)."""
    return int(root.findtext("./vcpu") or 1)


def cpu_xml(root: etree._Element) -> str | None:
    """The domain's <cpu> element, or None if it names none."""
    element = root.find("./cpu")
    return None if element is None else etree.tostring(element, encoding="unicode", with_tail=False)


_ISCSI_LINK = re.compile(r"^/dev/disk/by-path/(?:.*-)?ip-.+-iscsi-(?P<iqn>.+)-lun-(?P<lun>\d+)$")


def disks(root: etree._Element) -> tuple[DiskInfo, ...]:
    """Every <disk>, in order."""
    return tuple(_disk(element) for element in root.findall("./devices/disk"))


def _disk(disk: etree._Element) -> DiskInfo:
    source = disk.find("./source")
    path = None if source is None else source.get("file") or source.get("dev") or source.get("dir")
    target = disk.find("./target")
    boot = disk.find("./boot")
    driver = disk.find("./driver")
    return DiskInfo(
        device_name="" if target is None else target.get("dev", ""),
        device_type=disk.get("device", "disk"),
        source_type="blank" if source is None else disk.get("type", "file"),
        path=path,
        format=None if driver is None else driver.get("type"),
        bus=None if target is None else target.get("bus"),
        serial=disk.findtext("./serial"),
        is_read_only=disk.find("./readonly") is not None or disk.get("device") == "cdrom",
        is_shareable=disk.find("./shareable") is not None,
        boot_index=None if boot is None else int(boot.get("order", "0")),
        protocol=None if source is None else source.get("protocol"),
        source_name=None if source is None else source.get("name") or iscsi_name(source.get("dev")),
    )


def iscsi_name(path: str | None) -> str | None:
    """IQN/LUN of a block device that the kernel's initiator has made, from udev's link to it; None for any other."""
    found = _ISCSI_LINK.search(path or "")
    return None if found is None else f"{found['iqn']}/{found['lun']}"


@dataclass(frozen=True)
class Obstacle:
    """Something in a domain that keeps it from being live migrated."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})"


#: XPath → what it is, and what to do about it.  libvirt or QEMU refuse these, or lose their state.
_OBSTACLES = {
    "./devices/hostdev": Obstacle("it has a host device passed through", "detach it first"),
    "./devices/interface[@type='hostdev']": Obstacle("a network interface is a passed-through device", "detach it first"),
    "./devices/filesystem": Obstacle("it has a filesystem of the host (virtiofs or 9p)", "unmount and detach it first"),
    "./devices/shmem[@role='peer']": Obstacle("it shares memory with another guest (ivshmem)", "detach it first"),
    "./devices/tpm/backend[@type='passthrough']": Obstacle("it uses the host's TPM", "use an emulated TPM"),
    "./devices/tpm/backend[@type='emulator']": Obstacle("it has an emulated TPM whose state lies on the host", "not supported yet"),
    "./launchSecurity": Obstacle("its memory is encrypted (SEV, TDX)", "such guests cannot be migrated live"),
    "./devices/memory[@model='nvdimm']": Obstacle("it has an NVDIMM backed by a file of the host", "detach it first"),
    "./devices/disk/source/reservations": Obstacle("a disk uses SCSI persistent reservations", "stop using them first"),
    "./devices/disk[@type='vhostuser']": Obstacle("a disk is served by a vhost-user process", "detach it first"),
    "./devices/disk[@type='nvme']": Obstacle("a disk is an NVMe device of the host", "detach it first"),
    "./cpu[@mode='host-passthrough'][@migratable='off']": Obstacle(
        "its CPU is passed through with migratable='off'", "use migratable='on' or a named model"
    ),
}


def obstacles(root: etree._Element) -> list[str]:
    """Every reason at once why this domain cannot be live migrated; empty if there is none."""
    return [str(obstacle) for path, obstacle in _OBSTACLES.items() if root.find(path) is not None]


def auxiliary_files(root: etree._Element) -> dict[str, str]:
    """Read-only files of the host that QEMU needs to start: what → path (kernel, initrd, firmware …)."""
    found = {name: root.findtext(f"./os/{name}") for name in ("kernel", "initrd", "dtb", "loader")}
    return {name: path for name, path in found.items() if path}


def encryption_secrets(root: etree._Element) -> list[str]:
    """UUIDs of libvirt's secrets that open the guest's encrypted disks."""
    return sorted({str(uuid) for uuid in root.xpath("./devices/disk//encryption/secret/@uuid")})


def nvram_path(root: etree._Element) -> str | None:
    """The guest's UEFI variables: a writable file beside its disks."""
    return root.findtext("./os/nvram") or None


def character_device_files(root: etree._Element) -> list[str]:
    """Files into which serial ports and consoles are written."""
    sources = root.xpath("./devices/serial[@type='file']/source/@path | ./devices/console[@type='file']/source/@path")
    logs = root.xpath("./devices/serial/log/@file | ./devices/console/log/@file")
    return sorted({str(path) for path in [*sources, *logs]})
