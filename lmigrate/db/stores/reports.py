"""What a host daemon reports of its own host.  Every change is guarded by the daemon's epoch."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from lmigrate.db.models import Host


class Reported(StrEnum):
    """What became of a report."""

    ACCEPTED = "accepted"
    SUPERSEDED = "superseded"  # a younger daemon speaks for this host
    UNKNOWN = "unknown"  # the host's row is gone


def lock_namesakes(session: Session, name: str, uuid: str) -> list[Host]:
    """Rows with this name or this libvirt UUID, held until the transaction ends."""
    query = select(Host).where(or_(Host.name == name, Host.uuid == uuid)).order_by(Host.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def add(session: Session, values: Mapping[str, Any]) -> None:
    """A host that is seen for the first time."""
    session.add(Host(**values))
    session.flush()


def change(row: Host, values: Mapping[str, Any]) -> list[str]:
    """Set what differs; the names of what did."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    return changed


def report(session: Session, name: str, epoch: str, values: Mapping[str, Any]) -> Reported:
    """Write ``values`` if ``epoch`` still is the host's own."""
    statement = update(Host).where(Host.name == name, Host.epoch == epoch).values(**values)
    if session.execute(statement).rowcount == 1:  # type: ignore[attr-defined]
        return Reported.ACCEPTED
    is_known = session.scalar(select(Host.id).where(Host.name == name)) is not None
    return Reported.SUPERSEDED if is_known else Reported.UNKNOWN
