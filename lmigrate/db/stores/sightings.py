"""What each host's libvirt said about each domain.  A host's rows are written by its own daemon alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from lmigrate.db.models import DomainSighting

#: key in the description: the guest was seen running on this host since it came here
HAS_RUN = "has_run"


def has_run(row: DomainSighting | None, migration_mark: str | None) -> bool:
    """Whether the guest was seen running since the migration of this mark brought it here."""
    return row is not None and row.description.get("migration_mark") == migration_mark and bool(row.description.get(HAS_RUN))


def get(session: Session, host: str, instance_uuid: str) -> DomainSighting | None:
    """What ``host`` said about one domain, or None if it has not seen it."""
    return session.get(DomainSighting, (host, instance_uuid), populate_existing=True)


def of_host(session: Session, host: str) -> dict[str, DomainSighting]:
    """All that ``host`` has seen, by instance."""
    rows = session.scalars(select(DomainSighting).where(DomainSighting.host == host))
    return {row.instance_uuid: row for row in rows}


def of_instances(session: Session, uuids: Collection[str]) -> dict[str, list[DomainSighting]]:
    """All sightings of the given instances, by instance, each list in the order of the hosts' names."""
    found: dict[str, list[DomainSighting]] = defaultdict(list)
    query = select(DomainSighting).where(DomainSighting.instance_uuid.in_(uuids)).order_by(DomainSighting.host)
    for row in session.scalars(query.execution_options(populate_existing=True)):
        found[row.instance_uuid].append(row)
    return dict(found)


def put(session: Session, rows: Iterable[DomainSighting]) -> None:
    """Write ``rows``, over older ones of the same host and domain."""
    for row in rows:
        session.merge(row)
    session.flush()


def confirm(session: Session, host: str, uuids: Collection[str], at: datetime) -> None:
    """The rows of ``host`` for these instances were still true ``at`` that moment."""
    query = update(DomainSighting).where(DomainSighting.host == host, DomainSighting.instance_uuid.in_(uuids))
    session.execute(query.values(seen_at=at).execution_options(synchronize_session=False))


def drop(session: Session, host: str, uuids: Collection[str]) -> None:
    """``host`` no longer has these domains."""
    session.execute(delete(DomainSighting).where(DomainSighting.host == host, DomainSighting.instance_uuid.in_(uuids)))
