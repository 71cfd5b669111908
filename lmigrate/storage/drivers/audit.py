"""What a driver may do besides `Driver`: find a volume by its name, and compare the storage's own books with the records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef


@runtime_checkable
class Locating(Protocol):
    """A driver that finds a volume by what a domain calls it."""

    def locate(self, source_name: str) -> dict[str, Any]:
        """The volume's location.

        Raises:
            StorageError: the storage has none of that name, or does not answer.
        """


@dataclass(frozen=True)
class Access:
    """One entry by which the storage lets somebody in: an initiator on a volume, or an account that names an attachment."""

    volume_uuid: str | None  # None: an account that belongs to no volume
    initiator: str | None = None
    attachment_uuid: str | None = None

    def __str__(self) -> str:
        what = f"initiator {self.initiator}" if self.initiator else f"account of attachment {self.attachment_uuid}"
        return what if self.volume_uuid is None else f"{what} on volume {self.volume_uuid}"


@dataclass(frozen=True)
class Grant:
    """Access that was granted and recorded: all that is needed to give it once more, with the same credentials."""

    volume: VolumeRef
    connector: Connector
    attachment_uuid: str
    info: ConnectionInfo


@runtime_checkable
class Auditable(Protocol):
    """A driver that can read the storage's own books.  Every method raises StorageError."""

    def accesses(self, volumes: Sequence[VolumeRef]) -> frozenset[Access]:
        """All access to ``volumes``, and accounts of ours that belong to nothing."""

    def withdraw(self, access: Access, volume: VolumeRef | None) -> None:
        """Take one entry away and end the sessions that came in by it; absent is fine."""

    def missing(self, grants: Sequence[Grant]) -> list[Grant]:
        """Those that the storage does not know, in part or whole: it was restarted and has forgotten."""

    def restore(self, grant: Grant) -> None:
        """Give it once more, with the credentials of ``grant.info``; the guest that uses it logs in again by itself."""


@dataclass(frozen=True)
class Stray:
    """Something in the storage's books that no record explains, and that nobody can prove to be unneeded."""

    subject: str  # by which the storage knows it
    what: str  # a sentence
    instance_uuid: str


@runtime_checkable
class Telling(Protocol):
    """A driver of a storage that keeps books of attachments by itself.  Raises StorageError."""

    def strays(self, volume: VolumeRef, users: Collection[tuple[str, str]], hosts: Collection[str]) -> list[Stray]:
        """Attachments of ``volume`` that are none of ``users`` (instance, host); reads only.

        Of those instances, or on ``hosts``, which are ours: others are not our business.
        """
