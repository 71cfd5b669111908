"""Turns: taken by compare-and-set, kept by doing so again, given back at the end."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Turn
from lmigrate.db.rows import changed


def take(session: Session, name: str, owner: str, lease_s: float) -> bool:
    """Take the turn, or keep it, for ``lease_s`` from now.  False: somebody else has it."""
    now = utcnow()
    until = now + timedelta(seconds=lease_s)
    is_free = or_(Turn.until < now, Turn.owner == owner)
    if changed(session, update(Turn).where(Turn.name == name, is_free).values(owner=owner, until=until)):
        return True
    return session.get(Turn, name) is None and _begin(session, Turn(name=name, owner=owner, until=until))


def give_back(session: Session, name: str, owner: str) -> None:
    """The next one need not wait for the lease."""
    changed(session, update(Turn).where(Turn.name == name, Turn.owner == owner).values(until=utcnow()))


def _begin(session: Session, row: Turn) -> bool:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False  # somebody else was the first
    return True
