"""The storage's own books against the records: finish what was left half done, restore what was forgotten, remove what leaked.

What nobody can prove to be unneeded is told (`lmigrate doctor`) and left alone.

Run by the storage daemon when it starts and from time to time.  The storage is read
before the records: a row is committed before its access is granted, so that whatever
the storage shows and no row names is not just being granted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from lmigrate import crypto
from lmigrate.config import Settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Volume, VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import access, leaks, registration
from lmigrate.db.stores.leaks import Found
from lmigrate.errors import LmigrateError
from lmigrate.states import AttachmentState, LeakKind
from lmigrate.storage.attachments import revoke_leftover
from lmigrate.storage.circuit import asking
from lmigrate.storage.drivers.audit import Access, Auditable, Grant, Stray, Telling
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, Driver, VolumeRef
from lmigrate.storage.drivers.registry import driver_of
from lmigrate.storage.registration import RESEND_AFTER, verify

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Records:
    """What the records say about access, as far as it decides whose an entry of the storage is."""

    attachments: frozenset[str]  # every attachment there is, of whatever backend
    named: frozenset[tuple[str, str]]  # (volume, initiator) of the rows
    found: frozenset[str]  # volumes that a guest uses by access that lmigrate did not give
    initiators: frozenset[str]  # of our hosts


def is_leak(entry: Access, records: Records) -> bool:
    """Whether an entry is proven ours and needed by nobody.

    An account names its attachment.  An initiator is ours if one of our hosts has it; what a foreign one may is not our business.
    """
    if entry.attachment_uuid is not None:
        return entry.attachment_uuid not in records.attachments and entry.volume_uuid not in records.found
    pair = (entry.volume_uuid or "", entry.initiator or "")
    return entry.initiator in records.initiators and pair not in records.named


@dataclass
class Sweeper:
    """Sweeps one backend; remembers since when it has seen each leak."""

    settings: Settings
    backend: str
    first_seen: dict[Access, datetime] = field(default_factory=dict)
    strays_seen: dict[str, datetime] = field(default_factory=dict)

    def sweep(self) -> list[str]:
        """A sentence for each thing done.  What fails is logged, and tried again the next time."""
        driver = driver_of(self.backend, self.settings.storage)
        parts: list[Callable[[], Iterable[str]]] = [self._register, lambda: self._finish(driver)]
        if isinstance(driver, Auditable):
            parts += [lambda: self._restore(driver), lambda: self._remove_leaks(driver)]
        if isinstance(driver, Telling):
            parts += [lambda: self._tell_strays(driver)]
        return [sentence for part in parts for sentence in self._guarded(part)]

    def _guarded(self, part: Callable[[], Iterable[str]]) -> list[str]:
        done: list[str] = []
        try:
            for sentence in part():
                log.warning(sentence, backend=self.backend)
                done.append(sentence)
        except LmigrateError as error:
            log.warning("a part of the sweep failed; it will be tried again", backend=self.backend, reason=str(error))
        return done

    def _register(self) -> Iterable[str]:
        with reading() as session:
            waiting = registration.waiting(session, self.backend, utcnow() - RESEND_AFTER)
        for uuid in waiting:
            yield verify(uuid, self.settings)

    def _finish(self, driver: Driver) -> Iterable[str]:
        with reading() as session:
            rows = access.leftovers(session, self.backend, utcnow() - self._grace)
        for volume, row in rows:
            if not revoke_leftover(volume, row, driver):
                continue  # a migration or its guest has come back to it while others were revoked
            self._note(
                Found(LeakKind.ATTACHMENT, row.uuid, f"access of {row.host} to volume {volume.uuid} was left {row.state}"), "revoked"
            )
            yield f"attachment {row.uuid} of volume {volume.uuid} to {row.host} was left {row.state}: revoked"

    def _restore(self, driver: Auditable) -> Iterable[str]:
        with reading() as session:
            rows = access.rows_of(session, self.backend)
        grants = [self._grant(volume, row) for volume, row in rows if _is_ours_and_granted(row)]
        with asking(self.backend):
            missing = driver.missing(grants)
        for grant in missing:
            try:
                with asking(self.backend):
                    driver.restore(grant)
            except LmigrateError as error:
                log.warning("access could not be restored", backend=self.backend, attachment=grant.attachment_uuid, reason=str(error))
                continue
            yield f"forgotten by the storage: volume {grant.volume.uuid} to {grant.connector.host} ({grant.attachment_uuid}): restored"

    def _remove_leaks(self, driver: Auditable) -> Iterable[str]:
        with reading() as session:
            volumes = {row.uuid: row for row in access.volumes_of(session, self.backend)}
        refs = {uuid: VolumeRef(uuid, row.location) for uuid, row in volumes.items()}
        with asking(self.backend):
            entries = driver.accesses(list(refs.values()))
        leaks = self._leaks(entries, volumes)
        now = utcnow()
        self.first_seen = {entry: self.first_seen.get(entry, now) for entry in leaks}
        for entry in sorted(leaks, key=str):
            if now - self.first_seen[entry] >= self._grace:
                with asking(self.backend):
                    driver.withdraw(entry, refs.get(entry.volume_uuid or ""))
                self._note(Found(LeakKind.GRANT, str(entry)[:1024], "no attachment names it"), "removed from the storage")
                yield f"no attachment names {entry}: removed from the storage"

    def _tell_strays(self, driver: Telling) -> Iterable[str]:
        """Not those of a guest that is on the move: its migration sees to its own."""
        with reading() as session:
            users, hosts = access.users_of(session, self.backend), access.host_names(session)
            refs = [VolumeRef(volume.uuid, volume.location) for volume in access.volumes_of(session, self.backend)]
        found: list[Stray] = []
        for volume in refs:
            with asking(self.backend):
                found += driver.strays(volume, users.get(volume.uuid, set()), hosts)
        with reading() as session:
            moving = access.moving(session, {one.instance_uuid for one in found})
        settled = [one for one in found if one.instance_uuid not in moving]
        now = utcnow()
        self.strays_seen = {one.subject: self.strays_seen.get(one.subject, now) for one in settled}
        told = [one for one in settled if now - self.strays_seen[one.subject] >= self._grace]
        yield from self._note_strays(told, {one.subject for one in found})

    def _note_strays(self, strays: list[Stray], seen: set[str]) -> Iterable[str]:
        with writing() as session:
            for one in strays:
                leaks.note(session, self.backend, Found(LeakKind.STRAY, one.subject, one.what, None, one.instance_uuid))
            leaks.forget_gone(session, self.backend, [LeakKind.STRAY], seen)
        return [f"{one.what} ({one.subject}): left alone" for one in strays]

    def _leaks(self, entries: Iterable[Access], volumes: dict[str, Volume]) -> set[Access]:
        with reading() as session:
            rows = access.rows_of(session, self.backend)
            hosts = access.initiators(session)
            records = Records(
                attachments=frozenset(access.all_attachment_uuids(session)),
                named=frozenset((volume.uuid, row.connector.get("initiator", "")) for volume, row in rows),
                found=frozenset(volume.uuid for volume, row in rows if row.connection_info is None),
                initiators=frozenset(hosts),
            )
            suspects = {entry for entry in entries if is_leak(entry, records)}
            # sightings are long: they are read for suspects only
            seen = access.source_names_on(session, {hosts[entry.initiator] for entry in suspects if entry.initiator})
        return {entry for entry in suspects if not _is_used(entry, hosts, seen, volumes)}

    def _note(self, found: Found, done: str) -> None:
        """For `lmigrate doctor`."""
        with writing() as session:
            leaks.note(session, self.backend, found, done=done, is_removed=True)

    def _grant(self, volume: Volume, row: VolumeAttachment) -> Grant:
        text = crypto.decrypt(row.connection_info or "", self.settings.secrets.plain_keys)
        info = ConnectionInfo.from_json(json.loads(text))
        return Grant(VolumeRef(volume.uuid, volume.location), Connector.from_json(row.connector), row.uuid, info)

    @property
    def _grace(self) -> timedelta:
        return timedelta(seconds=self.settings.storage.leak_grace_s)


def _is_ours_and_granted(row: VolumeAttachment) -> bool:
    """Not access that was found: its credentials are not known here."""
    return row.state is AttachmentState.GRANTED and row.connection_info is not None


def _is_used(entry: Access, hosts: dict[str, str], seen: dict[str, set[str]], volumes: dict[str, Volume]) -> bool:
    if entry.initiator is None or entry.volume_uuid is None:
        return False
    return volumes[entry.volume_uuid].source_name in seen[hosts[entry.initiator]]
