"""Reading what may need a human, in a fixed number of queries for each kind but what is known of held migrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lmigrate.db.models import DomainSighting, Host, Instance, Migration, MigrationStep, Volume
from lmigrate.db.stores import journal, knowledge, sightings
from lmigrate.db.stores.knowledge import Known
from lmigrate.states import Phase, StepState, VolumeState

#: messages for one step that led to nothing, each after twice the pause of the last: by then a worker hangs
UNTAKEN = 4


@dataclass(frozen=True)
class HeldRecord:
    """A migration that is held, or waits for a host, with what is known of each side now."""

    migration: Migration
    instance_name: str
    known: dict[str, Known | None]
    sightings: Sequence[DomainSighting] = ()
    untaken: MigrationStep | None = None  # what was sent again and again, and nobody has done


@dataclass(frozen=True)
class GuestRecord:
    """A guest with an anomaly."""

    instance: Instance
    sightings: Sequence[DomainSighting]


@dataclass(frozen=True)
class HostRecord:
    """A host, and how many guests it has on record."""

    host: Host
    guests: int


def waiting_migrations(session: Session) -> list[HeldRecord]:
    """Migrations that are held, or that wait for a host which does not answer or for a worker that does not, oldest first."""
    query = select(Migration, Instance.name).join(Instance, Instance.uuid == Migration.instance_uuid)
    is_stalled = Migration.silent_since.is_not(None) | (Migration.resends >= UNTAKEN)
    query = query.where((Migration.phase == Phase.HELD) | ((Migration.phase != Phase.ENDED) & is_stalled))
    rows = session.execute(query.order_by(Migration.id)).all()
    seen = sightings.of_instances(session, [migration.instance_uuid for migration, _ in rows]) if rows else {}
    return [
        HeldRecord(
            migration, name, knowledge.of_sides(session, migration), seen.get(migration.instance_uuid, []), _untaken(session, migration)
        )
        for migration, name in rows
    ]


def _untaken(session: Session, migration: Migration) -> MigrationStep | None:
    if migration.phase is not Phase.FORWARD or migration.resends < UNTAKEN:
        return None
    return next((step for step in journal.steps_of(session, migration) if step.state is not StepState.DONE), None)


def guests_in_doubt(session: Session) -> list[GuestRecord]:
    """Guests with an anomaly, by name."""
    found = list(session.scalars(select(Instance).where(Instance.anomaly.is_not(None)).order_by(Instance.name, Instance.uuid)))
    seen = sightings.of_instances(session, [row.uuid for row in found]) if found else {}
    return [GuestRecord(row, seen.get(row.uuid, [])) for row in found]


def all_hosts(session: Session) -> list[HostRecord]:
    """Every host, by name."""
    counts = select(Instance.host, func.count()).where(Instance.host.is_not(None)).group_by(Instance.host)
    guests = {str(host): int(count) for host, count in session.execute(counts)}
    return [HostRecord(host, guests.get(host.name, 0)) for host in session.scalars(select(Host).order_by(Host.name))]


def volumes_in_error(session: Session) -> list[Volume]:
    """Volumes that their storage refused, by name."""
    return list(session.scalars(select(Volume).where(Volume.state == VolumeState.ERROR).order_by(Volume.name, Volume.uuid)))
