"""Volumes of OpenStack Block Storage: an attachment here is an attachment there."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import Any

from lmigrate.config import CinderBackend
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.audit import Stray
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef
from lmigrate.storage.drivers.cinder_api import CinderApi

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class CinderDriver:
    """`Driver` over Cinder's attachments API: create with the connector, complete, delete.

    Nothing is kept beside Cinder: the attachment of a host is the completed one that Cinder shows with that
    host's name (which takes the role admin or service).  Of one that is not completed Cinder shows no host: it was
    left behind by a grant that was interrupted if another host's for the same instance is completed.  If none is,
    it may be the one by which the guest runs, and stays.
    """

    def __init__(self, name: str, options: CinderBackend) -> None:
        self._name = name
        self._options = options

    @cached_property
    def _api(self) -> CinderApi:
        return CinderApi(self._name, self._options)

    def create(self, uuid: str, size_bytes: int) -> VolumeRef:
        """A volume of the default type, in whole GiB."""
        volume_id = self._api.create_volume(f"lmigrate-{uuid}", -(-size_bytes // 2**30))
        self._api.wait_for(volume_id, "available")
        return VolumeRef(uuid, {"volume_id": volume_id})

    def delete(self, volume: VolumeRef) -> None:
        """Cinder refuses while it is attached."""
        self._api.delete_volume(_id(volume))
        self._api.wait_for(_id(volume), None)

    def locate(self, source_name: str) -> dict[str, Any]:
        """The volume whose UUID the name holds, as Cinder's own drivers name what they export."""
        found = _UUID.search(source_name)
        volume = VolumeRef("", {"volume_id": found.group() if found else source_name, "source_name": source_name})
        self._shown(volume)
        return volume.location

    def source_name(self, volume: VolumeRef) -> str:
        """As registered, or as the settings say that the storage behind Cinder names its volumes."""
        return str(volume.location.get("source_name") or self._options.source_name.format(id=_id(volume)))

    def size_bytes(self, volume: VolumeRef) -> int:
        """Cinder counts in GiB."""
        return int(self._shown(volume)["size"]) << 30

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> ConnectionInfo:
        """Cinder's attachment for this host; the completed one that is there, if it is."""
        del attachment_uuid
        instance = self._instance(instance_uuid)
        own = self._completed(self._shown(volume), instance)
        present = own.get(connector.host)
        attachment_id = present[0] if present else self._attach(volume, connector, instance, is_elsewhere=bool(own))
        return self._connection(volume, connector, self._api.connection_info(attachment_id))

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, *, instance_uuid: str | None = None) -> None:
        """Delete this host's attachment, and what an interrupted grant left."""
        del attachment_uuid
        shown = self._api.volume(_id(volume))
        if shown is None:
            return
        instance = self._instance(instance_uuid)
        own = self._completed(shown, instance)
        leftovers = self._unfinished(volume, instance) if own.keys() - {connector.host} else []
        for attachment_id in [*own.get(connector.host, []), *leftovers]:
            self._api.delete_attachment(attachment_id)

    def granted(self, volume: VolumeRef) -> frozenset[str]:
        """Names of hosts: Cinder does not tell their initiators."""
        shown = self._api.volume(_id(volume)) or {"attachments": []}
        return frozenset(str(attachment["host_name"]) for attachment in shown["attachments"])

    def strays(self, volume: VolumeRef, users: Collection[tuple[str, str]], hosts: Collection[str]) -> list[Stray]:
        """What a grant that was interrupted, or another hand, has left: only a person can tell whether it is needed."""
        shown = self._api.volume(_id(volume))
        if shown is None:
            return []
        self._refuse_hidden_hosts(shown["attachments"])
        instances = sorted({instance for instance, _ in users})
        unfinished = [_unfinished(volume, instance, one) for instance in instances for one in self._unfinished(volume, instance)]
        return [*unfinished, *(_stale(volume, one) for one in shown["attachments"] if _is_stale(one, users, hosts))]

    def _attach(self, volume: VolumeRef, connector: Connector, instance: str, *, is_elsewhere: bool) -> str:
        leftovers = self._unfinished(volume, instance)
        if leftovers and not is_elsewhere:
            raise self._error(_why_kept(volume, instance, leftovers))
        for leftover in leftovers:
            self._api.delete_attachment(leftover)
        attachment_id = self._api.create_attachment(_id(volume), _connector(connector), instance)
        self._api.complete_attachment(attachment_id)
        return attachment_id

    def _completed(self, shown: dict[str, Any], instance: str) -> dict[str, list[str]]:
        """The instance's completed attachments, by host."""
        own = [attachment for attachment in shown["attachments"] if attachment["server_id"] == instance]
        self._refuse_hidden_hosts(own)
        found: dict[str, list[str]] = {}
        for attachment in own:
            found.setdefault(attachment["host_name"], []).append(str(attachment["attachment_id"]))
        return found

    def _refuse_hidden_hosts(self, attachments: list[dict[str, Any]]) -> None:
        if any(attachment.get("host_name") is None for attachment in attachments):
            raise self._error("Cinder does not show the attachments' hosts: its user needs the role admin or service")

    def _unfinished(self, volume: VolumeRef, instance: str) -> list[str]:
        found = self._api.attachments(_id(volume), instance)
        return [str(attachment["id"]) for attachment in found if attachment["status"] != "attached"]

    def _connection(self, volume: VolumeRef, connector: Connector, info: dict[str, Any]) -> ConnectionInfo:
        kind = info.get("driver_volume_type")
        if kind != "iscsi":
            raise self._error(f"Cinder serves volume {_id(volume)} by {kind}; lmigrate takes only iscsi from it")
        source_name = f"{info['target_iqn']}/{info['target_lun']}"
        if source_name != self.source_name(volume):
            raise self._error(f"Cinder serves volume {_id(volume)} as {source_name}, but it is registered as {self.source_name(volume)}")
        host, _, port = str(info["target_portal"]).rpartition(":")
        return ConnectionInfo(
            protocol="iscsi",
            source_name=source_name,
            hosts=((host.strip("[]"), int(port)),),
            initiator=connector.initiator,
            auth_username=info.get("auth_username"),
            auth_type="iscsi" if info.get("auth_method") == "CHAP" else None,
            secret=info.get("auth_password"),
        )

    def _shown(self, volume: VolumeRef) -> dict[str, Any]:
        shown = self._api.volume(_id(volume))
        if shown is None:
            raise self._error(f"Cinder has no volume {_id(volume)}")
        return shown

    def _instance(self, instance_uuid: str | None) -> str:
        if instance_uuid is None:
            raise self._error("Cinder wants to know which instance the attachment is for")
        return instance_uuid

    def _error(self, reason: str) -> StorageError:
        return StorageError(backend=self._name, reason=reason)


