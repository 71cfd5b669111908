"""Looks through the records for everything that needs a human, or soon may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lmigrate.db.models import Leak, Migration, MigrationStep
from lmigrate.db.session import Session
from lmigrate.db.stores import doctor_view, hosts, leaks
from lmigrate.db.stores.doctor_view import GuestRecord, HeldRecord, HostRecord
from lmigrate.db.stores.knowledge import Known
from lmigrate.doctor import conditions
from lmigrate.doctor.advice import Advice, Way, cli
from lmigrate.doctor.finding import Finding, Kind, KnownSide, page_of
from lmigrate.doctor.held import Held, advise
from lmigrate.host.reconcile import Anomaly
from lmigrate.migration.verdict import Seen
from lmigrate.states import HoldReason


def examine(session: Session, now: datetime, service_down_time_s: float) -> list[Finding]:
    """Everything that is wrong; what needs a human first."""
    found = [
        *map(_migration, doctor_view.waiting_migrations(session)),
        *map(_guest, doctor_view.guests_in_doubt(session)),
        *_hosts(session, now, service_down_time_s),
        *_volumes(session),
        *(_leak(row) for row in leaks.all_leaks(session)),
    ]
    return sorted(found, key=lambda finding: not finding.needs_operator)


def _migration(record: HeldRecord) -> Finding:
    row = record.migration
    if row.hold_reason is not None:
        told = Told(Kind.HELD_MIGRATION, row.hold_reason.value, row.error or "", row.hold_reason.value, row.held_at)
        return _told(record, told, _advice(row.hold_reason, record), needs_operator=True)
    if row.silent_since is None and record.untaken is not None:
        return _untaken(record, record.untaken)
    told = Told(
        Kind.WAITING_MIGRATION, "silent-host", row.error or "it waits for a host that does not answer", "host-down", row.silent_since
    )
    return _told(record, told, _waiting(row.id), needs_operator=False)


@dataclass(frozen=True)
class Told:
    """What is said of a migration that does not go on."""

    kind: Kind
    reason: str
    summary: str
    page: str
    since: datetime | None


def _told(record: HeldRecord, told: Told, advice: Advice, *, needs_operator: bool) -> Finding:
    row = record.migration
    return Finding(
        kind=told.kind,
        reason=told.reason,
        needs_operator=needs_operator,
        summary=told.summary,
        page=page_of(told.page),
        since=told.since,
        advice=advice,
        known=tuple(_side(known) for known in record.known.values() if known is not None),
        host=row.source_host,
        migration_id=row.id,
        instance_uuid=row.instance_uuid,
        instance_name=record.instance_name,
    )


def _untaken(record: HeldRecord, step: MigrationStep) -> Finding:
    """Its host's daemon lives, or it would be said to be down; one worker of it does not."""
    where = step.host or "the conductor"
    summary = f"{step.name} on {where} was sent {record.migration.resends + 1} times, and nobody does it: a worker there hangs"
    told = Told(Kind.WAITING_MIGRATION, "untaken-step", summary, "untaken-step", record.migration.dispatched_at)
    return _told(record, told, conditions.of_untaken(record.migration.id, step.host), needs_operator=True)


def _waiting(migration_id: int) -> Advice:
    look = (cli("what it waits for", "migration", "show", str(migration_id)),)
    return Advice(look, (Way("the host comes back: it goes on by itself"),))


def _advice(reason: HoldReason, record: HeldRecord) -> Advice:
    row = record.migration
    seen = {side: None if known is None else Seen.from_facts(known["seen"]) for side, known in record.known.items()}
    held = Held(
        migration_id=row.id,
        instance_uuid=row.instance_uuid,
        source=row.source_host,
        destination=row.dest_host or row.source_host,
        source_seen=seen["source"],
        destination_seen=seen["destination"],
        is_switched_over=row.switched_over_at is not None,
        fenced=row.fenced_host,
        elsewhere=next((one.host for one in record.sightings if one.power_state.is_active and one.host not in _sides(row)), None),
    )
    return advise(reason, held)


def _sides(row: Migration) -> set[str | None]:
    return {row.source_host, row.dest_host}


def _side(known: Known) -> KnownSide:
    return KnownSide(known["host"], str(Seen.from_facts(known["seen"])), datetime.fromisoformat(known["seen_at"]))


def _guest(record: GuestRecord) -> Finding:
    row, seen = record.instance, record.sightings
    anomaly = Anomaly.of(row.anomaly or "")
    active = [sighting.host for sighting in seen if sighting.power_state.is_active]
    return Finding(
        kind=Kind.GUEST,
        reason="unknown" if anomaly is None else anomaly.name.lower().replace("_", "-"),
        needs_operator=True,
        summary=row.anomaly or "",
        page=page_of(HoldReason.POST_COPY_BROKEN if anomaly is Anomaly.POST_COPY_FAILED else "anomaly"),
        since=row.updated_at,
        advice=conditions.of_guest(anomaly, row.uuid, [sighting.host for sighting in seen], active),
        known=tuple(KnownSide(one.host, f"{one.power_state.value} ({one.reason})", one.seen_at) for one in seen),
        host=row.host,
        instance_uuid=row.uuid,
        instance_name=row.name,
    )


def _hosts(session: Session, now: datetime, service_down_time_s: float) -> Iterator[Finding]:
    for record in doctor_view.all_hosts(session):
        why = hosts.why_down(record.host, now, service_down_time_s)
        if why is not None:
            yield _host(record, why)


def _host(record: HostRecord, why: str) -> Finding:
    row = record.host
    is_wanted = row.forced_down and not record.guests  # somebody took it out, and nothing is left on it
    return Finding(
        kind=Kind.HOST,
        reason="forced-down" if row.forced_down else "down",
        needs_operator=not is_wanted,
        summary=f"{row.name} is down, with {record.guests} guests on record: {why}",
        page=page_of("host-down"),
        since=row.last_seen_at,
        advice=conditions.of_host(row.name, record.guests, is_libvirt_only=not row.libvirt_ok, is_forced=row.forced_down),
        host=row.name,
    )


def _volumes(session: Session) -> Iterator[Finding]:
    for row in doctor_view.volumes_in_error(session):
        yield Finding(
            kind=Kind.VOLUME,
            reason="refused",
            needs_operator=True,
            summary=f"volume {row.name} of {row.backend} is not usable: {row.error}",
            page=page_of("volumes"),
            since=row.created_at,
            advice=conditions.of_volume(row.uuid, row.backend),
        )


def _leak(row: Leak) -> Finding:
    return Finding(
        kind=Kind.LEAK,
        reason=row.kind.value,
        needs_operator=row.removed_at is None,
        summary=f"{row.kind.value} {row.subject}: {row.reason}",
        page=page_of("leaks"),
        since=row.first_seen_at,
        advice=conditions.of_leak(row.kind, row.place, row.subject) if row.removed_at is None else Advice(),
        done=row.done,
        host=row.place,
        migration_id=row.migration_id,
        instance_uuid=row.instance_uuid,
    )
