"""What the storage daemon does about access that does not agree with the records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lmigrate.breaker import MAX_SILENCES, Breaker
from lmigrate.config import Settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, Leak, Volume, VolumeAttachment
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import leaks as leak_rows
from lmigrate.db.stores import volumes
from lmigrate.doctor.examine import examine
from lmigrate.doctor.finding import Finding, Kind
from lmigrate.ids import new_uuid
from lmigrate.states import AttachmentState, LeakKind, Phase, PowerState, VolumeState
from lmigrate.storage import audit, circuit
from lmigrate.storage.audit import Records, Sweeper, is_leak
from lmigrate.storage.drivers.audit import Access, Stray
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.storage.registration import verify
from tests.factories.records import host_row, instance_row, migration_row, sighting_row
from tests.unit.volumes.conftest import BACKEND, BookStorage, Save, attachment_row, connector, entries_of, initiator, volume_row

VOLUME, ATTACHMENT = new_uuid(), new_uuid()
RECORDS = Records(
    attachments=frozenset({ATTACHMENT}),
    named=frozenset({(VOLUME, initiator("node5"))}),
    found=frozenset({"found"}),
    initiators=frozenset({initiator("node5"), initiator("node6")}),
)


@pytest.mark.parametrize(
    ("entry", "leaks"),
    [
        (Access(VOLUME, attachment_uuid=ATTACHMENT), False),
        (Access(VOLUME, attachment_uuid=new_uuid()), True),
        (Access(None, attachment_uuid=new_uuid()), True),
        (Access(VOLUME, initiator=initiator("node5")), False),
        (Access(VOLUME, initiator=initiator("node6")), True),
        (Access(VOLUME, initiator="iqn.1993-08.org.debian:01:somebody"), False),
        (Access("found", attachment_uuid=new_uuid()), False),  # the guest there may use it: its credentials are not known
        (Access("other", initiator=initiator("node5")), True),
    ],
)
def test_what_is_a_leak(entry: Access, leaks: bool) -> None:
    assert is_leak(entry, RECORDS) is leaks


@pytest.fixture
def sweeper(configured: Settings) -> Sweeper:
    return Sweeper(configured, BACKEND)


def rows() -> dict[str, AttachmentState]:
    with reading() as session:
        return {row.uuid: row.state for row in session.query(VolumeAttachment)}


def examine_now() -> list[Finding]:
    with reading() as session:
        return examine(session, utcnow(), 60)


def noted() -> list[Leak]:
    """What `lmigrate doctor` tells of."""
    with reading() as session:
        return leak_rows.all_leaks(session)


def test_nothing_is_done_when_all_agree(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    host, guest, volume = host_row("node5", connector=connector("node5")), instance_row("node5"), volume_row()
    attachment = attachment_row(volume, "node5", guest.uuid)
    save(host, guest, volume, attachment)
    storage.entries = entries_of(volume.uuid, initiator("node5"), attachment.uuid)
    assert sweeper.sweep() == []


def test_a_leak_is_removed_and_nothing_else(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    guest, volume = instance_row("node5"), volume_row()
    attachment = attachment_row(volume, "node5", guest.uuid)
    save(*(host_row(name, connector=connector(name)) for name in ("node5", "node6")), guest, volume, attachment)
    kept = entries_of(volume.uuid, initiator("node5"), attachment.uuid) | {Access(volume.uuid, initiator="iqn.1993-08.org.debian:01:other")}
    storage.entries = kept | entries_of(volume.uuid, initiator("node6"), new_uuid())
    assert len(sweeper.sweep()) == 2
    assert storage.entries == kept
    told = noted()
    assert [(leak.place, leak.kind, leak.done) for leak in told] == [(BACKEND, LeakKind.GRANT, "removed from the storage")] * 2
    assert all(leak.removed_at is not None for leak in told)


def test_a_leak_is_given_time(storage: BookStorage, configured: Settings, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = configured.model_copy(update={"storage": configured.storage.model_copy(update={"leak_grace_s": 60.0})})
    sweeper, volume, now = Sweeper(patient, BACKEND), volume_row(), utcnow()
    save(volume)
    storage.entries = {Access(volume.uuid, attachment_uuid=new_uuid())}
    for seconds, left in ((0, 1), (59, 1), (61, 0)):
        monkeypatch.setattr(audit, "utcnow", lambda after=seconds: now + timedelta(seconds=after))
        sweeper.sweep()
        assert len(storage.entries) == left


def test_a_domain_keeps_the_access_of_its_host(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    """Access that an operator gave by hand, to a guest that is not recorded on this host."""
    volume, guest = volume_row(), instance_row("node5")
    disks: dict[str, Any] = {"disks": [{"source_name": volume.source_name, "path": None}]}
    seen = sighting_row("node6", guest, description=disks, power_state=PowerState.SHUTOFF)
    save(*(host_row(name, connector=connector(name)) for name in ("node5", "node6")), guest, volume, seen)
    storage.entries = {Access(volume.uuid, initiator=initiator("node6"))}
    assert sweeper.sweep() == []
    assert len(storage.entries) == 1


def test_what_the_storage_forgot_is_restored(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    volume, guest = volume_row(), instance_row("node5")
    ours = attachment_row(volume, "node5", guest.uuid)
    found = attachment_row(volume_two := volume_row("v1"), "node5", guest.uuid, connection_info=None)
    save(host_row("node5", connector=connector("node5")), guest, volume, volume_two, ours, found)
    assert len(sweeper.sweep()) == 1
    assert storage.entries == entries_of(volume.uuid, initiator("node5"), ours.uuid)  # of the other, no credentials are known
    assert sweeper.sweep() == []


@pytest.mark.parametrize(
    ("host", "state", "is_ended", "finished"),
    [
        ("node6", AttachmentState.GRANTING, True, True),
        ("node6", AttachmentState.REVOKING, True, True),
        ("node6", AttachmentState.GRANTED, True, True),
        ("node6", AttachmentState.GRANTING, False, False),  # its migration sees to it
        ("node5", AttachmentState.REVOKING, True, False),  # where the guest is, nothing is taken away
    ],
)
def test_half_done_attachments_are_finished(
    storage: BookStorage, sweeper: Sweeper, save: Save, *, host: str, state: AttachmentState, is_ended: bool, finished: bool
) -> None:
    volume, guest = volume_row(), instance_row("node5")
    migration = migration_row(guest, phase=Phase.ENDED if is_ended else Phase.FORWARD)
    row = attachment_row(volume, host, guest.uuid, state=state, updated_at=utcnow() - timedelta(minutes=1))
    save(*(host_row(name, connector=connector(name)) for name in ("node5", "node6")), guest, volume, migration)
    row.migration_id = migration.id
    save(row)
    storage.entries = entries_of(volume.uuid, initiator(host), row.uuid)
    sweeper.sweep()
    assert (rows() == {}) is finished
    assert (storage.entries == set()) is finished
    assert [leak.kind for leak in noted()] == ([LeakKind.ATTACHMENT] if finished else [])


@pytest.mark.parametrize("change", ["grant", "migration", "arrival", "domain"])
def test_what_is_needed_again_by_the_time_of_its_turn_is_left_alone(
    storage: BookStorage, sweeper: Sweeper, save: Save, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Leftovers are read at once and taken back one after another, which takes as long as the storage likes."""
    disks, guests = [volume_row("v0"), volume_row("v1")], [instance_row("node5"), instance_row("node5")]
    old: dict[str, Any] = {"state": AttachmentState.GRANTING, "updated_at": utcnow() - timedelta(minutes=1)}
    made = [attachment_row(volume, "node6", guest.uuid, **old) for volume, guest in zip(disks, guests, strict=True)]
    first, second = sorted(made, key=lambda row: row.uuid)
    save(*(host_row(name, connector=connector(name)) for name in ("node5", "node6")), *guests, *disks, *made)
    [guest] = [guest for guest in guests if guest.uuid == second.instance_uuid]

    def while_first_is_revoked(session: Session) -> None:
        if change == "migration":
            session.add(migration_row(guest, dest_host="node6"))
        elif change == "arrival":
            session.get_one(Instance, guest.uuid).host = "node6"
        elif change == "domain":
            session.add(sighting_row("node6", guest))
        else:
            volumes.begin_grant(session, second.volume_uuid, guest.uuid, "node6", connector("node6"), None)

    revoked: list[str] = []

    def revoke(_volume: VolumeRef, _connector: Connector, attachment_uuid: str, **_who: str | None) -> None:
        revoked.append(attachment_uuid)
        with writing() as session:
            while_first_is_revoked(session)

    monkeypatch.setattr(storage, "revoke", revoke)
    assert len(sweeper.sweep()) == 1
    assert revoked == [first.uuid]
    assert rows() == {second.uuid: AttachmentState.GRANTING}


