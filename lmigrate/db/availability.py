"""Whether the database can be reached, told without naming SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import exc

from lmigrate.db.session import ping

#: raised when the database is away, locked for too long, has no connection left, or (InternalError) has ended a transaction that stood idle
UNAVAILABLE: tuple[type[Exception], ...] = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError)


def why_unavailable() -> str | None:
    """Why the database cannot be used, in one sentence without its URL; None when it answers."""
    try:
        ping()
    except UNAVAILABLE as error:
        return f"the database does not answer ({type(error).__name__})"
    return None
