"""Volumes behind qemu-nbd: each attachment has a process and a port of its own, for its host's certificate alone."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from pathlib import Path

from lmigrate.config import NbdBackend
from lmigrate.errors import StorageError
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.audit import Access, Grant
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef
from lmigrate.storage.drivers.nbd_export import Export, Exports


class NbdDriver:
    """`Driver` over qemu-nbd, on the machine of the files.

    qemu-nbd cannot end one client's session.  With a process for each attachment, ending the process does:
    it shuts out exactly one host, and the other goes on undisturbed.
    """

    def __init__(self, name: str, options: NbdBackend) -> None:
        self._name = name
        self._options = options
        self._exports = Exports(options.directory / "exports", options.address, options.pki_dir)

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """A sparse raw file; nobody is let in."""
        path = self._options.directory / f"{uuid}.raw"
        try:
            with path.open("xb") as file:
                file.truncate(size_bytes)
        except OSError as error:
            raise self._error(f"{path}: {error.strerror}") from error
        return VolumeRef(uuid, {"path": str(path)})

    def delete(self, volume: VolumeRef) -> None:
        """Exports first, then the file."""
        for export in self._of(volume):
            self._remove(export.attachment_uuid)
        self._path(volume).unlink(missing_ok=True)

    def source_name(self, volume: VolumeRef) -> str:
        """The export's name, the same on every port."""
        return str(volume.location.get("export") or volume.uuid)

    def size_bytes(self, volume: VolumeRef) -> int:
        """Size of the file."""
        self._require(volume)
        return self._path(volume).stat().st_size

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """A process that lets in the certificate of the connector's host; the one that runs, if it does."""
        del instance_uuid
        self._require(volume)
        export = self._record(volume, connector, attachment_uuid)
        self._ensure(export)
        return ConnectionInfo(
            protocol="nbd", source_name=self.source_name(volume), hosts=((self._options.address, export.port),), is_tls=True
        )

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """End the attachment's process and its sessions."""
        del volume, connector, instance_uuid
        self._remove(attachment_uuid)

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """Initiators of the hosts whose exports run."""
        return frozenset(export.initiator for export in self._of(volume) if self._exports.is_running(export))

    def accesses(self, volumes: Sequence[VolumeRef]) -> frozenset[Access]:
        """The recorded exports of ``volumes``."""
        wanted = {volume.uuid for volume in volumes}
        exports = [export for export in self._exports.recorded() if export.volume_uuid in wanted]
        return frozenset(Access(export.volume_uuid, attachment_uuid=export.attachment_uuid) for export in exports)

    def withdraw(self, access: Access, volume: VolumeRef | None) -> None:
        """End an export."""
        del volume
        if access.attachment_uuid is not None:
            self._remove(access.attachment_uuid)

    def missing(self, grants: Sequence[Grant]) -> list[Grant]:
        """Those whose process does not run: the machine was restarted."""
        running = {export.attachment_uuid for export in self._exports.recorded() if self._exports.is_running(export)}
        return [grant for grant in grants if grant.attachment_uuid not in running]

    def restore(self, grant: Grant) -> None:
        """The process once more, on the port that the guest knows."""
        self._require(grant.volume)
        self._ensure(self._record(grant.volume, grant.connector, grant.attachment_uuid, grant.info.hosts[0][1]))

    def _ensure(self, export: Export) -> None:
        try:
            self._exports.ensure(export)
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _record(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, port: int | None = None) -> Export:
        """What is to run, on the port that the attachment already has if it has one."""
        known = next((export for export in self._exports.recorded() if export.attachment_uuid == attachment_uuid), None)
        export = Export(
            attachment_uuid=attachment_uuid,
            volume_uuid=volume.uuid,
            name=self.source_name(volume),
            path=str(self._path(volume)),
            initiator=connector.initiator,
            client_subject=self._options.client_subject.format(host=connector.host),
            port=known.port if known is not None else port or self._free_port(),
        )
        self._exports.record(export)
        return export

    def _remove(self, attachment_uuid: str) -> None:
        try:
            self._exports.remove(attachment_uuid)
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def _free_port(self) -> int:
        """A port that is in no record and on which nobody else listens.  A record keeps its port over restarts."""
        taken = {export.port for export in self._exports.recorded()}
        for port in range(self._options.first_port, self._options.last_port + 1):
            if port not in taken and self._can_listen(port):
                return port
        raise self._error(f"no free port between {self._options.first_port} and {self._options.last_port}")

    def _can_listen(self, port: int) -> bool:
        family = socket.AF_INET6 if ":" in self._options.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self._options.address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
                raise self._error(f"cannot listen on {self._options.address}: {error.strerror}") from error
        return True

    def _of(self, volume: VolumeRef) -> list[Export]:
        return [export for export in self._exports.recorded() if export.volume_uuid == volume.uuid]

    def _path(self, volume: VolumeRef) -> Path:
        path = Path(volume.location["path"])
        if not path.is_relative_to(self._options.directory) or ".." in path.parts:
            raise self._error(f"{path} does not lie below {self._options.directory}")
        return path

    def _require(self, volume: VolumeRef) -> None:
        if not self._path(volume).is_file():
            raise self._error(f"volume {volume.uuid} has no file {self._path(volume)}")

    def _error(self, reason: str) -> StorageError:
        return StorageError(backend=self._name, reason=reason)
