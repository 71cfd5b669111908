"""Volumes become known: over the API, asked for at the storage, linked to the disks that they are."""

from __future__ import annotations

from typing import Any

import pytest

from api.app import create_app
from api.v1 import volumes as api_volumes
from lmigrate.config import Settings
from lmigrate.db.models import BlockDeviceMapping, Volume, VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.errors import BrokerUnavailable
from lmigrate.ids import new_uuid
from lmigrate.states import AttachmentState, VolumeState
from lmigrate.storage import registration
from lmigrate.storage.audit import Sweeper
from lmigrate.storage.registration import RESEND_AFTER, verify
from tasks.dispatcher import CeleryDispatcher
from tests.factories.records import disk_row, host_row, instance_row
from tests.unit.volumes.conftest import BACKEND, BookStorage, Save, attachment_row, connector, volume_row

NAME = "iqn.2026-11.org.example:web1/1"
SECRET = "a-secret-of-chap"
Api = Any  # Flask's test client: its answers are JSON of any shape


@pytest.fixture
def client(configured: Settings, storage: BookStorage, monkeypatch: pytest.MonkeyPatch) -> Api:
    """An API whose messages are taken at once by a storage daemon."""
    monkeypatch.setattr(CeleryDispatcher, "send_verify_volume", lambda _self, _backend, uuid: verify(uuid, configured))
    return create_app().test_client()


