"""The rows of volumes: which attachments there are, and which one a disk is used through."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import select

from lmigrate.db.models import BlockDeviceMapping, Instance, Migration, Volume, VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import migrations, volumes
from lmigrate.errors import AccessBeingRevoked
from lmigrate.states import AttachmentState
from tests.factories.records import disk_row, host_row, instance_row, migration_row
from tests.unit.volumes.conftest import BACKEND, Save, connector, volume_row


@dataclass
class Records:
    """A guest on node5 with two volumes and a local disk, about to go to node6."""

    instance: Instance
    migration_id: int
    volumes: list[Volume]

    def attachments(self) -> dict[tuple[str, str], VolumeAttachment]:
        """By (volume's name, host)."""
        names = {volume.uuid: volume.name for volume in self.volumes}
        with reading() as session:
            rows = list(session.scalars(select(VolumeAttachment)))
            session.expunge_all()
        return {(names[row.volume_uuid], row.host): row for row in rows}

    def used(self) -> dict[str, str | None]:
        """Attachment by device."""
        with reading() as session:
            return {row.device_name: row.attachment_uuid for row in session.scalars(select(BlockDeviceMapping))}

    def grant(self, host: str, migration_id: int | None = None) -> list[str]:
        with writing() as session:
            rows = [
                volumes.begin_grant(session, volume.uuid, self.instance.uuid, host, connector(host), migration_id)
                for volume in self.volumes
            ]
            for row in rows:
                volumes.finish_grant(session, row.uuid, f"token of {host}")
            return [row.uuid for row in rows]


@pytest.fixture
def records(save: Save) -> Records:
    instance = instance_row("node5")
    found = [volume_row("v0"), volume_row("v1")]
    migration = migration_row(instance, dest_host="node6")
    disks = [
        disk_row(instance, f"vd{letter}", source_type="network", path=None, source_name=volume.source_name)
        for letter, volume in zip("cb", found, strict=True)
    ]
    save(host_row("node5", connector=connector("node5")), host_row("node6", connector=connector("node6")), *found, instance, migration)
    save(disk_row(instance, "vda"), *disks)
    with writing() as session:
        volumes.link_disks(session, instance.uuid)
    with reading() as session:
        migration_id = session.scalars(select(Migration.id)).one()
    return Records(instance, migration_id, found)


def test_disks_are_linked_to_their_volumes_and_to_the_access_that_is_there(records: Records) -> None:
    known = records.attachments()
    assert set(known) == {("v0", "node5"), ("v1", "node5")}
    assert {row.state for row in known.values()} == {AttachmentState.GRANTED}
    assert {row.migration_id for row in known.values()} == {None}
    assert records.used() == {"vda": None, "vdb": known["v1", "node5"].uuid, "vdc": known["v0", "node5"].uuid}
    with writing() as session:
        volumes.link_disks(session, records.instance.uuid)
    assert records.attachments().keys() == known.keys()


def test_volumes_come_in_the_order_of_their_devices(records: Records) -> None:
    with reading() as session:
        found = volumes.of_instance(session, records.instance.uuid, "node5", BACKEND)
        assert [(disk.device_name, disk.volume.name) for disk in found] == [("vdb", "v1"), ("vdc", "v0")]
        assert all(disk.attachment is not None for disk in found)
        assert all(disk.attachment is None for disk in volumes.of_instance(session, records.instance.uuid, "node6"))
        assert volumes.of_instance(session, records.instance.uuid, "node5", "another") == []
        assert volumes.backends_of(session, records.instance.uuid) == [BACKEND]


def test_granting_twice_keeps_the_row(records: Records) -> None:
    first = records.grant("node6", records.migration_id)
    assert records.grant("node6", records.migration_id) == first
    assert len(records.attachments()) == 4


def test_what_a_migration_made_is_known_by_it(records: Records) -> None:
    made = set(records.grant("node6", records.migration_id))
    with reading() as session:
        assert {row.uuid for _, row in volumes.made_by(session, records.migration_id, BACKEND)} == made
        assert volumes.made_by(session, records.migration_id, "another") == []


def test_the_switchover_flips_the_disks_with_the_host(records: Records) -> None:
    before = records.used()
    records.grant("node6", records.migration_id)
    assert records.used() == before
    with writing() as session:
        assert migrations.switch_over(session, migrations.lock(session, records.migration_id))
    known = records.attachments()
    assert records.used() == {"vda": None, "vdb": known["v1", "node6"].uuid, "vdc": known["v0", "node6"].uuid}
    assert known["v0", "node6"].migration_id is None  # no rollback can take it back now
    with reading() as session:
        assert session.get_one(Instance, records.instance.uuid).host == "node6"


def test_the_switchover_is_one_transaction(records: Records) -> None:
    before = records.used()
    records.grant("node6", records.migration_id)

    def die() -> None:
        with writing() as session:
            migrations.switch_over(session, migrations.lock(session, records.migration_id))
            session.flush()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        die()
    assert records.used() == before
    with reading() as session:
        assert session.get_one(Instance, records.instance.uuid).host == "node5"


def test_another_guests_disks_stay_where_they_are(records: Records, save: Save) -> None:
    neighbour = instance_row("node5")
    disk = disk_row(neighbour, "vdb", source_type="network", path=None, source_name=records.volumes[0].source_name)
    save(neighbour, disk)
    with writing() as session:
        volumes.link_disks(session, neighbour.uuid)
    with reading() as session:
        theirs = volumes.attachments(session, neighbour.uuid, "node5")[0].uuid
    records.grant("node6", records.migration_id)
    with writing() as session:
        migrations.switch_over(session, migrations.lock(session, records.migration_id))
    with reading() as session:
        query = select(BlockDeviceMapping.attachment_uuid).where(BlockDeviceMapping.instance_uuid == neighbour.uuid)
        assert session.scalar(query) == theirs
        mine = volumes.attachments(session, records.instance.uuid, "node5")
        needed = {
            volume.name
            for volume in records.volumes
            for row in mine
            if row.volume_uuid == volume.uuid and volumes.is_needed_by_others(session, row)
        }
    assert needed == {"v0"}


def test_a_row_goes_after_the_access(records: Records) -> None:
    made = records.grant("node6", records.migration_id)
    with writing() as session:
        volumes.begin_revoke(session, [row for _, row in volumes.made_by(session, records.migration_id, BACKEND)])
    assert {row.state for key, row in records.attachments().items() if key[1] == "node6"} == {AttachmentState.REVOKING}
    for uuid in [*made, *made]:  # twice is once
        with writing() as session:
            volumes.finish_revoke(session, uuid)
    assert {host for _, host in records.attachments()} == {"node5"}


def test_nothing_is_granted_over_access_that_is_being_taken_back(records: Records) -> None:
    """Whoever takes it back may be about to ask the storage: it would cut off what was granted meanwhile."""
    records.grant("node6")
    with writing() as session:
        volumes.begin_revoke(session, volumes.attachments(session, records.instance.uuid, "node6"))
    with pytest.raises(AccessBeingRevoked, match=f"{records.instance.uuid} on node6 is being taken back"):
        records.grant("node6", records.migration_id)
    kept = {(row.state, row.migration_id) for (_, host), row in records.attachments().items() if host == "node6"}
    assert kept == {(AttachmentState.REVOKING, None)}
