"""Cinder's API 3.44 through its own client library, which comes with the extra `cinder`.

The only module that imports it, and only when it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lmigrate import clock
from lmigrate.config import CinderBackend
from lmigrate.errors import StorageError, StorageUnavailable

_MICROVERSION = "3.44"  # the first in which an attachment can be completed
_MISSING = "python-cinderclient is not installed here: pip install 'lmigrate[cinder]'"


class CinderApi:
    """The calls that the driver needs, as plain values.  Raises StorageError."""

    def __init__(self, backend: str, options: CinderBackend) -> None:
        self._backend = backend
        self._options = options
        with self._told():
            self._client = _client(options)

    def create_volume(self, name: str, size_gib: int) -> str:
        """Ask for a volume; its id."""
        with self._told():
            return str(self._client.volumes.create(size_gib, name=name).id)

    def volume(self, volume_id: str) -> dict[str, Any] | None:
        """The volume as Cinder shows it, or None."""
        with self._told(absent_is_fine=True):
            found: dict[str, Any] = self._client.volumes.get(volume_id).to_dict()
            return found
        return None

    def delete_volume(self, volume_id: str) -> None:
        """Ask for its end; absent is fine."""
        with self._told(absent_is_fine=True):
            self._client.volumes.delete(volume_id)

    def wait_for(self, volume_id: str, status: str | None) -> None:
        """Wait until the volume has that status, or (None) is gone."""
        deadline = clock.monotonic_s() + self._options.timeout_s
        while (now := (self.volume(volume_id) or {"status": None})["status"]) != status:
            if str(now).startswith("error") or clock.monotonic_s() > deadline:
                raise StorageError(backend=self._backend, reason=f"volume {volume_id} is {now}, not {status or 'deleted'}")
            clock.sleep_s(0.2)

    def attachments(self, volume_id: str, instance_uuid: str) -> list[dict[str, Any]]:
        """Attachments of a volume to an instance: id, status; not their hosts."""
        with self._told(absent_is_fine=True):
            found = self._client.attachments.list(search_opts={"volume_id": volume_id, "instance_id": instance_uuid})
            rows = [attachment.to_dict() for attachment in found]
            return [row for row in rows if row["volume_id"] == volume_id and row["instance"] == instance_uuid]
        return []

    def create_attachment(self, volume_id: str, connector: dict[str, Any], instance_uuid: str) -> str:
        """Reserve the volume and tell the storage which host is coming, in one request as Nova does; the attachment's id.

        Cinder answers 409 ("duplicate connectors") when the connector of a second attachment comes later, by an update.
        """
        with self._told():
            return str(self._client.attachments.create(volume_id, connector, instance_uuid)["id"])

    def complete_attachment(self, attachment_id: str) -> None:
        """The attachment counts as in use."""
        with self._told():
            self._client.attachments.complete(attachment_id)

    def connection_info(self, attachment_id: str) -> dict[str, Any]:
        """What the storage answered to the connector."""
        with self._told():
            return dict(self._client.attachments.show(attachment_id).connection_info)

    def delete_attachment(self, attachment_id: str) -> None:
        """Shut the host out; absent is fine."""
        with self._told(absent_is_fine=True):
            self._client.attachments.delete(attachment_id)

    @contextmanager
    def _told(self, *, absent_is_fine: bool = False) -> Iterator[None]:
        """Every failure of the library as a StorageError; none of their texts holds a request's body."""
        try:
            from cinderclient import exceptions as cinder  # noqa: PLC0415 - an extra
            from keystoneauth1 import exceptions as keystone  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise StorageError(backend=self._backend, reason=_MISSING) from error
        try:
            yield
        except cinder.NotFound as error:
            if not absent_is_fine:
                raise StorageError(backend=self._backend, reason=f"Cinder: {error}") from error
        except keystone.ConnectionError as error:  # refused, reset, or no answer in time
            raise StorageUnavailable(backend=self._backend, reason=f"Cinder: {error}") from error
        except (cinder.ClientException, keystone.ClientException) as error:
            raise StorageError(backend=self._backend, reason=f"Cinder: {error}") from error


def _client(options: CinderBackend) -> Any:
    from cinderclient import client  # noqa: PLC0415 - an extra
    from keystoneauth1 import loading, service_token, session  # noqa: PLC0415 - an extra

    for library in ("keystoneauth", "cinderclient"):
        logging.getLogger(library).setLevel(logging.INFO)  # below that they write answers down, passwords included
    loader: Any = loading.get_plugin_loader(options.auth_type)
    auth = loader.load_from_options(**{name: value.get_secret_value() for name, value in options.auth.items()})
    # Cinder deletes an attachment that an instance uses only for a service: anybody else is sent to Nova (CVE-2023-2088)
    as_service = service_token.ServiceTokenAuthWrapper(user_auth=auth, service_auth=auth)
    return client.Client(
        _MICROVERSION,
        session=session.Session(auth=as_service, timeout=options.timeout_s),
        endpoint_override=options.endpoint,
        region_name=options.region,
    )
