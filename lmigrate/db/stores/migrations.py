"""Migrations: created once, locked while they change, ended once."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, Migration, Reservation
from lmigrate.db.rows import changed
from lmigrate.db.stores import knowledge, volumes
from lmigrate.errors import MigrationNotFound
from lmigrate.states import HELD_FOR_SILENCE, MIGRATABLE, HoldReason, MigrationStatus, Phase, TaskState

#: error_code of a migration that is held
NEEDS_OPERATOR = "NeedsOperator"


def lock(session: Session, migration_id: int) -> Migration:
    """The row, held against every other writer until the transaction ends.

    Raises:
        MigrationNotFound: there is no such row.
    """
    query = select(Migration).where(Migration.id == migration_id).with_for_update().execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise MigrationNotFound(migration=migration_id)
    return found


def get(session: Session, migration_id: int) -> Migration:
    """The row as it is now.

    Raises:
        MigrationNotFound: there is no such row.
    """
    found = session.get(Migration, migration_id)
    if found is None:
        raise MigrationNotFound(migration=migration_id)
    return found


def add(session: Session, migration: Migration) -> bool:
    """Write a new row.  False: the instance has one that has not ended, as the index on active migrations tells."""
    try:
        with session.begin_nested():
            session.add(migration)
    except IntegrityError:
        return False
    return True


def driven_ids(session: Session) -> list[int]:
    """Migrations that are on their way forward or back, or wait only for a host to answer, oldest first."""
    is_driven = Migration.phase.in_([Phase.FORWARD, Phase.ROLLING_BACK])
    query = select(Migration.id).where(or_(is_driven, _is_held_for_silence()))
    return list(session.scalars(query.order_by(Migration.id)))


def held_for(session: Session, host: str) -> list[int]:
    """Migrations that are held only until ``host`` (or the other of its two hosts) answers."""
    query = select(Migration.id).where(_is_held_for_silence())
    return list(session.scalars(query.where(or_(Migration.source_host == host, Migration.dest_host == host)).order_by(Migration.id)))


def _is_held_for_silence() -> ColumnElement[bool]:
    return and_(Migration.phase == Phase.HELD, Migration.hold_reason.in_(list(HELD_FOR_SILENCE)))


def claim_instance(session: Session, instance_uuid: str) -> bool:
    """Idle and migratable → migrating.  Of two simultaneous requests exactly one gets True."""
    statement = (
        update(Instance)
        .where(Instance.uuid == instance_uuid, Instance.task_state.is_(None), Instance.vm_state.in_(list(MIGRATABLE)))
        .where(Instance.host.is_not(None), Instance.anomaly.is_(None))
        .values(task_state=TaskState.MIGRATING, progress=0)
    )
    return changed(session, statement) == 1


def switch_over(session: Session, migration: Migration) -> bool:
    """The guest was seen running on the destination: from here recovery only goes forward.

    ``instance.host`` and the attachments of its disks change in the same transaction as the migration.
    False: done before, or the migration has ended.
    """
    if migration.switched_over_at is not None or migration.phase is Phase.ENDED:
        return False
    migration.switched_over_at = utcnow()
    migration.status = MigrationStatus.POST_MIGRATING
    migration.phase = Phase.FORWARD
    migration.error = migration.error_code = migration.fault = None
    forget_hold(migration)
    session.execute(update(Instance).where(Instance.uuid == migration.instance_uuid).values(host=migration.dest_host))
    volumes.point_disks_to(session, migration.instance_uuid, migration.dest_host or "")
    return True


def end(session: Session, migration: Migration, status: MigrationStatus) -> None:
    """Terminal: the instance is idle again and nothing is reserved."""
    migration.status = status
    migration.phase = Phase.ENDED
    migration.ended_at = utcnow()
    forget_hold(migration)
    release_instance(session, migration.instance_uuid)
    session.execute(delete(Reservation).where(Reservation.migration_id == migration.id))


def hold(session: Session, migration: Migration, kind: HoldReason, reason: str) -> None:
    """A human is needed: nothing is touched any more, and the instance stays taken.

    What is known of each side at this moment is kept: it is what a human will have decided by.
    """
    migration.status = MigrationStatus.ERROR
    migration.phase = Phase.HELD
    migration.error_code = NEEDS_OPERATOR
    migration.error = reason
    migration.hold_reason, migration.held_at = kind, utcnow()
    migration.held_known = knowledge.of_sides(session, migration)


def release(migration: Migration, phase: Phase, status: MigrationStatus) -> None:
    """Held no more: it goes on in ``phase``."""
    migration.phase, migration.status = phase, status
    migration.error_code = migration.error = None
    migration.resends = 0
    forget_hold(migration)


def forget_hold(migration: Migration) -> None:
    """It waits for nobody: it goes on, or has ended, whoever saw to that."""
    migration.hold_reason = migration.held_at = migration.silent_since = None
    migration.held_known = {}


def release_instance(session: Session, instance_uuid: str) -> None:
    """migrating → idle."""
    session.execute(
        update(Instance)
        .where(Instance.uuid == instance_uuid, Instance.task_state == TaskState.MIGRATING)
        .values(task_state=None, progress=0),
    )
