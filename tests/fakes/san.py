"""A storage in memory that knows who is let in where.  It passes the same conformance tests as the real ones."""

from __future__ import annotations

from typing import Any

from lmigrate.errors import StorageError
from lmigrate.ids import new_uuid
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef

_Entry = tuple[str, str, str]


class FakeSan:
    """`Driver` over a dictionary.

    Attributes:
        let_in: volume's source name, initiator, attachment → the password.
        is_away: it answers nobody.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.let_in: dict[_Entry, str] = {}
        self.is_away = False
        self._sizes: dict[str, int] = {}

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        self._answer()
        volume = VolumeRef(uuid, {"name": f"iqn.2026-11.org.lmigrate.san:{uuid}/1"})
        if self.source_name(volume) in self._sizes:
            raise StorageError(backend=self.backend, reason=f"{uuid} exists already")
        self._sizes[self.source_name(volume)] = size_bytes
        return volume

    def delete(self, volume: VolumeRef) -> None:
        self._answer()
        self._sizes.pop(self.source_name(volume), None)

    def locate(self, source_name: str) -> dict[str, Any]:
        self._answer()
        if source_name not in self._sizes:
            raise StorageError(backend=self.backend, reason=f"there is no {source_name}")
        return {"name": source_name}

    def source_name(self, volume: VolumeRef) -> str:
        return str(volume.location["name"])

    def size_bytes(self, volume: VolumeRef) -> int:
        self.locate(self.source_name(volume))
        return self._sizes[self.source_name(volume)]

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        del instance_uuid
        self.locate(self.source_name(volume))
        entry = (self.source_name(volume), connector.initiator, attachment_uuid)
        password = self.let_in.setdefault(entry, new_uuid())
        return ConnectionInfo("iscsi", entry[0], (("san", 3260),), connector.initiator, f"lm-{attachment_uuid}", "iscsi", password)

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        del instance_uuid
        self._answer()
        self.let_in.pop((self.source_name(volume), connector.initiator, attachment_uuid), None)

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        self._answer()
        return frozenset(initiator for name, initiator, _ in self.let_in if name == self.source_name(volume))

    def why_refused(self, info: ConnectionInfo) -> str | None:
        """What a host is told that logs in with ``info``."""
        if self.is_away:
            return "it does not answer"
        attachment = (info.auth_username or "").removeprefix("lm-")
        password = self.let_in.get((info.source_name, info.initiator or "", attachment))
        return None if password is not None and password == info.secret else "the login was refused"

    def _answer(self) -> None:
        if self.is_away:
            raise StorageError(backend=self.backend, reason="it does not answer")
