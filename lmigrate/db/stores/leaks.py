"""Leaks: noted each time they are seen, forgotten when they are gone; and those that are in the records themselves.

A place is swept by one sweeper at a time, which is the only one that writes its rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, Leak, Migration, MigrationStep, Reservation
from lmigrate.db.rows import changed
from lmigrate.states import LeakKind, Phase

#: so many checks of a host are looked through for the directories that they wrote to
_LAST_CHECKS = 1000

#: where leaks of the records themselves are
RECORDS = "records"


@dataclass(frozen=True)
class Found:
    """One leak as a sweep finds it."""

    kind: LeakKind
    subject: str
    reason: str
    migration_id: int | None = None
    instance_uuid: str | None = None


def note(session: Session, place: str, found: Found, *, done: str | None = None, is_removed: bool = False) -> None:
    """Write what was found, and what was done about it."""
    now = utcnow()
    query = select(Leak).where(Leak.place == place, Leak.kind == found.kind, Leak.subject == found.subject)
    row = session.scalar(query.with_for_update())
    if row is None:
        row = Leak(place=place, kind=found.kind, subject=found.subject, first_seen_at=now)
        session.add(row)
    elif row.removed_at is not None:
        row.first_seen_at = now  # it is there again
    row.reason, row.migration_id, row.instance_uuid = found.reason, found.migration_id, found.instance_uuid
    row.last_seen_at, row.done, row.removed_at = now, done, now if is_removed else None
    session.flush()


def forget_gone(session: Session, place: str, kinds: Collection[LeakKind], seen: Collection[str]) -> None:
    """What a whole sweep of ``place`` has not seen any more is gone, by whoever's hand."""
    rows = select(Leak).where(Leak.place == place, Leak.kind.in_(list(kinds)), Leak.removed_at.is_(None))
    for row in session.scalars(rows):
        if row.subject not in seen:
            session.delete(row)


def forget_old(session: Session, before: datetime) -> None:
    """Removed leaks are shown for a while."""
    session.execute(delete(Leak).where(Leak.removed_at < before))


def all_leaks(session: Session) -> list[Leak]:
    """Every leak that is known, newest first."""
    return list(session.scalars(select(Leak).order_by(Leak.last_seen_at.desc(), Leak.id.desc())))


def directories_of(session: Session, host: str) -> set[str]:
    """Directories in which migrations have looked, or made disks, on ``host`` of late."""
    query = select(MigrationStep.facts).where(MigrationStep.name == "check_destination", MigrationStep.host == host)
    facts = session.scalars(query.order_by(MigrationStep.id.desc()).limit(_LAST_CHECKS))
    return {directory for one in facts for directory in (one or {}).get("probed", [])}


def sweep_records(session: Session) -> list[Found]:
    """Take back what ended migrations hold in the records: reservations, the instance's lock, its progress.

    Each statement looks and changes at once, so that a migration that begins meanwhile loses nothing.
    """
    return [*_reservations(session), *_task_states(session), *_progress(session)]


def _reservations(session: Session) -> list[Found]:
    ended = Reservation.migration_id.in_(select(Migration.id).where(Migration.phase == Phase.ENDED))
    found = []
    query = select(Reservation, Migration.instance_uuid).join(Migration, Migration.id == Reservation.migration_id)
    for row, uuid in session.execute(query.where(ended)).all():
        if changed(session, delete(Reservation).where(Reservation.migration_id == row.migration_id, ended)):
            reason = f"{row.memory_mib} MiB on {row.host} were reserved for a migration that has ended"
            found.append(Found(LeakKind.RESERVATION, str(row.migration_id), reason, row.migration_id, uuid))
    return found


def _task_states(session: Session) -> list[Found]:
    is_taken = Instance.task_state.is_not(None) & ~_is_moving()
    reason = "the instance was taken by a migration, and none of its migrations is open"
    return _reset(session, is_taken, LeakKind.TASK_STATE, reason, {"task_state": None, "progress": 0})


def _progress(session: Session) -> list[Found]:
    is_idle = Instance.task_state.is_(None) & (Instance.progress != 0)
    return _reset(session, is_idle, LeakKind.PROGRESS, "an idle instance showed the progress of a migration", {"progress": 0})


def _reset(session: Session, where: ColumnElement[bool], kind: LeakKind, reason: str, values: dict[str, object]) -> list[Found]:
    uuids = list(session.scalars(select(Instance.uuid).where(where)))
    return [
        Found(kind, uuid, reason, None, uuid)
        for uuid in uuids
        if changed(session, update(Instance).where(Instance.uuid == uuid, where).values(**values))
    ]


def _is_moving() -> ColumnElement[bool]:
    return Instance.uuid.in_(select(Migration.instance_uuid).where(Migration.phase != Phase.ENDED))