def test_a_live_domain_keeps_its_half_done_attachment(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    volume, guest = volume_row(), instance_row("node5")
    row = attachment_row(volume, "node6", guest.uuid, state=AttachmentState.GRANTING, updated_at=utcnow() - timedelta(minutes=1))
    save(guest, volume, row, sighting_row("node6", guest))
    sweeper.sweep()
    assert list(rows()) == [row.uuid]


def test_a_storage_that_is_away_is_asked_again(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    volume, guest = volume_row(), instance_row("node5")
    row = attachment_row(volume, "node5", guest.uuid)
    save(host_row("node5", connector=connector("node5")), guest, volume, row)
    storage.is_away = True
    assert sweeper.sweep() == []
    storage.is_away = False
    assert len(sweeper.sweep()) == 1


def test_a_storage_that_is_silent_is_not_asked_by_every_part_again(
    storage: BookStorage, sweeper: Sweeper, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each silence costs its deadline, and the steps of migrations wait behind the sweep."""
    breaker = Breaker("a storage", 3600)
    monkeypatch.setattr(circuit, "breaker_of", lambda _backend: breaker)
    volume, other, new, guest = volume_row(), volume_row("v1"), volume_row("v2", state=VolumeState.REGISTERING), instance_row("node5")
    forgotten = [attachment_row(one, "node5", guest.uuid) for one in (volume, other)]
    save(host_row("node5", connector=connector("node5")), guest, volume, other, new, *forgotten)
    storage.is_silent = True
    for _ in range(MAX_SILENCES):
        assert sweeper.sweep() == []
    assert storage.asked == MAX_SILENCES
    assert "silent 3 times in a row" in verify(new.uuid, sweeper.settings)
    assert storage.asked == MAX_SILENCES
    with reading() as session:
        assert session.get_one(Volume, new.uuid).state is VolumeState.REGISTERING


def test_what_only_a_person_can_judge_is_told_and_left_alone(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    guest, volume = instance_row("node5"), volume_row()
    save(host_row("node5", connector=connector("node5")), guest, volume, attachment := attachment_row(volume, "node5", guest.uuid))
    storage.entries = entries_of(volume.uuid, initiator("node5"), attachment.uuid)
    storage.odd = [Stray("its-id", f"node9 has an attachment of volume {volume.uuid} that no record names", guest.uuid)]
    for _ in range(2):
        assert sweeper.sweep() == [f"{storage.odd[0].what} (its-id): left alone"]
    (leak,) = noted()
    assert (leak.place, leak.kind, leak.subject, leak.removed_at, leak.instance_uuid) == (
        BACKEND,
        LeakKind.STRAY,
        "its-id",
        None,
        guest.uuid,
    )
    (finding,) = [one for one in examine_now() if one.kind is Kind.LEAK]
    assert finding.needs_operator
    assert finding.advice.ways[0].commands[0].command.endswith("volume attachment delete its-id")
    storage.odd = []
    assert sweeper.sweep() == []
    assert noted() == []


def test_a_stray_attachment_of_a_guest_that_moves_is_its_migrations(storage: BookStorage, sweeper: Sweeper, save: Save) -> None:
    guest, volume = instance_row("node5"), volume_row()
    save(host_row("node5", connector=connector("node5")), guest, volume, attachment_row(volume, "node5", guest.uuid, connection_info=None))
    save(migration_row(guest, phase=Phase.FORWARD))
    storage.odd = [Stray("its-id", f"an attachment of volume {volume.uuid} that was never completed", guest.uuid)]
    assert sweeper.sweep() == []


def test_a_stray_attachment_is_given_time(storage: BookStorage, configured: Settings, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = configured.model_copy(update={"storage": configured.storage.model_copy(update={"leak_grace_s": 60.0})})
    sweeper, guest, volume, now = Sweeper(patient, BACKEND), instance_row("node5"), volume_row(), utcnow()
    save(host_row("node5", connector=connector("node5")), guest, volume, attachment_row(volume, "node5", guest.uuid, connection_info=None))
    storage.odd = [Stray("its-id", f"an attachment of volume {volume.uuid} that was never completed", guest.uuid)]
    for seconds, told in ((0, 0), (59, 0), (61, 1)):
        monkeypatch.setattr(audit, "utcnow", lambda after=seconds: now + timedelta(seconds=after))
        assert len(sweeper.sweep()) == told
