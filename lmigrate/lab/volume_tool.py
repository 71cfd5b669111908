"""Run in the centre of a lab, beside tgtd: makes a volume, finds one, attaches one to a guest that is about to start.

What an operator's own provisioning does before lmigrate comes into play; here through the
same driver and records.  Prints JSON, secrets included: only root of the lab reads it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from lmigrate import crypto, ids
from lmigrate.config import settings
from lmigrate.db.models import Volume
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import hosts, volumes, volumes_view
from lmigrate.errors import UnknownHost
from lmigrate.storage.attachments import revoke_all
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.storage.drivers.registry import driver_of


def several() -> list[dict[str, Any]]:
    """The commands on standard input, a JSON list of words each, in one process: starting one takes longer than they do."""
    return [COMMANDS[command](*words) for command, *words in json.load(sys.stdin)]


def create(backend: str, name: str, size_mib: str) -> dict[str, Any]:
    """A new volume; its UUID."""
    driver = driver_of(backend, settings().storage)
    made = driver.create(ids.new_uuid(), int(size_mib) << 20)
    with writing() as session:
        row = Volume(uuid=made.uuid, name=name, backend=backend, source_name=driver.source_name(made), location=made.location)
        row.size_bytes = driver.size_bytes(made)
        session.add(row)
    return {"uuid": made.uuid, "path": made.location.get("path")}


def find(name: str) -> dict[str, Any]:
    """The volume of that name, and the guests that it is attached to; nothing if there is none."""
    with reading() as session:
        found = volumes_view.page(session, 1, name=name)
    if not found:
        return {}
    volume, attachments = found[0].volume, found[0].attachments
    guests = sorted({one.server_name or one.attachment.instance_uuid for one in attachments})
    return {"uuid": volume.uuid, "path": volume.location.get("path"), "guests": guests}


def release(instance_uuid: str) -> dict[str, Any]:
    """Take back all access that was granted for a guest."""
    with reading() as session:
        rows = [(session.get_one(Volume, row.volume_uuid), row) for row in volumes.all_attachments(session, instance_uuid)]
    for volume, row in rows:
        revoke_all([(volume, row)], driver_of(volume.backend, settings().storage))
    return {"attachments": [row.uuid for _, row in rows]}


def attach(volume_uuid: str, host_name: str, instance_uuid: str) -> dict[str, Any]:
    """Let a host in for an instance; how it connects."""
    with reading() as session:
        volume = session.get_one(Volume, volume_uuid)
        host = hosts.by_name(session, host_name)
    if host is None:
        raise UnknownHost(host=host_name)
    connector = Connector.from_json(host.connector)
    with writing() as session:
        row = volumes.begin_grant(session, volume_uuid, instance_uuid, host_name, connector.to_json(), None)
    driver = driver_of(volume.backend, settings().storage)
    info = driver.grant(VolumeRef(volume.uuid, volume.location), connector, row.uuid, instance_uuid=instance_uuid)
    with writing() as session:
        volumes.finish_grant(session, row.uuid, crypto.encrypt(json.dumps(info.to_json()), settings().secrets.plain_keys))
    return {"attachment": row.uuid, **info.to_json()}


def granted(volume_uuid: str) -> dict[str, Any]:
    """Initiators that the storage itself lets in."""
    with reading() as session:
        volume = session.get_one(Volume, volume_uuid)
    driver = driver_of(volume.backend, settings().storage)
    return {"initiators": sorted(driver.granted(VolumeRef(volume.uuid, volume.location)))}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "create": create,
    "find": find,
    "attach": attach,
    "release": release,
    "granted": granted,
}

if __name__ == "__main__":
    print(json.dumps(several()))  # noqa: T201
