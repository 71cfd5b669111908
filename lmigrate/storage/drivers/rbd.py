"""Images of a Ceph pool: each attachment is a Ceph user of its own, made and removed with the `ceph` command.

Which users an image has is kept in the image's own metadata, so that the cluster itself tells.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from lmigrate import shell
from lmigrate.config import RbdBackend
from lmigrate.errors import StorageError
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef

DEFAULT_PORT = 6789  # the monitors' version 1 protocol, which libvirt's <host port> means
_TIMEOUT_S = 30.0
_METADATA = "lmigrate."
#: `rbd` exits with the errno: ENOENT
_ABSENT = "exit 2:"


class RbdDriver:
    """`Driver` over the commands `rbd` and `ceph`."""

    def __init__(self, name: str, options: RbdBackend) -> None:
        self._name = name
        self._options = options

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """An empty image, in whole MiB."""
        volume = VolumeRef(uuid, {"pool": self._options.pool, "image": uuid})
        self._rbd("create", "--size", f"{-(-size_bytes // 2**20)}M", self.source_name(volume))
        return volume

    def delete(self, volume: VolumeRef) -> None:
        """Users first, then the image; Ceph refuses while somebody has it open."""
        for attachment_uuid in self._metadata(volume):
            self._ceph("auth", "rm", f"client.{_user(attachment_uuid)}")
        self._rbd_if_there("rm", "--no-progress", self.source_name(volume))

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
        return int(json.loads(self._rbd("info", "--format", "json", self.source_name(volume)))["size"])

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """A Ceph user for the attachment; the one that is there, if it is.

        Its capabilities reach the whole pool: Ceph's `profile rbd` knows no single image.
        """
        del instance_uuid
        self._rbd("image-meta", "set", self.source_name(volume), f"{_METADATA}{attachment_uuid}", connector.initiator)
        capabilities = ["mon", "profile rbd", "osd", f"profile rbd pool={volume.location['pool']}"]
        answer = self._ceph("auth", "get-or-create", f"client.{_user(attachment_uuid)}", *capabilities, "--format", "json")
        return ConnectionInfo(
            protocol="rbd",
            source_name=self.source_name(volume),
            hosts=tuple(_address(monitor) for monitor in self._options.monitors),
            auth_username=_user(attachment_uuid),
            auth_type="ceph",
            secret=json.loads(answer)[0]["key"],
        )

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """The user first, so that an ended session cannot come back; then the host's open sessions on this image."""
        del instance_uuid
        self._ceph("auth", "rm", f"client.{_user(attachment_uuid)}")
        for watcher in self._watchers(volume, connector.address):
            self._ceph("osd", "blocklist", "add", watcher)
        self._rbd_if_there("image-meta", "remove", self.source_name(volume), f"{_METADATA}{attachment_uuid}")

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """Initiators in the image's metadata whose Ceph user exists."""
        users = {entry["entity"] for entry in json.loads(self._ceph("auth", "ls", "--format", "json"))["auth_dump"]}
        known = self._metadata(volume)
        return frozenset(initiator for attachment, initiator in known.items() if f"client.{_user(attachment)}" in users)

    def _metadata(self, volume: VolumeRef) -> dict[str, str]:
        """Initiator by attachment."""
        text = self._rbd_if_there("image-meta", "list", "--format", "json", self.source_name(volume))
        entries: dict[str, str] = json.loads(text or "{}")
        return {key.removeprefix(_METADATA): value for key, value in entries.items() if key.startswith(_METADATA)}

    def _watchers(self, volume: VolumeRef, address: str) -> list[str]:
        """Ceph's addresses (address:port/nonce) of the clients on a host that have the image open."""
        text = self._rbd_if_there("status", "--format", "json", self.source_name(volume))
        watchers: list[dict[str, Any]] = json.loads(text or "{}").get("watchers", [])
        if not watchers:
            return []
        own = self._addresses(address)
        return [str(watcher["address"]) for watcher in watchers if str(watcher["address"]).rpartition(":")[0].strip("[]") in own]

    def _addresses(self, name: str) -> set[str]:
        try:
            return {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
        except OSError as error:
            raise self._error(f"the host's address {name} is not known here: {error}") from error

    def _rbd_if_there(self, *words: str) -> str | None:
        """None if the image, or what was asked of it, does not exist."""
        try:
            return shell.run(self._command("rbd", words), timeout_s=_TIMEOUT_S)
        except CommandFailed as error:
            if str(error.fields["reason"]).startswith(_ABSENT):
                return None
            raise self._error(str(error)) from error

    def _rbd(self, *words: str) -> str:
        return self._run("rbd", words)

    def _ceph(self, *words: str) -> str:
        return self._run("ceph", words)

    def _run(self, program: str, words: tuple[str, ...]) -> str:
        try:
            return shell.run(self._command(program, words), timeout_s=_TIMEOUT_S)
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _command(self, program: str, words: tuple[str, ...]) -> list[str]:
        return [program, "--conf", str(self._options.conf), "--id", self._options.user, *words]

    def _error(self, reason: str) -> StorageError:
        return StorageError(backend=self._name, reason=reason)


def _user(attachment_uuid: str) -> str:
    """Ceph user of an attachment, without `client.`; it says whose it is to whoever cleans up."""
    return f"lm-{attachment_uuid}"


def _address(monitor: str) -> tuple[str, int]:
    host, colon, port = monitor.rpartition(":")
    if not colon or port.endswith("]"):
        return monitor.strip("[]"), DEFAULT_PORT
    return host.strip("[]"), int(port)
