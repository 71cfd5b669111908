"""The files of a guest on a host: its directory, its disks, and the base images that all hosts have.

Paths in disks are the host's own, so qemu-img runs inside the host; data is written from outside.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from lmigrate.lab.guests.domain_xml import CONFIG_DRIVE, disk_name
from lmigrate.lab.guests.spec import DiskSpec, GuestSpec
from lmigrate.lab.host import Host

BASE = "_base"
_MIB = 1 << 20
_QEMU_IMG_TIMEOUT_S = 120.0


def add_base_file(hosts: Iterable[Host], name: str, data: bytes) -> Path:
    """Put a file into the base directory of every host, unless there is one; its path as the hosts see it."""
    path = Path(BASE) / name
    for host in hosts:
        file = host.instances_dir / path
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{name}.{os.getpid()}")
        unfinished.write_bytes(data)
        unfinished.rename(file)
    return _inside(hosts, path)


def add_base_image(hosts: Iterable[Host], disk: DiskSpec) -> Path:
    """The raw base image of a disk, the same on every host."""
    name = str(disk.backing)
    present = [host.instances_dir / BASE / name for host in hosts if (host.instances_dir / BASE / name).exists()]
    data = present[0].read_bytes() if present else os.urandom(disk.size_mib * _MIB)
    return add_base_file(hosts, name, data)


def make_disks(host: Host, spec: GuestSpec, hosts: Iterable[Host], boot_sectors: bytes) -> None:
    """Make the instance directory and its disks on ``host``; ``boot_sectors`` begin the first one if it boots."""
    (host.instances_dir / spec.uuid).mkdir(parents=True)
    for place, disk in enumerate(spec.disks):
        data = os.urandom(disk.fill_mib * _MIB)
        if place == 0 and spec.boots_from_disk:
            data = boot_sectors + data[len(boot_sectors) :]
        _make_disk(host, host.instances_path / spec.uuid / disk_name(place), disk, hosts, data)
    if spec.config_drive_kib:
        drive = host.instances_dir / spec.uuid / CONFIG_DRIVE
        drive.write_bytes(os.urandom(spec.config_drive_kib << 10))
        drive.chmod(0o640)


def disk_checksum(host: Host, path: Path) -> str:
    """SHA-256 of what a guest sees in a disk, whatever its format; ``path`` as the host sees it."""
    with tempfile.TemporaryDirectory() as directory:
        content = Path(directory) / "content.raw"
        # -U: the guest may be running
        host.run(["qemu-img", "convert", "-U", "-O", "raw", str(path), str(content)], check=True, timeout_s=_QEMU_IMG_TIMEOUT_S)
        digest = sha256()
        with content.open("rb") as file:
            while chunk := file.read(_MIB):
                digest.update(chunk)
    return digest.hexdigest()


def _make_disk(host: Host, path: Path, disk: DiskSpec, hosts: Iterable[Host], data: bytes) -> None:
    backing = ["-b", str(add_base_image(hosts, disk)), "-F", "raw"] if disk.backing else []
    host.run(["qemu-img", "create", "-q", "-f", disk.format, *backing, str(path), f"{disk.size_mib}M"], check=True)
    if not data:
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        # written through the format, so that what the base image has elsewhere stays
        write = f"write -q -s {file.name} 0 {len(data)}"
        host.run(["qemu-io", "-f", disk.format, "-c", write, str(path)], check=True, timeout_s=_QEMU_IMG_TIMEOUT_S)


def _inside(hosts: Iterable[Host], path: Path) -> Path:
    return next(iter(hosts)).instances_path / path
