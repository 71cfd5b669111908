"""Volumes over an empty database and a storage that is a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest

from lmigrate import crypto
from lmigrate.config import Settings, settings
from lmigrate.db.models import Volume, VolumeAttachment
from lmigrate.db.session import writing
from lmigrate.errors import StorageError, StorageUnavailable
from lmigrate.ids import new_uuid
from lmigrate.states import AttachmentState
from lmigrate.storage import audit, registration
from lmigrate.storage.drivers.audit import Access, Grant, Stray
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef

BACKEND = "san1"
KEY = crypto.new_key()
Save = Callable[..., None]


class BookStorage:
    """A storage whose books are a set of entries; what it is asked for is the same as of a real one."""

    def __init__(self) -> None:
        self.entries: set[Access] = set()
        self.volumes: dict[str, int] = {}  # source name → bytes
        self.is_away = self.is_silent = False
        self.asked = 0
        self.odd: list[Stray] = []

    def locate(self, source_name: str) -> dict[str, Any]:
        self._answer()
        if source_name not in self.volumes:
            raise StorageError(backend=BACKEND, reason=f"there is no {source_name}")
        return {"name": source_name}

    def source_name(self, volume: VolumeRef) -> str:
        return str(volume.location["name"])

    def size_bytes(self, volume: VolumeRef) -> int:
        self.locate(self.source_name(volume))
        return self.volumes[self.source_name(volume)]

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, **_who: str | None) -> None:
        self._answer()
        self.entries -= {Access(volume.uuid, initiator=connector.initiator), Access(volume.uuid, attachment_uuid=attachment_uuid)}

    def accesses(self, volumes: Sequence[VolumeRef]) -> frozenset[Access]:
        self._answer()
        known = {volume.uuid for volume in volumes} | {None}
        return frozenset(entry for entry in self.entries if entry.volume_uuid in known)

    def withdraw(self, access: Access, _volume: VolumeRef | None) -> None:
        self._answer()
        self.entries.discard(access)

    def missing(self, grants: Sequence[Grant]) -> list[Grant]:
        self._answer()
        return [grant for grant in grants if not _entries(grant) <= self.entries]

    def restore(self, grant: Grant) -> None:
        self._answer()
        self.entries |= _entries(grant)

    def strays(self, volume: VolumeRef, users: Collection[tuple[str, str]], hosts: Collection[str]) -> list[Stray]:
        self._answer()
        del hosts
        return [one for one in self.odd if volume.uuid in one.what and {one.instance_uuid} == {instance for instance, _ in users}]

    def _answer(self) -> None:
        self.asked += 1
        if self.is_silent:
            raise StorageUnavailable(backend=BACKEND, reason="no end within 60 s")
        if self.is_away:
            raise StorageError(backend=BACKEND, reason="it does not answer")


def entries_of(volume_uuid: str, initiator: str, attachment_uuid: str) -> set[Access]:
    return {Access(volume_uuid, initiator=initiator), Access(volume_uuid, attachment_uuid=attachment_uuid)}


def _entries(grant: Grant) -> set[Access]:
    return entries_of(grant.volume.uuid, grant.connector.initiator, grant.attachment_uuid)


def initiator(host: str) -> str:
    return f"iqn.2026-11.org.lmigrate.host:{host}"


def connector(host: str) -> dict[str, Any]:
    return Connector(host, initiator(host), host).to_json()


def volume_row(name: str = "v0", **fields: Any) -> Volume:
    uuid = new_uuid()
    source_name = f"iqn.test:{uuid}/1"
    values: dict[str, Any] = {"source_name": source_name, "location": {"name": source_name}, "size_bytes": 1 << 20, **fields}
    return Volume(uuid=uuid, name=name, backend=BACKEND, **values)


def attachment_row(volume: Volume, host: str, instance_uuid: str, **fields: Any) -> VolumeAttachment:
    info = ConnectionInfo("iscsi", volume.source_name, (("10.0.0.1", 3260),), initiator(host), "user", "iscsi", "a-secret-of-chap")
    values: dict[str, Any] = {
        "state": AttachmentState.GRANTED,
        "connector": connector(host),
        "connection_info": crypto.encrypt(json.dumps(info.to_json()), [KEY]),
        **fields,
    }
    return VolumeAttachment(uuid=new_uuid(), volume_uuid=volume.uuid, host=host, instance_uuid=instance_uuid, **values)


@pytest.fixture
def configured(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    backend = {"driver": "iscsi-tgt", "portal": "10.0.0.1:3260", "directory": "/nowhere"}
    monkeypatch.setenv("LMIGRATE_STORAGE__BACKENDS", json.dumps({BACKEND: backend}))
    monkeypatch.setenv("LMIGRATE_STORAGE__SERVES", BACKEND)
    monkeypatch.setenv("LMIGRATE_STORAGE__LEAK_GRACE_S", "0")
    monkeypatch.setenv("LMIGRATE_SECRETS__KEYS", json.dumps([KEY]))
    settings.cache_clear()
    yield settings()
    settings.cache_clear()


@pytest.fixture
def storage(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> BookStorage:
    made = BookStorage()
    for module in (audit, registration):
        monkeypatch.setattr(module, "driver_of", lambda _name, _options: made)
    return made


@pytest.fixture
def save(database: str) -> Save:
    """Write rows, each flushed before the next, so that ids are known."""

    def write(*rows: object) -> None:
        with writing() as session:
            for row in rows:
                session.add(row)
                session.flush()

    return write
