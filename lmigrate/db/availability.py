"""Whether the database can be used, told without naming SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import exc

from lmigrate.db.session import try_writing

#: raised when the database is away, locked for too long, full, has no connection left, or (InternalError) takes no changes, or has ended a
#: transaction that stood idle
UNAVAILABLE: tuple[type[Exception], ...] = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError)
#: what a database raises on which `lmigrate db upgrade` was never run; SQLite says OperationalError
NO_TABLES: tuple[type[Exception], ...] = (exc.ProgrammingError,)

_PATIENCE_S = 2.0


def why_unavailable() -> str | None:
    """Why the database cannot be used, in one sentence without its URL; None when it answers and takes changes."""
    try:
        try_writing(_PATIENCE_S)
    except (exc.DBAPIError, exc.TimeoutError) as error:
        return f"the database does not take changes ({kind_of(error)})"
    return None


def kind_of(error: Exception) -> str:
    """The database's own name for what is wrong: ReadOnlySqlTransaction, SQLITE_FULL …  Never its text, which may have the URL in it."""
    cause = getattr(error, "orig", None) or error
    return str(getattr(cause, "sqlite_errorname", type(cause).__name__))
