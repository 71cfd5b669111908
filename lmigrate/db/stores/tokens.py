"""Tokens: found by their digest, revoked with the sessions that they opened."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from lmigrate.db.models import ApiToken
from lmigrate.db.rows import changed
from lmigrate.db.stores.paging import newest_first
from lmigrate.errors import TokenNotFound


def by_digest(session: Session, digest: str) -> ApiToken | None:
    """The token with that digest, whatever has become of it."""
    return session.scalar(select(ApiToken).where(ApiToken.digest == digest))


def first_of(session: Session, token: ApiToken) -> ApiToken | None:
    """The token that opened the session ``token``; one that is no session is its own first.  None: it is gone."""
    return token if token.parent_uuid is None else session.get(ApiToken, token.parent_uuid)


def require(session: Session, uuid: str) -> ApiToken:
    """The token ``uuid``; sessions are not found.

    Raises:
        TokenNotFound: there is none.
    """
    found = session.scalar(select(ApiToken).where(ApiToken.uuid == uuid.lower(), ApiToken.parent_uuid.is_(None)))
    if found is None:
        raise TokenNotFound(token=uuid)
    return found


def is_any_good(session: Session, now: datetime) -> bool:
    """Whether anybody can log in: there is a token that is neither revoked nor expired.

    Raises:
        OperationalError, ProgrammingError: the database cannot be asked, or has no tables yet.
    """
    is_alive = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now)
    query = select(ApiToken.uuid).where(ApiToken.parent_uuid.is_(None), ApiToken.revoked_at.is_(None), is_alive).limit(1)
    return session.scalar(query) is not None


def page(session: Session, limit: int, marker: str | None = None, *, name: str | None = None) -> list[ApiToken]:
    """At most ``limit`` tokens, newest first, after ``marker`` (a uuid); sessions are left out.

    Raises:
        TokenNotFound: there is no token ``marker``.
    """
    query = select(ApiToken).where(ApiToken.parent_uuid.is_(None))
    if name is not None:
        query = query.where(ApiToken.name == name)
    last = None if marker is None else require(session, marker)
    after = None if last is None else (last.created_at, last.uuid)
    return list(session.scalars(newest_first(query, ApiToken.created_at, ApiToken.uuid, after, limit)))


def touch(session: Session, uuid: str, now: datetime, address: str, every: timedelta) -> bool:
    """Note a use, unless one was noted within ``every``."""
    is_due = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= now - every)
    statement = update(ApiToken).where(ApiToken.uuid == uuid, is_due).values(last_used_at=now, last_used_from=address)
    return changed(session, statement) == 1


def revoke(session: Session, uuid: str, now: datetime) -> None:
    """From ``now`` on the token and its sessions are worth nothing; twice is once."""
    own = or_(ApiToken.uuid == uuid, ApiToken.parent_uuid == uuid)
    changed(session, update(ApiToken).where(own, ApiToken.revoked_at.is_(None)).values(revoked_at=now))


def forget_sessions(session: Session, now: datetime) -> int:
    """Delete the sessions that have expired; how many."""
    return changed(session, delete(ApiToken).where(ApiToken.parent_uuid.is_not(None), ApiToken.expires_at <= now))
