"""Reading migrations: pages of them, and one with its journal, events and progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, false, or_, select
from sqlalchemy.orm import Session, defer, load_only

from lmigrate.db.models import Host, Instance, InstanceAction, InstanceActionEvent, Migration, MigrationStep, ProgressSample
from lmigrate.db.stores.paging import newest_first
from lmigrate.errors import MigrationNotFound
from lmigrate.ids import is_uuid
from lmigrate.states import MigrationStatus

#: what fits into the 64 bits of a row id
_MAX_ID = 2**63 - 1

#: documents that only the steps read
_UNSEEN = (defer(Migration.migrate_data), defer(Migration.held_known))
#: what Nova's wire tells of a migration
_ON_WIRE = (
    *(Migration.id, Migration.uuid, Migration.instance_uuid, Migration.status, Migration.source_host, Migration.dest_host),
    *(Migration.created_at, Migration.updated_at, Migration.user_id, Migration.project_id),
    *(Migration.memory_total_bytes, Migration.memory_processed_bytes, Migration.memory_remaining_bytes),
    *(Migration.disk_total_bytes, Migration.disk_processed_bytes, Migration.disk_remaining_bytes),
)


@dataclass(frozen=True)
class MigrationFilter:
    """Which migrations; a field left at None asks for nothing."""

    instance_uuid: str | None = None
    host: str | None = None  # source or destination
    source_host: str | None = None
    statuses: tuple[MigrationStatus, ...] | None = None
    request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    changed_since: datetime | None = None
    changed_before: datetime | None = None


@dataclass(frozen=True)
class MigrationRecord:
    """One migration with the guest's name and the newest progress."""

    migration: Migration
    instance_name: str | None
    sample: ProgressSample | None


@dataclass(frozen=True)
class AddressedMigration:
    """One migration and what the source's libvirtd connects to."""

    migration: Migration
    dest_address: str | None


@dataclass(frozen=True)
class MigrationDetail:
    """One migration and everything that was recorded of it."""

    record: MigrationRecord
    steps: tuple[MigrationStep, ...]
    events: tuple[InstanceActionEvent, ...]
    samples: tuple[ProgressSample, ...]


def page(session: Session, wanted: MigrationFilter, limit: int, marker: str | None = None) -> list[MigrationRecord]:
    """At most ``limit`` migrations, newest first, after ``marker`` (a uuid or an id), without what only the steps read.

    Raises:
        MigrationNotFound: there is no migration ``marker``.
    """
    query = _page(session, wanted, limit, marker).options(*_UNSEEN)
    return _with_details(session, list(session.scalars(query)))


def addressed_page(session: Session, wanted: MigrationFilter, limit: int, marker: str | None = None) -> list[AddressedMigration]:
    """The same page, with the columns that Nova's wire shows and no others.

    Raises:
        MigrationNotFound: there is no migration ``marker``.
    """
    query = _page(session, wanted, limit, marker).options(load_only(*_ON_WIRE, raiseload=True))
    return _addressed(session, list(session.scalars(query)))


def find(session: Session, reference: str) -> Migration:
    """The migration of that id or uuid.

    Raises:
        MigrationNotFound: there is none.
    """
    found = None
    if is_uuid(reference):
        found = session.scalar(select(Migration).where(Migration.uuid == reference.lower()))
    elif reference.isascii() and reference.isdigit() and int(reference) <= _MAX_ID:
        found = session.get(Migration, int(reference))
    if found is None:
        raise MigrationNotFound(migration=reference)
    return found


def addressed_one(session: Session, reference: str) -> AddressedMigration:
    """The migration of that id or uuid.

    Raises:
        MigrationNotFound: there is none.
    """
    return _addressed(session, [find(session, reference)])[0]


def detail(session: Session, reference: str) -> MigrationDetail:
    """One migration with its journal (all attempts), events and progress samples, oldest first.

    Raises:
        MigrationNotFound: there is none.
    """
    migration = find(session, reference)
    steps = select(MigrationStep).where(MigrationStep.migration_id == migration.id)
    events = (
        select(InstanceActionEvent)
        .join(InstanceAction, InstanceAction.id == InstanceActionEvent.action_id)
        .where(InstanceAction.migration_id == migration.id)
    )
    samples = select(ProgressSample).where(ProgressSample.migration_id == migration.id)
    return MigrationDetail(
        record=_with_details(session, [migration])[0],
        steps=tuple(session.scalars(steps.order_by(MigrationStep.attempt, MigrationStep.position))),
        events=tuple(session.scalars(events.order_by(InstanceActionEvent.id))),
        samples=tuple(session.scalars(samples.order_by(ProgressSample.id))),
    )


def _page(session: Session, wanted: MigrationFilter, limit: int, marker: str | None) -> Select[Any]:
    after = None
    if marker is not None:
        last = find(session, marker)
        after = (last.created_at, last.id)
    return newest_first(_filtered(wanted), Migration.created_at, Migration.id, after, limit)


def _filtered(wanted: MigrationFilter) -> Select[Any]:
    query = select(Migration)
    equal = {
        Migration.instance_uuid: wanted.instance_uuid,
        Migration.source_host: wanted.source_host,
        Migration.request_id: wanted.request_id,
        Migration.user_id: wanted.user_id,
        Migration.project_id: wanted.project_id,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.host is not None:
        query = query.where(or_(Migration.source_host == wanted.host, Migration.dest_host == wanted.host))
    if wanted.statuses is not None:
        query = query.where(Migration.status.in_(wanted.statuses) if wanted.statuses else false())
    if wanted.changed_since is not None:
        query = query.where(Migration.updated_at >= wanted.changed_since)
    if wanted.changed_before is not None:
        query = query.where(Migration.updated_at <= wanted.changed_before)
    return query


def _with_details(session: Session, migrations: Sequence[Migration]) -> list[MigrationRecord]:
    if not migrations:
        return []
    uuids = {migration.instance_uuid for migration in migrations}
    names = dict(session.execute(select(Instance.uuid, Instance.name).where(Instance.uuid.in_(uuids))).all())
    samples = _newest_samples(session, [migration.id for migration in migrations])
    return [MigrationRecord(one, names.get(one.instance_uuid), samples.get(one.id)) for one in migrations]


def _addressed(session: Session, migrations: Sequence[Migration]) -> list[AddressedMigration]:
    wanted = {migration.dest_host for migration in migrations if migration.dest_host}
    query = select(Host.name, Host.migration_address).where(Host.name.in_(wanted))
    addresses = dict(session.execute(query).all()) if wanted else {}
    return [AddressedMigration(one, addresses.get(one.dest_host or "")) for one in migrations]


def _newest_samples(session: Session, ids: list[int]) -> dict[int, ProgressSample]:
    newest = (
        select(ProgressSample.id)
        .where(ProgressSample.migration_id == Migration.id)
        .order_by(ProgressSample.id.desc())
        .limit(1)
        .correlate(Migration)
        .scalar_subquery()
    )
    query = select(ProgressSample).join(Migration, ProgressSample.id == newest).where(Migration.id.in_(ids))
    return {sample.migration_id: sample for sample in session.scalars(query)}
