"""Images of a Ceph pool: each attachment is a Ceph user of its own, made and removed with the `ceph` command.

Which users an image has is kept in the image's own metadata, so that the cluster itself tells.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lmigrate.config import RbdBackend
from lmigrate.errors import StorageError
from lmigrate.ids import endpoint, is_uuid
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.audit import Access, Grant
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef
from lmigrate.storage.drivers.ceph import Ceph

DEFAULT_PORT = 6789  # the monitors' version 1 protocol, which libvirt's <host port> means
_METADATA = "lmigrate."
_ENTITY = "client.lm-"


class RbdDriver:
    """`Driver` and `Auditable` over the commands `rbd` and `ceph`."""

    def __init__(self, name: str, options: RbdBackend) -> None:
        self._name = name
        self._options = options
        self._ceph = Ceph(options.conf, options.user)

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """An empty image, in whole MiB."""
        volume = VolumeRef(uuid, {"pool": self._options.pool, "image": uuid})
        with self._told():
            self._ceph.rbd("create", "--size", f"{-(-size_bytes // 2**20)}M", self.source_name(volume))
        return volume

    def delete(self, volume: VolumeRef) -> None:
        """Users first, then the image; Ceph refuses while somebody has it open."""
        with self._told():
            for attachment_uuid in self._metadata(volume):
                self._ceph.admin("auth", "rm", _entity(attachment_uuid))
            self._ceph.rbd_if_there("rm", "--no-progress", self.source_name(volume))

    def locate(self, source_name: str) -> dict[str, Any]:
        """An image of the backend's pool, by pool/image."""
        pool, _, image = source_name.partition("/")
        if pool != self._options.pool or not image:
            raise self._error(f"{source_name} is not in pool {self._options.pool}")
        volume = VolumeRef(image, {"pool": pool, "image": image})
        self.size_bytes(volume)
        return volume.location

    def source_name(self, volume: VolumeRef) -> str:
        """pool/image, as libvirt writes it."""
        return f"{volume.location['pool']}/{volume.location['image']}"

    def size_bytes(self, volume: VolumeRef) -> int:
        """As the image's header says."""
        with self._told():
            return int(json.loads(self._ceph.rbd("info", "--format", "json", self.source_name(volume)))["size"])

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """A Ceph user for the attachment; the one that is there, if it is.

        Its capabilities reach the whole pool: Ceph's `profile rbd` knows no single image.
        """
        del instance_uuid
        with self._told():
            self._note(volume, attachment_uuid, connector)
            capabilities = [word for pair in _capabilities(volume) for word in pair]
            answer = self._ceph.admin("auth", "get-or-create", _entity(attachment_uuid), *capabilities, "--format", "json")
        return ConnectionInfo(
            protocol="rbd",
            source_name=self.source_name(volume),
            hosts=tuple(endpoint(monitor, DEFAULT_PORT) for monitor in self._options.monitors),
            auth_username=_entity(attachment_uuid).removeprefix("client."),
            auth_type="ceph",
            secret=json.loads(answer)[0]["key"],
        )

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """The user first, so that an ended session cannot come back; then its open sessions."""
        del instance_uuid
        with self._told():
            self._remove(volume, attachment_uuid, connector.address)

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """Initiators in the image's metadata whose Ceph user exists."""
        with self._told():
            users, known = self._ceph.users(), self._metadata(volume)
        return frozenset(initiator for attachment, initiator in known.items() if _entity(attachment) in users)

    def accesses(self, volumes: Sequence[VolumeRef]) -> frozenset[Access]:
        """Every user of ours in this pool, with the volume whose metadata names it.  Other pools may be another lmigrate's."""
        with self._told():
            ours = {entity.removeprefix(_ENTITY) for entity, osd in self._ceph.users().items() if osd == _profile(self._options.pool)}
            ours = {uuid for uuid in ours if is_uuid(uuid)}
            of_volume = {uuid: volume.uuid for volume in (volumes if ours else ()) for uuid in self._metadata(volume)}
        return frozenset(Access(of_volume.get(uuid), attachment_uuid=uuid) for uuid in ours)

    def withdraw(self, access: Access, volume: VolumeRef | None) -> None:
        """A user and its sessions."""
        if access.attachment_uuid is not None:
            with self._told():
                self._remove(volume, access.attachment_uuid, None)

    def missing(self, grants: Sequence[Grant]) -> list[Grant]:
        """Those whose user somebody has removed."""
        with self._told():
            users = self._ceph.users()
        return [grant for grant in grants if _entity(grant.attachment_uuid) not in users]

    def restore(self, grant: Grant) -> None:
        """The user once more, with the key that the guest has."""
        with self._told():
            self._note(grant.volume, grant.attachment_uuid, grant.connector)
            self._ceph.admin("auth", "import", "-i", "-", stdin=_keyring(grant))

    def _note(self, volume: VolumeRef, attachment_uuid: str, connector: Connector) -> None:
        self._ceph.rbd("image-meta", "set", self.source_name(volume), f"{_METADATA}{attachment_uuid}", connector.initiator)

    def _remove(self, volume: VolumeRef | None, attachment_uuid: str, address: str | None) -> None:
        self._ceph.admin("auth", "rm", _entity(attachment_uuid))
        sessions = self._ceph.sessions()
        ended = {session.address for session in sessions if session.entity == _entity(attachment_uuid)}
        if volume is not None:
            known = {session.client_id for session in sessions}
            ended |= self._lost(volume, known, address) if address is not None else set()
        for client in sorted(ended):
            self._ceph.blocklist(client)
        if volume is not None:
            self._ceph.rbd_if_there("image-meta", "remove", self.source_name(volume), f"{_METADATA}{attachment_uuid}")

    def _lost(self, volume: VolumeRef, known: set[int], address: str) -> set[str]:
        """Clients on a host that have the image open and that no monitor knows: without a user they cannot come back to one."""
        strangers = {watcher for client, watcher in self._ceph.watchers(self.source_name(volume)).items() if client not in known}
        own = self._addresses(address) if strangers else set()
        return {watcher for watcher in strangers if watcher.rpartition(":")[0].strip("[]") in own}

    def _metadata(self, volume: VolumeRef) -> dict[str, str]:
        """Initiator by attachment."""
        text = self._ceph.rbd_if_there("image-meta", "list", "--format", "json", self.source_name(volume))
        entries: dict[str, str] = json.loads(text or "{}")
        return {key.removeprefix(_METADATA): value for key, value in entries.items() if key.startswith(_METADATA)}

    def _addresses(self, name: str) -> set[str]:
        try:
            return {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
        except OSError as error:
            raise self._error(f"the host's address {name} is not known here: {error}") from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _error(self, reason: str) -> StorageError:
        return StorageError(backend=self._name, reason=reason)


def _entity(attachment_uuid: str) -> str:
    """Ceph user of an attachment; it says whose it is to whoever cleans up."""
    return f"{_ENTITY}{attachment_uuid}"


def _capabilities(volume: VolumeRef) -> list[tuple[str, str]]:
    return [("mon", "profile rbd"), ("osd", _profile(volume.location["pool"]))]


def _profile(pool: str) -> str:
    return f"profile rbd pool={pool}"


def _keyring(grant: Grant) -> str:
    lines = [f'\tcaps {daemon} = "{allowed}"' for daemon, allowed in _capabilities(grant.volume)]
    return "\n".join([f"[{_entity(grant.attachment_uuid)}]", f"\tkey = {grant.info.secret}", *lines, ""])
