"""Engines and transactions.

Two ways in, and no third: ``reading()`` for looking and ``writing()`` for changing.
On SQLite a writing transaction begins with BEGIN IMMEDIATE, so that it waits for
other writers at its start, where waiting is harmless; a reader that turns into a
writer half-way would get SQLITE_BUSY at once, whatever the busy timeout says
(https://sqlite.org/lang_transaction.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from lmigrate.config import DatabaseSettings, TlsSettings, settings
from lmigrate.db.patience import PatientConnection, hurrying

#: Session too: what annotates a session need not name SQLAlchemy
__all__ = ["Session", "disconnect", "engine", "make_engine", "ping", "reading", "try_writing", "writing"]


#: the server ends a statement by itself; it has hung if it does not
GRACE_S = 5.0


@contextmanager
def reading() -> Iterator[Session]:
    """A session for looking; nothing that it changes is kept."""
    with Session(engine(), expire_on_commit=False) as session:
        yield session


@contextmanager
def writing() -> Iterator[Session]:
    """One transaction: committed at the end, rolled back if anything raises."""
    with Session(engine(), expire_on_commit=False) as session:
        session.connection(execution_options={"lmigrate_write": True})
        yield session
        session.commit()


@cache
def engine() -> Engine:
    """The engine of this process."""
    return make_engine(settings().database, settings().tls)


def disconnect() -> None:
    """Close the connections of this process, before it forks: no two processes can share one.  Who asks next connects anew."""
    engine().dispose()


def make_engine(options: DatabaseSettings, tls: TlsSettings | None = None) -> Engine:
    """An engine for ``options.url`` with the behaviour that lmigrate counts on."""
    if make_url(options.url).get_backend_name() == "sqlite":
        return _sqlite_engine(options)
    return _postgresql_engine(options, tls or TlsSettings())


def _postgresql_engine(options: DatabaseSettings, tls: TlsSettings) -> Engine:
    made = create_engine(
        options.url,
        pool_size=options.pool_size,
        max_overflow=2 * options.pool_size,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text goes into logs
        connect_args={"connect_timeout": options.connect_timeout_s, **_link_options(options), **tls_options(options.url, tls)},
    )
    event.listen(made, "do_connect", partial(_connect_patiently, options.statement_timeout_s))
    event.listen(made, "connect", partial(_postgresql_connected, options))
    return made


def _connect_patiently(statement_s: float, _dialect: Any, _record: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    made = PatientConnection.connect(*arguments, **named)
    made.patience_s = statement_s + GRACE_S
    return made


def tls_options(url: str, tls: TlsSettings) -> dict[str, str]:
    """libpq's own for the files of [tls]; what the URL says itself stays.  UNIX sockets take no notice of them."""
    if tls.ca_file is None:
        return {}
    files = {"sslrootcert": tls.ca_file, "sslcert": tls.cert_file, "sslkey": tls.key_file}
    wanted = {"sslmode": "verify-full"} | {name: str(path) for name, path in files.items() if path is not None}
    return {name: value for name, value in wanted.items() if name not in make_url(url).query}


def _link_options(options: DatabaseSettings) -> dict[str, int]:
    """libpq's own: without them a query over a link that died is waited for as long as the kernel likes, a quarter of an hour."""
    probe_s = max(1, int(options.silence_timeout_s / 4))
    probes = {"keepalives": 1, "keepalives_idle": probe_s, "keepalives_interval": probe_s, "keepalives_count": 3}
    return {"tcp_user_timeout": int(options.silence_timeout_s * 1000), **probes}


def _postgresql_connected(options: DatabaseSettings, connection: Any, _record: Any) -> None:
    """A host that dies inside a transaction leaves its row locks behind, and every other would wait for them."""
    connection.autocommit = True
    connection.execute(f"SET idle_in_transaction_session_timeout = {int(options.silence_timeout_s * 1000)}")
    connection.execute(f"SET statement_timeout = {int(options.statement_timeout_s * 1000)}")
    connection.autocommit = False


def _sqlite_engine(options: DatabaseSettings) -> Engine:
    made = create_engine(options.url, connect_args={"timeout": options.busy_timeout_s}, hide_parameters=True)
    event.listen(made, "connect", _sqlite_connected)
    event.listen(made, "begin", _sqlite_begin)
    return made


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # In WAL mode NORMAL cannot corrupt; a power cut may lose the last commits, a crash of a process cannot.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    is_write = connection.get_execution_options().get("lmigrate_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def ping() -> None:
    """Raise SQLAlchemy's error if the database does not answer."""
    with engine().connect() as connection:
        connection.execute(text("SELECT 1"))


def try_writing(patience_s: float) -> None:
    """Raise SQLAlchemy's error if the database does not take changes within that time.  Changes nothing.

    On a connection of its own: one of the pool may be good for what it is in the midst of, and new ones refused.
    """
    options = settings().database
    made = make_engine(
        options.model_copy(update={"busy_timeout_s": patience_s, "connect_timeout_s": max(1, int(patience_s))}), settings().tls
    )
    try:
        with hurrying(patience_s), made.connect().execution_options(lmigrate_write=True) as connection:
            connection.execute(text("UPDATE hosts SET enabled = enabled WHERE 1 = 0"))  # a standby refuses even that
    finally:
        made.dispose()
