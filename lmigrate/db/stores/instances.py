"""Instances as the inventory keeps them, with all that is known about where they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lmigrate.db.models import BlockDeviceMapping, DomainSighting, Instance, Migration
from lmigrate.db.stores import sightings


@dataclass(frozen=True)
class Evidence:
    """All that the records say about one guest."""

    instance: Instance | None
    sightings: list[DomainSighting]
    disks: list[BlockDeviceMapping]
    moved_at: datetime | None  # last switchover …
    moved_to: str | None  # … and the host that it went to


def gather(session: Session, uuids: Collection[str]) -> dict[str, Evidence]:
    """Evidence about each of ``uuids``, in four queries however many they are."""
    instances = {row.uuid: row for row in session.scalars(select(Instance).where(Instance.uuid.in_(uuids)))}
    seen = sightings.of_instances(session, uuids)
    disks = _disks(session, uuids)
    moves = _last_moves(session, uuids)
    return {uuid: Evidence(instances.get(uuid), seen.get(uuid, []), disks[uuid], *moves.get(uuid, (None, None))) for uuid in uuids}


def uuids_on(session: Session, host: str) -> set[str]:
    """Instances whose record says that they are on ``host``."""
    return set(session.scalars(select(Instance.uuid).where(Instance.host == host)))


def busy(session: Session, uuids: Collection[str]) -> set[str]:
    """Those of ``uuids`` that somebody works on."""
    query = select(Instance.uuid).where(Instance.uuid.in_(uuids), Instance.task_state.is_not(None))
    return set(session.scalars(query))


def lock(session: Session, uuid: str) -> Instance | None:
    """The row, held against every other writer until the transaction ends."""
    query = select(Instance).where(Instance.uuid == uuid).with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def add(session: Session, uuid: str, values: Mapping[str, Any]) -> bool:
    """A new record.  False: another host's daemon was faster."""
    try:
        with session.begin_nested():
            session.add(Instance(uuid=uuid, **values))
    except IntegrityError:
        return False
    return True


def _disks(session: Session, uuids: Collection[str]) -> dict[str, list[BlockDeviceMapping]]:
    found: dict[str, list[BlockDeviceMapping]] = defaultdict(list)
    for row in session.scalars(select(BlockDeviceMapping).where(BlockDeviceMapping.instance_uuid.in_(uuids))):
        found[row.instance_uuid].append(row)
    return found


def _last_moves(session: Session, uuids: Collection[str]) -> dict[str, tuple[datetime | None, str | None]]:
    query = select(Migration.instance_uuid, Migration.switched_over_at, Migration.dest_host)
    query = query.where(Migration.instance_uuid.in_(uuids), Migration.switched_over_at.is_not(None)).order_by(Migration.switched_over_at)
    return {uuid: (at, to) for uuid, at, to in session.execute(query)}
