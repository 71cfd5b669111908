"""How a host reaches a volume: QEMU by itself, or the kernel, which gives QEMU a block device.

QEMU's own initiator is the default.  The kernel's, through os-brick (the extra `brick`), stands behind
the same interface and is chosen for iSCSI by the setting ``host.volume_initiator``; it has not been
run against a real kernel initiator.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from lmigrate.config import HostSettings
from lmigrate.errors import StorageError
from lmigrate.storage import login
from lmigrate.storage.drivers.base import ConnectionInfo

_MISSING = "os-brick is not installed here: pip install 'lmigrate[brick]'"


class Initiator(Protocol):
    """Every method raises StorageError."""

    def connect(self, info: ConnectionInfo) -> ConnectionInfo:
        """Make the volume reachable from this host, and say how QEMU opens it; twice is once."""

    def disconnect(self, info: ConnectionInfo) -> None:
        """Let go of it; absent is fine.  ``info`` is what `connect` was given."""


class QemuInitiator:
    """QEMU logs in when it opens the disk: only whether it will be let in is tried beforehand."""

    def __init__(self, pki_dir: Path) -> None:
        self._pki_dir = pki_dir

    def connect(self, info: ConnectionInfo) -> ConnectionInfo:
        """The same, once a login has worked."""
        reason = login.why_refused(info, self._pki_dir)
        if reason is not None:
            raise StorageError(backend=info.protocol, reason=f"{info.source_name} cannot be opened: {reason}")
        return info

    def disconnect(self, info: ConnectionInfo) -> None:
        """QEMU logs out when it closes the disk."""


class KernelInitiator:
    """os-brick logs the kernel in (iscsiadm); QEMU gets the block device."""

    def connect(self, info: ConnectionInfo) -> ConnectionInfo:
        """The block device, by the link that udev makes: it names portal, target and LUN, so the volume is known again."""
        self._call("connect_volume", info)
        path = device_path(info)
        return replace(info, protocol="block", source_name=path, hosts=(), auth_username=None, auth_type=None, secret=None)

    def disconnect(self, info: ConnectionInfo) -> None:
        """Flush and log out."""
        self._call("disconnect_volume", info, None)

    def _call(self, method: str, info: ConnectionInfo, *arguments: Any) -> Any:
        try:
            from os_brick import exception  # noqa: PLC0415 - an extra
            from os_brick.initiator import connector  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise StorageError(backend=info.protocol, reason=_MISSING) from error
        if info.protocol != "iscsi":
            raise StorageError(backend=info.protocol, reason="the kernel's initiator is used for iSCSI only")
        made = connector.InitiatorConnector.factory("ISCSI", "", use_multipath=False)  # the daemon is root
        try:
            return getattr(made, method)(_properties(info), *arguments)
        except exception.BrickException as error:
            # os-brick's texts quote the command and the properties
            text = str(error).replace(info.secret, "***") if info.secret else str(error)
            raise StorageError(backend=info.protocol, reason=f"os-brick, {method} of {info.source_name}: {text}") from None


def initiator_for(info: ConnectionInfo, options: HostSettings) -> Initiator:
    """Who logs in to this volume on the host of ``options``."""
    if options.volume_initiator == "kernel" and info.protocol == "iscsi":
        return KernelInitiator()
    return QemuInitiator(options.pki_dir)


def device_path(info: ConnectionInfo) -> str:
    """udev's link to an iSCSI LUN (60-persistent-storage.rules); `iscsi_name` is its inverse."""
    properties = _properties(info)
    return f"/dev/disk/by-path/ip-{properties['target_portal']}-iscsi-{properties['target_iqn']}-lun-{properties['target_lun']}"


def _properties(info: ConnectionInfo) -> dict[str, Any]:
    """Cinder's and os-brick's form of an iSCSI connection."""
    target, _, lun = info.source_name.rpartition("/")
    host, port = info.hosts[0]
    found: dict[str, Any] = {
        "target_portal": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "target_iqn": target,
        "target_lun": int(lun),
        "target_discovered": False,
        "access_mode": "rw",
    }
    if info.secret is not None:
        found |= {"auth_method": "CHAP", "auth_username": info.auth_username, "auth_password": info.secret}
    return found
