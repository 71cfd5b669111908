"""What the hosts said about a guest in one round of asking."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import Migration, Observation


def put(session: Session, migration_id: int, side: str, round_number: int, *, host: str, seen: dict[str, Any]) -> None:
    """Write an answer, over an earlier one of the same side and round."""
    session.merge(Observation(migration_id=migration_id, side=side, round=round_number, host=host, seen=seen))


def of_round(session: Session, migration: Migration, side: str) -> dict[str, Any] | None:
    """What ``side`` said in the present round, or None: it has not answered yet."""
    query = select(Observation.seen).where(Observation.migration_id == migration.id, Observation.side == side)
    return session.scalar(query.where(Observation.round == migration.observe_round))


def latest(session: Session, migration_id: int, side: str) -> dict[str, Any] | None:
    """What was last seen on one side, in whatever round."""
    query = select(Observation.seen).where(Observation.migration_id == migration_id, Observation.side == side)
    return session.scalar(query.order_by(Observation.round.desc()).limit(1))