def _id(volume: VolumeRef) -> str:
    return str(volume.location["volume_id"])


def _why_kept(volume: VolumeRef, instance: str, attachment_ids: list[str]) -> str:
    which = ", ".join(attachment_ids)
    what = f"attachments of volume {_id(volume)} to instance {instance} that are not completed in Cinder: {which}"
    return f"{what}. Complete the one of the host that has the guest, and delete what is left over"


def _unfinished(volume: VolumeRef, instance: str, attachment_id: str) -> Stray:
    return Stray(attachment_id, f"an attachment of volume {_id(volume)} that was never completed; Cinder does not show its host", instance)


def _stale(volume: VolumeRef, attachment: dict[str, Any]) -> Stray:
    what = f"{attachment['host_name']} has an attachment of volume {_id(volume)} that no record names"
    return Stray(str(attachment["attachment_id"]), what, str(attachment["server_id"]))


def _is_stale(attachment: dict[str, Any], users: Collection[tuple[str, str]], hosts: Collection[str]) -> bool:
    """Whether a completed attachment concerns us, and no record names it."""
    instance, host = attachment["server_id"], attachment["host_name"]
    is_ours = host in hosts or any(instance == one for one, _ in users)
    return is_ours and (instance, host) not in users


def _connector(connector: Connector) -> dict[str, Any]:
    """Cinder's connector: what os-brick would report of the host."""
    return {
        "host": connector.host,
        "initiator": connector.initiator,
        "ip": connector.address,
        "multipath": False,  # QEMU logs in on one path, and so does the kernel for us
        "platform": "x86_64",
        "os_type": "linux",
        "mode": "rw",
    }
