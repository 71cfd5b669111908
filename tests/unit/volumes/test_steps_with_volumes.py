"""Granting and taking back, over a storage that fails when told to: what is left equals what was there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from lmigrate.config import Settings
from lmigrate.db.models import Instance, Migration, VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import volumes
from lmigrate.errors import StorageError
from lmigrate.migration.connections import connections_of, secret_uuid
from lmigrate.migration.steps import grant_volumes, revoke_volumes
from lmigrate.migration.steps.base import Facts, StepContext
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, VolumeRef
from tests.factories.records import disk_row, host_row, instance_row, migration_row
from tests.unit.volumes.conftest import BACKEND, Save, connector, initiator, volume_row

Rows = list[tuple[Any, ...]]


class Storage:
    """Who is let in where; the call of a given number fails, before or after its effect."""

    def __init__(self) -> None:
        self.let_in: set[tuple[str, str, str]] = set()  # volume, initiator, attachment
        self.calls = 0
        self.fails_at = 0
        self.is_late = False

    def grant(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, **_who: str | None) -> ConnectionInfo:
        self._meet(lambda: self.let_in.add((volume.uuid, connector.initiator, attachment_uuid)))
        name = str(volume.location["name"])
        return ConnectionInfo("iscsi", name, (("10.0.0.1", 3260),), connector.initiator, f"lm-{attachment_uuid}", "iscsi", "chap-secret")

    def revoke(self, volume: VolumeRef, connector: Connector, attachment_uuid: str, **_who: str | None) -> None:
        self._meet(lambda: self.let_in.discard((volume.uuid, connector.initiator, attachment_uuid)))

    def _meet(self, effect: Callable[[], object]) -> None:
        self.calls += 1
        fails = self.calls == self.fails_at
        if not fails or self.is_late:
            effect()
        if fails:
            raise StorageError(backend=BACKEND, reason="it does not answer")


@pytest.fixture
def san(monkeypatch: pytest.MonkeyPatch) -> Storage:
    made = Storage()
    for module in (grant_volumes, revoke_volumes):
        monkeypatch.setattr(module, "driver_of", lambda _name, _options: made)
    return made


@pytest.fixture
def context(configured: Settings, save: Save) -> StepContext:
    """A guest on node5 with three volumes, going to node6."""
    instance, found = instance_row("node5"), [volume_row(f"v{number}") for number in range(3)]
    migration = migration_row(instance, dest_host="node6")
    disks = [disk_row(instance, f"vd{'abc'[place]}", source_name=volume.source_name, path=None) for place, volume in enumerate(found)]
    save(host_row("node5", connector=connector("node5")), host_row("node6", connector=connector("node6")), *found, instance, migration)
    save(*disks)
    with writing() as session:
        volumes.link_disks(session, instance.uuid)
    return made_context(configured)


def made_context(settings: Settings) -> StepContext:
    with reading() as session:
        migration, instance = session.scalars(select(Migration)).one(), session.scalars(select(Instance)).one()
        session.expunge_all()
    return StepContext(migration, instance, settings, {}, lambda _facts: None, lambda: False, lambda: None, place=BACKEND)


def rows() -> Rows:
    with reading() as session:
        found = session.scalars(select(VolumeAttachment).order_by(VolumeAttachment.uuid))
        return [
            (row.uuid, row.volume_uuid, row.host, row.state, row.migration_id, str(row.connector), row.connection_info) for row in found
        ]


def test_the_destination_is_let_in_and_the_secret_is_kept_in_cipher(context: StepContext, san: Storage) -> None:
    before = rows()
    facts: Facts = grant_volumes.GrantVolumes().do(context)
    assert {(who, attachment) for _, who, attachment in san.let_in} == {(initiator("node6"), uuid) for uuid in facts["attachments"]}
    assert [row for row in rows() if row[2] == "node5"] == before
    assert "chap-secret" not in f"{facts}{rows()}"
    found = connections_of(context)
    assert [connection.device_name for connection in found] == ["vda", "vdb", "vdc"]
    assert {connection.info.secret for connection in found} == {"chap-secret"}
    assert "chap-secret" not in repr(found)
    for connection in found:
        assert connection.secret is not None
        assert connection.secret.uuid == connection.source.secret_uuid == secret_uuid(connection.attachment_uuid)
        assert connection.source.auth_username == f"lm-{connection.attachment_uuid}"
        assert connection.source.initiator == initiator("node6")
    assert len({connection.secret_uuid for connection in found}) == 3


def test_granting_twice_is_once(context: StepContext, san: Storage) -> None:
    first = grant_volumes.GrantVolumes().do(context)
    let_in = set(san.let_in)
    assert grant_volumes.GrantVolumes().do(context) == first
    assert san.let_in == let_in
    assert len(rows()) == 6


@pytest.mark.parametrize("is_late", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_grant_that_fails_is_undone_without_a_trace(context: StepContext, san: Storage, fails_at: int, is_late: bool) -> None:
    before = rows()
    san.fails_at, san.is_late = fails_at, is_late
    with pytest.raises(StorageError, match=BACKEND):
        grant_volumes.GrantVolumes().do(context)
    named = {row[0] for row in rows()}
    assert {attachment for _, _, attachment in san.let_in} <= named  # no access that no row names
    grant_volumes.GrantVolumes().undo(context, None)
    assert (rows(), san.let_in) == (before, set())
    grant_volumes.GrantVolumes().undo(context, None)
    assert rows() == before


@pytest.mark.parametrize("is_late", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_an_undo_that_fails_can_be_done_again(context: StepContext, san: Storage, fails_at: int, is_late: bool) -> None:
    before = rows()
    facts = grant_volumes.GrantVolumes().do(context)
    san.calls, san.fails_at, san.is_late = 0, fails_at, is_late
    with pytest.raises(StorageError):
        grant_volumes.GrantVolumes().undo(context, facts)
    assert {attachment for _, _, attachment in san.let_in} <= {row[0] for row in rows()}
    grant_volumes.GrantVolumes().undo(context, facts)
    assert (rows(), san.let_in) == (before, set())


@pytest.mark.parametrize("is_late", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
def test_the_source_is_shut_out_at_the_end(context: StepContext, san: Storage, fails_at: int, is_late: bool) -> None:
    for _, volume, _, attachment in [(0, row[1], 0, row[0]) for row in rows()]:
        san.let_in.add((volume, initiator("node5"), attachment))
    grant_volumes.GrantVolumes().do(context)
    san.calls, san.fails_at, san.is_late = 0, fails_at, is_late
    if fails_at:
        with pytest.raises(StorageError):
            revoke_volumes.RevokeVolumes().do(context)
    revoke_volumes.RevokeVolumes().do(context)
    assert {who for _, who, _ in san.let_in} == {initiator("node6")}
    assert {row[2] for row in rows()} == {"node6"}
    assert revoke_volumes.RevokeVolumes().do(context) == {"revoked": []}


def test_a_host_keeps_a_shareable_volume_for_its_other_guest(context: StepContext, san: Storage, save: Save) -> None:
    neighbour = instance_row("node5")
    with reading() as session:
        disk = volumes.of_instance(session, context.instance.uuid, "node5")[0]
        name, volume_uuid = disk.volume.source_name, disk.volume.uuid
    save(neighbour, disk_row(neighbour, "vda", source_name=name, path=None))
    with writing() as session:
        volumes.link_disks(session, neighbour.uuid)
    san.let_in = {(row[1], initiator("node5"), row[0]) for row in rows()}
    revoke_volumes.RevokeVolumes().do(context)
    assert {volume for volume, _, _ in san.let_in} == {volume_uuid}
    assert [row[1] for row in rows()] == [volume_uuid]
