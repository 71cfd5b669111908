"""A guest that was undefined on purpose is forgotten when an administrator says so, and no other."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from lmigrate.db.models import BlockDeviceMapping, Instance, InstanceAction, Migration, MigrationStep, Volume, VolumeAttachment
from lmigrate.db.session import reading
from lmigrate.ids import new_uuid
from lmigrate.states import AttachmentState, Phase, PowerState, VmState
from tests.factories.journal import action_row, step_row
from tests.factories.records import disk_row, host_row, instance_row, migration_row, sighting_row

Save = Callable[..., None]


@pytest.fixture
def gone(save: Save) -> Instance:
    row = instance_row(
        "node5", name="old", vm_state=VmState.UNKNOWN, power_state=PowerState.NOSTATE, anomaly="its domain has vanished from node5"
    )
    save(host_row("node5"), row, disk_row(row, "vda"))
    return row


def moved(save: Save, guest: Instance, **fields: object) -> Migration:
    migration = migration_row(guest, **fields)
    guest.task_state = None
    save(migration)
    save(step_row(migration, 1, "migrate"), action_row(migration))
    return migration


def test_nothing_of_it_is_left(client: FlaskClient, save: Save, gone: Instance) -> None:
    other = instance_row("node5", name="new")
    save(other)
    moved(save, gone, phase=Phase.ENDED)
    kept = moved(save, other, phase=Phase.ENDED)
    answer = client.delete(f"/v1/servers/{gone.uuid.upper()}")
    assert (answer.status_code, answer.json) == (200, {"uuid": gone.uuid})
    with reading() as session:
        assert [row.uuid for row in session.query(Instance)] == [other.uuid]
        assert [row.id for row in session.query(Migration)] == [kept.id]
        assert [row.migration_id for row in session.query(MigrationStep)] == [kept.id]
        assert [row.instance_uuid for row in session.query(InstanceAction)] == [other.uuid]
        assert session.query(BlockDeviceMapping).all() == []
    assert client.delete(f"/v1/servers/{gone.uuid}").status_code == 404


def test_its_access_to_volumes_is_taken_back(client: FlaskClient, save: Save, gone: Instance) -> None:
    volume = Volume(uuid=new_uuid(), name="root", backend="san1", source_name="iqn.test:root/1", location={}, size_bytes=1 << 20)
    attachment = new_uuid()
    save(volume)
    access = {"volume_uuid": volume.uuid, "instance_uuid": gone.uuid, "host": "node5", "connector": {}}
    save(VolumeAttachment(uuid=attachment, state=AttachmentState.GRANTED, **access))
    assert client.delete(f"/v1/servers/{gone.uuid}").status_code == 200
    with reading() as session:
        assert session.get_one(VolumeAttachment, attachment).state is AttachmentState.REVOKING


def refused(client: FlaskClient, guest: Instance) -> str:
    answer = client.delete(f"/v1/servers/{guest.uuid}")
    assert answer.status_code == 409, answer.text
    assert answer.json is not None
    with reading() as session:
        assert session.get(Instance, guest.uuid) is not None
    return str(answer.json["detail"])


def test_one_that_is_there_is_kept(client: FlaskClient, save: Save, gone: Instance) -> None:
    there = instance_row("node5", name="web1")
    save(there)
    assert "not known to have vanished from node5" in refused(client, there)
    save(sighting_row("node6", gone))
    assert "node6 has its domain" in refused(client, gone)


def test_one_with_an_open_migration_is_kept(client: FlaskClient, save: Save, gone: Instance) -> None:
    moved(save, gone, phase=Phase.HELD)
    assert "a migration of it has not ended" in refused(client, gone)
