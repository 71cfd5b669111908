"""What a node sees differently from the machine: mounts, /etc, libvirt's configuration."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from lmigrate.lab import files
from lmigrate.lab.paths import INSTANCES_PATH, LabPaths

_ETC = Path("/etc")
_NAMESPACE = uuid.UUID("5c2d8d1c-5e0f-4d7c-9d6e-6c6d69677261")
# Debian's numbers; --no-install-recommends leaves them out, and the QEMU driver then refuses to start
_LIBVIRT_QEMU = ("libvirt-qemu:x:64055:64055:Libvirt Qemu,,,:/var/lib/libvirt:/usr/sbin/nologin", "libvirt-qemu:x:64055:")
_STATE_DIRECTORIES = {"lib": "/var/lib/libvirt", "log": "/var/log/libvirt", "cache": "/var/cache/libvirt"}

_QEMU_CONF = """\
# No systemd, no cgroups, no virtlogd here, and everything in the host is root's.
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
_QEMU_TLS = """\
default_tls_x509_cert_dir = "/etc/pki/qemu"
default_tls_x509_verify = 1
"""
_LIBVIRTD_CONF = """\
host_uuid = "{host_uuid}"
listen_tls = {tls:d}
listen_tcp = {plain:d}
auth_tls = "none"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
log_outputs = "3:stderr"
"""


def host_uuid(lab_id: str, host: str) -> uuid.UUID:
    """The UUID that the host's libvirtd reports; the same for the same lab and name."""
    return uuid.uuid5(_NAMESPACE, f"{lab_id}/{host}")


def common_mounts(paths: LabPaths, node: str) -> list[dict[str, str]]:
    """Mounts of a node with a network of its own: nothing that it writes to /etc, /run or /var reaches the machine."""
    own = paths.node(node)
    return [
        {"kind": "proc", "target": "/proc"},
        {"kind": "sysfs", "target": "/sys"},
        {"kind": "tmpfs", "target": "/run"},
        {"kind": "overlay", "target": "/etc", "upper": str(own / "etc"), "work": str(own / "etc.work")},
        # the upper side of an overlay may not lie below its lower side, as the lab's directory usually does
        {"kind": "tmpfs", "target": str(own / "scratch")},
        {"kind": "overlay", "target": "/var", "upper": str(own / "scratch/upper"), "work": str(own / "scratch/work")},
    ]


def host_mounts(paths: LabPaths, host: str, *, instances: str, kvm: bool) -> list[dict[str, str]]:
    """Mounts of a hypervisor host: libvirt's directories and the instances path are its own."""
    own = paths.node(host) / "libvirt"
    specs = [*common_mounts(paths, host), _bind(own / "etc", "/etc/libvirt")]
    specs += [_bind(own / name, target) for name, target in _STATE_DIRECTORIES.items()]
    specs.append(_bind(paths.instances(host, instances), str(INSTANCES_PATH)))
    if not kvm and Path("/dev/kvm").exists():
        specs.append({"kind": "hide", "target": "/dev/kvm"})
    return specs


def front_mounts() -> list[dict[str, str]]:
    """Mounts of the node that shares the machine's network and files: its own processes are all that differs."""
    return [{"kind": "proc", "target": "/proc"}]


def write_etc(paths: LabPaths, node: str, addresses: Mapping[str, str]) -> None:
    """Name resolution of a node: every name of the lab is in /etc/hosts, and no other is looked for."""
    etc = paths.node(node) / "etc"
    etc.mkdir(parents=True, exist_ok=True)
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in addresses.items())]
    files.write(etc / "hosts", "\n".join(lines) + "\n")
    files.write(etc / "hostname", f"{node}\n")
    files.write(etc / "resolv.conf", "")
    files.write(etc / "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\nprotocols: files\nservices: files\n")


def write_libvirt(paths: LabPaths, lab_id: str, host: str, *, tls: bool) -> None:
    """libvirtd.conf, qemu.conf and the directories of a host's libvirt; passwd entries when the machine lacks them."""
    own = paths.node(host) / "libvirt"
    for name in ("etc", *_STATE_DIRECTORIES):
        (own / name).mkdir(parents=True, exist_ok=True)
    files.write(own / "etc/libvirtd.conf", _LIBVIRTD_CONF.format(host_uuid=host_uuid(lab_id, host), tls=tls, plain=not tls))
    files.write(own / "etc/qemu.conf", _QEMU_CONF + (_QEMU_TLS if tls else ""))
    etc = paths.node(host) / "etc"
    _add_entry(etc, "passwd", _LIBVIRT_QEMU[0])
    _add_entry(etc, "group", _LIBVIRT_QEMU[1])
    _add_entry(etc, "group", "kvm:x:64056:")


def _add_entry(etc: Path, database: str, entry: str) -> None:
    """Add a line to the node's copy of passwd or group unless the name is known."""
    copy = etc / database
    current = (copy if copy.exists() else _ETC / database).read_text()
    name = entry.split(":", 1)[0]
    if any(line.startswith(f"{name}:") for line in current.splitlines()):
        return
    files.write(copy, f"{current.rstrip()}\n{entry}\n")


def _bind(source: Path, target: str) -> dict[str, str]:
    return {"kind": "bind", "source": str(source), "target": target}
