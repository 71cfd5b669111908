"""Volumes that are files: in a directory that all hosts share, or on one host and copied when the guest moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmigrate.config import LocalBackend, SharedDirectoryBackend
from lmigrate.errors import StorageError
from lmigrate.shell import CommandFailed
from lmigrate.storage import disk_image
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef


class LocalDriver:
    """`Driver` for files that a migration copies: there is nothing to grant, and nobody to ask."""

    def __init__(self, name: str, options: LocalBackend | SharedDirectoryBackend) -> None:
        self._name = name
        self._options = options

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """An empty image of the backend's format; raw ones are sparse."""
        path = self._options.directory / f"{uuid}.{self._options.format}"
        if not self._options.directory.is_dir():
            raise self._error(f"there is no directory {self._options.directory} here: is it mounted?")
        if path.exists():
            raise self._error(f"{path} exists already")
        try:
            disk_image.create(path, self._options.format, size_bytes)
        except CommandFailed as error:
            raise self._error(str(error)) from error
        return VolumeRef(uuid, {"path": str(path)})

    def delete(self, volume: VolumeRef) -> None:
        """Remove the file."""
        try:
            self._path(volume).unlink(missing_ok=True)
        except OSError as error:
            raise self._error(f"{error.filename}: {error.strerror}") from error

    def locate(self, source_name: str) -> dict[str, Any]:
        """A file below the backend's directory, by its path."""
        volume = VolumeRef(source_name, {"path": source_name})
        self._require(volume)
        return volume.location

    def source_name(self, volume: VolumeRef) -> str:
        """The path: of a file it stands in <source file='…'>."""
        return str(self._path(volume))

    def size_bytes(self, volume: VolumeRef) -> int:
        """What the guest sees."""
        self._require(volume)
        try:
            return disk_image.inspect_chain(str(self._path(volume)), self._options.format)[0].capacity_bytes
        except CommandFailed as error:
            raise self._error(str(error)) from error

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """Nothing to do: the migration itself makes the file on the destination."""
        del connector, attachment_uuid, instance_uuid
        return ConnectionInfo(protocol="file", source_name=str(self._path(volume)), hosts=())

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """Nothing to do: who mounts the directory can open its files."""

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """Nobody: files know no initiators."""
        del volume
        return frozenset()

    def _path(self, volume: VolumeRef) -> Path:
        """Where the volume lies; never outside the backend's directory, whatever was registered."""
        path = Path(volume.location["path"])
        if not path.is_relative_to(self._options.directory) or ".." in path.parts:
            raise self._error(f"{path} does not lie below {self._options.directory}")
        return path

    def _require(self, volume: VolumeRef) -> None:
        path = self._path(volume)
        if not path.is_file():
            raise self._error(f"volume {volume.uuid} has no file {path} here: is {self._options.directory} mounted?")

    def _error(self, reason: str) -> StorageError:
        return StorageError(backend=self._name, reason=reason)


class SharedDirectoryDriver(LocalDriver):
    """`Driver` for files that every host reaches: granting makes sure that the file is there."""

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """The host's own check (storage/login.py, and the probe file) tells whether it sees the same file."""
        self._require(volume)
        return super().grant(volume, connector, attachment_uuid, instance_uuid=instance_uuid)