@pytest.fixture
def lonely(client: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """An API whose messages nobody takes."""
    monkeypatch.setattr(CeleryDispatcher, "send_verify_volume", lambda _self, _backend, _uuid: None)
    monkeypatch.setattr(api_volumes, "WAIT_S", 0.1)
    return client


def body(**fields: Any) -> dict[str, Any]:
    return {"name": "web1-root", "backend": BACKEND, "source_name": NAME, **fields}


def count(model: type) -> int:
    with reading() as session:
        return session.query(model).count()


def test_a_volume_is_found_by_name(client: Api, storage: BookStorage) -> None:
    storage.volumes[NAME] = 5 << 20
    made = client.post("/v1/volumes", json=body())
    assert made.status_code == 200, made.text
    assert {key: made.json[key] for key in ("state", "size_bytes", "source_name", "attachments")} == {
        "state": "available",
        "size_bytes": 5 << 20,
        "source_name": NAME,
        "attachments": [],
    }
    listed = client.get("/v1/volumes", query_string={"backend": BACKEND}).json
    assert [row["uuid"] for row in listed["volumes"]] == [made.json["uuid"]]


def test_a_volume_is_found_by_location(client: Api, storage: BookStorage) -> None:
    storage.volumes[NAME] = 1 << 20
    made = client.post("/v1/volumes", json=body(source_name=None, location={"name": NAME}))
    assert (made.status_code, made.json["source_name"]) == (200, NAME)


@pytest.mark.parametrize(
    ("wanted", "status", "code", "word"),
    [
        (body(backend="san9"), 400, "InvalidInput", "san1"),
        (body(source_name=None), 400, "InvalidInput", "location or source_name"),
        (body(location={"name": NAME}), 400, "InvalidInput", "location or source_name"),
        (body(), 400, "VolumeRefused", "there is no"),
        (body(source_name=None, location={"nonsense": 1}), 400, "VolumeRefused", "a location needs 'name'"),
    ],
)
def test_refusals_leave_nothing_behind(client: Api, wanted: dict[str, Any], status: int, code: str, word: str) -> None:
    answer = client.post("/v1/volumes", json=wanted)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert word in answer.json["detail"]
    assert count(Volume) == 0


def test_a_volume_is_registered_once(client: Api, storage: BookStorage) -> None:
    storage.volumes[NAME] = 1 << 20
    assert client.post("/v1/volumes", json=body()).status_code == 200
    for again in (body(), body(source_name=None, location={"name": NAME})):
        answer = client.post("/v1/volumes", json=again)
        assert (answer.status_code, count(Volume)) in {(409, 1), (400, 1)}, answer.text
        assert "is registered already" in answer.json["detail"]


def test_disks_that_are_there_are_linked(client: Api, storage: BookStorage, save: Save) -> None:
    storage.volumes[NAME] = 1 << 20
    guest = instance_row("node5")
    disk = disk_row(guest, "vda", source_type="network", destination_type="volume", protocol="iscsi", source_name=NAME, path=None)
    save(host_row("node5", connector=connector("node5")), guest, disk, disk_row(guest, "vdb"))
    made = client.post("/v1/volumes", json=body()).json
    found = made["attachments"]
    assert [(one["host"], one["state"], one["device"], one["is_used"]) for one in found] == [("node5", "granted", "vda", True)]
    shown = client.get(f"/v1/servers/{guest.uuid}").json["disks"]
    assert shown[0]["volume"]["uuid"] == made["uuid"]
    assert shown[0]["volume"]["attachments"] == [
        {"uuid": made["attachments"][0]["uuid"], "host": "node5", "state": "granted", "is_used": True}
    ]
    assert shown[1]["volume"] is None


def test_nobody_answers_in_time(lonely: Api, storage: BookStorage, configured: Settings) -> None:
    storage.volumes[NAME] = 1 << 20
    made = lonely.post("/v1/volumes", json=body())
    assert (made.status_code, made.json["state"], made.json["size_bytes"]) == (200, "registering", None)
    with writing() as session:
        session.get_one(Volume, made.json["uuid"]).created_at -= RESEND_AFTER
    Sweeper(configured, BACKEND).sweep()
    assert lonely.get(f"/v1/volumes/{made.json['uuid']}").json["state"] == "available"


def test_a_storage_that_is_silent_has_refused_nothing(lonely: Api, storage: BookStorage, configured: Settings) -> None:
    storage.volumes[NAME] = 1 << 20
    uuid = lonely.post("/v1/volumes", json=body()).json["uuid"]
    storage.is_silent = True
    assert "no end within 60 s" in verify(uuid, configured)
    shown = lonely.get(f"/v1/volumes/{uuid}").json
    assert (shown["state"], shown["error"]) == ("registering", None)
    storage.is_silent = False
    with writing() as session:
        session.get_one(Volume, uuid).created_at -= RESEND_AFTER
    Sweeper(configured, BACKEND).sweep()
    assert lonely.get(f"/v1/volumes/{uuid}").json["state"] == "available"


def test_a_refusal_that_nobody_waited_for_can_be_tried_again(lonely: Api, configured: Settings, storage: BookStorage) -> None:
    uuid = lonely.post("/v1/volumes", json=body()).json["uuid"]
    verify(uuid, configured)
    shown = lonely.get(f"/v1/volumes/{uuid}").json
    assert shown["state"] == "error"
    assert NAME in shown["error"]
    storage.volumes[NAME] = 1 << 20
    again = registration.begin(configured.storage, BACKEND, "web1-root", None, NAME)
    verify(again, configured)
    with reading() as session:
        assert [(row.uuid, row.state) for row in session.query(Volume)] == [(again, VolumeState.AVAILABLE)]


def test_without_a_broker_nothing_is_left(client: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise BrokerUnavailable(reason="away")

    monkeypatch.setattr(CeleryDispatcher, "send_verify_volume", refuse)
    assert client.post("/v1/volumes", json=body()).status_code == 503
    assert count(Volume) == 0


def test_no_answer_tells_a_secret(client: Api, save: Save) -> None:
    guest, volume = instance_row("node5"), volume_row()
    row = attachment_row(volume, "node5", guest.uuid)
    disk = disk_row(guest, "vda", destination_type="volume", source_name=volume.source_name)
    save(host_row("node5", connector=connector("node5")), guest, volume, row, disk)
    with writing() as session:
        disk = session.query(BlockDeviceMapping).one()
        disk.volume_uuid, disk.attachment_uuid = volume.uuid, row.uuid
    token = str(row.connection_info)
    for path in (f"/v1/volumes/{volume.uuid}", f"/v1/volumes/{volume.uuid}/attachments", "/v1/volumes", f"/v1/servers/{guest.uuid}"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert SECRET not in answer.text
        assert token not in answer.text


def test_pages(client: Api, save: Save) -> None:
    save(*(volume_row(f"v{number}") for number in range(3)))
    first = client.get("/v1/volumes", query_string={"limit": 2}).json
    second = client.get("/v1/volumes", query_string={"limit": 2, "marker": first["next_marker"]}).json
    assert sorted(row["name"] for row in first["volumes"] + second["volumes"]) == ["v0", "v1", "v2"]
    assert second["next_marker"] is None
    assert client.get("/v1/volumes", query_string={"marker": new_uuid()}).status_code == 404
    assert client.get(f"/v1/volumes/{new_uuid()}").status_code == 404


def test_nova_lists_the_volumes_of_a_server(client: Api, save: Save) -> None:
    guest, volume = instance_row("node5"), volume_row()
    row = attachment_row(volume, "node5", guest.uuid, state=AttachmentState.GRANTED)
    save(guest, volume, row, disk_row(guest, "vda", volume_uuid=volume.uuid, attachment_uuid=row.uuid), disk_row(guest, "vdb"))
    path = f"/v2.1/servers/{guest.uuid}/os-volume_attachments"
    old = {"id": volume.uuid, "serverId": guest.uuid, "volumeId": volume.uuid, "device": "/dev/vda"}
    assert client.get(path).json == {"volumeAttachments": [old]}
    newest = client.get(f"{path}/{volume.uuid}", headers={"OpenStack-API-Version": "compute 2.89"}).json["volumeAttachment"]
    assert newest.pop("bdm_uuid")
    assert newest == {
        "serverId": guest.uuid,
        "volumeId": volume.uuid,
        "device": "/dev/vda",
        "tag": None,
        "delete_on_termination": False,
        "attachment_id": row.uuid,
    }
    assert client.get(path, query_string={"offset": 1}).json == {"volumeAttachments": []}
    assert client.get(f"{path}/{new_uuid()}").status_code == 404
    assert count(VolumeAttachment) == 1
