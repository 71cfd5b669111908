"""Guests whose disks lie on other backends than tgtd, moved there and back."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from lxml import etree

from lmigrate import ids
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.topology import Lab
from lmigrate.lab.volumes import define_secret
from lmigrate.migration.connections import Connection
from lmigrate.storage.drivers.base import ConnectionInfo
from lmigrate.virt.xml.volume import update_volume
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_home, assert_moved
from tests.lab.wire import Wire, eventually, story

pytestmark = [pytest.mark.lab, pytest.mark.one_database, pytest.mark.xdist_group("backends")]
FORMATS = {"nbd1": "raw", "nfs1": "qcow2", "rbd1": "raw"}
TELLS_HOSTS_APART = {"nbd1", "rbd1"}


def tool(lab: Lab, *command: str) -> dict[str, Any]:
    done = lab.ctl.run([sys.executable, "-m", "lmigrate.lab.volume_tool"], stdin=json.dumps([command]), check=True)
    (answer,) = json.loads(done.stdout)
    found: dict[str, Any] = answer
    return found


def disk(connection: Connection, backend: str) -> str:
    element = etree.fromstring(
        f"<disk device='disk'><driver name='qemu' type='{FORMATS[backend]}' cache='none'/><target dev='vdx' bus='virtio'/></disk>"
    )
    update_volume(element, connection.source)
    return etree.tostring(element, encoding="unicode")


def volumes_of(wire: Wire, uuid: str) -> list[str]:
    return [found["volume"]["uuid"] for found in wire.server(uuid)["disks"] if found["volume"]]


@pytest.mark.parametrize("backend", FORMATS)
def test_there_and_back(lab: Lab, wire: Wire, start: StartGuest, backend: str) -> None:
    uuid = ids.new_uuid()
    volume = tool(lab, "create", backend, f"{backend}-{uuid[:8]}", "4")["uuid"]
    answer = tool(lab, "attach", volume, "node5", uuid)
    connection = Connection("vdx", answer.pop("attachment"), ConnectionInfo.from_json(answer))
    if connection.secret is not None:
        define_secret(lab.host("node5"), connection.secret)
    guest = start("node5", uuid=uuid, devices_xml=disk(connection, backend))
    eventually("the disk is known as a volume", lambda: volumes_of(wire, uuid) == [volume])
    for destination in ("node6", "node5"):
        ended = wire.move(uuid, destination)
        assert f"grant_volumes.{backend}" in [step["name"] for step in ended["steps"]], story(ended)
        assert_moved(lab, wire, guest, ended, since=0.0)
        if backend in TELLS_HOSTS_APART:
            assert tool(lab, "granted", volume)["initiators"] == [f"iqn.2026-11.org.lmigrate.host:{destination}"]


def register(wire: Wire, backend: str, path: str) -> str:
    answer = wire.http.post("/v1/volumes", json={"backend": backend, "name": backend, "source_name": path})
    assert answer.status_code < 300, answer.text
    return str(answer.json()["uuid"])


def test_a_local_volume_is_copied_there_and_back(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", disks=(DiskSpec("qcow2", 4, fill_mib=1),))
    (path,) = [found["path"] for found in wire.server(guest.uuid)["disks"]]
    volume = register(wire, "disk1", path)
    eventually("the disk is known as a volume", lambda: volumes_of(wire, guest.uuid) == [volume])
    for destination in ("node6", "node5"):
        ended = wire.move(guest.uuid, destination)
        assert "grant_volumes.disk1" in [step["name"] for step in ended["steps"]], story(ended)
        assert_moved(lab, wire, guest, ended, since=0.0)
        assert volumes_of(wire, guest.uuid) == [volume]


def test_a_shared_volume_that_the_destination_does_not_see_is_never_copied(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", disks=(DiskSpec("qcow2", 4, fill_mib=1),))
    (path,) = [found["path"] for found in wire.server(guest.uuid)["disks"]]
    volume = register(wire, "nfs2", path)
    eventually("the disk is known as a volume", lambda: volumes_of(wire, guest.uuid) == [volume])
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] != "completed"
    assert f"node6 does not see {path}, a volume of backend nfs2" in story(ended)
    assert_home(lab, wire, guest, "node5")
