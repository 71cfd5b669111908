"""What lmigrate asks of shared block storage.  A driver runs beside its storage, in the storage daemon."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self


@dataclass(frozen=True)
class Connector:
    """A host as the storage knows it (Cinder: connector)."""

    host: str
    initiator: str  # iSCSI name
    address: str
    protocols: tuple[str, ...] | None = None  # what QEMU there can open; None: an older daemon has not looked
    multipath: bool = False  # multipathd runs there

    def to_json(self) -> dict[str, Any]:
        """As it is kept with an attachment."""
        return {**asdict(self), "protocols": None if self.protocols is None else list(self.protocols)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        protocols = data.get("protocols")
        return cls(
            host=data["host"],
            initiator=data["initiator"],
            address=data["address"],
            protocols=None if protocols is None else tuple(protocols),
            multipath=data.get("multipath", False),
        )


@dataclass(frozen=True)
class ConnectionInfo:
    """How one host reaches one volume.  ``secret`` never leaves the database and the host that needs it."""

    protocol: str  # iscsi | nbd | rbd | file
    source_name: str  # <source name='…'>; of a file: its path
    hosts: tuple[tuple[str, int], ...]  # name or address, port
    initiator: str | None = None
    auth_username: str | None = None
    auth_type: str | None = None  # iscsi | ceph: libvirt's <secret type='…'>
    secret: str | None = None
    is_tls: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the encrypted column only."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**data, "hosts": tuple((host, port) for host, port in data["hosts"])})

    def __repr__(self) -> str:
        return f"ConnectionInfo({self.protocol}:{self.source_name})"  # no secret in a log or a traceback


@dataclass(frozen=True)
class VolumeRef:
    """A volume as its driver knows it."""

    uuid: str
    location: dict[str, Any]


class Driver(Protocol):
    """Access to the volumes of one backend.  ``grant`` and ``revoke`` are *ensure*: twice equals once.

    Every method raises StorageError when the storage refuses or does not answer.  ``instance_uuid`` is for
    storage that keeps books on who uses a volume (Cinder); the others do not look at it.
    """

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """A new, empty volume."""

    def delete(self, volume: VolumeRef) -> None:
        """Remove a volume and its content; absent is fine."""

    def source_name(self, volume: VolumeRef) -> str:
        """What a domain's <source name='…'> calls it."""

    def size_bytes(self, volume: VolumeRef) -> int:
        """Its size; raises if it is not there."""

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """Let the connector's host in, under credentials that belong to this attachment alone."""

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """Shut the host out and end its sessions; absent is fine, also an absent volume."""

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """Initiators that are let in now, as the storage itself says."""
