"""The programs that a lab starts, and the Debian package that each comes from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lmigrate.lab.errors import MissingProgram, NotRoot

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POSTGRESQL = Path("/usr/lib/postgresql")
_PROGRAMS = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setsid": "util-linux",
    "setpriv": "util-linux",
    "libvirtd": "libvirt-daemon",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "redis-server": "redis-server",
}
_QEMU_DRIVER = "libvirt/connection-driver/libvirt_driver_qemu.so"


def require_root() -> None:
    """
    Raises:
        NotRoot: we are not.
    """
    if os.geteuid() != 0:
        raise NotRoot


def require_programs(database: str) -> None:
    """
    Raises:
        MissingProgram: one is not there; names the package.
    """
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=SEARCH_PATH) is None:
            raise MissingProgram(program=program, package=package)
    if not any(Path("/usr/lib").glob(f"*/{_QEMU_DRIVER}")) and not (Path("/usr/lib") / _QEMU_DRIVER).exists():
        raise MissingProgram(program="libvirt's QEMU driver", package="libvirt-daemon-driver-qemu")
    if database == "postgresql":
        postgresql_directory()


def postgresql_directory() -> Path:
    """Where the newest installed PostgreSQL keeps its programs.

    Raises:
        MissingProgram: there is none.
    """
    found = [path.parent for path in _POSTGRESQL.glob("*/bin/postgres")]
    if not found:
        raise MissingProgram(program="postgres", package="postgresql")
    return max(found, key=lambda path: float(path.parent.name))
