"""A process that dies or freezes inside a transaction does not keep the others waiting (PostgreSQL).

SQLite has one machine, on which the kernel lets go of a dead process' lock.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lmigrate.clock import monotonic_s
from lmigrate.config import DatabaseSettings
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.db.patience import PatientConnection
from lmigrate.db.session import make_engine, reading
from tests.databases import PostgresqlDatabases
from tests.servers import postgresql_server

SILENCE_S = 1.0
_LOCK = text("SELECT id FROM things FOR UPDATE")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with postgresql_server() as directory:
        made = make_engine(DatabaseSettings(url=PostgresqlDatabases(directory).empty(), silence_timeout_s=SILENCE_S))
        with made.begin() as connection:
            connection.execute(text("CREATE TABLE things (id integer)"))
            connection.execute(text("INSERT INTO things VALUES (1)"))
        yield made
        made.dispose()


def test_the_locks_of_a_silent_process_are_taken_from_it(engine: Engine) -> None:
    with Session(engine) as silent, Session(engine) as other:
        silent.execute(_LOCK)
        other.execute(text("SET LOCAL lock_timeout = '10s'"))  # so that the test ends when nobody lets go
        began_s = monotonic_s()
        assert other.scalar(_LOCK) == 1
        assert monotonic_s() - began_s < SILENCE_S + 2
        with pytest.raises(UNAVAILABLE):  # and the silent one is told, in the way of a database that was away
            silent.execute(_LOCK)
        silent.rollback()


def test_a_connection_is_as_good_as_new_after_that(engine: Engine) -> None:
    for _ in range(3):
        with engine.begin() as connection:
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "1s"


def test_the_link_is_watched_from_our_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_engine(DatabaseSettings(url="postgresql+psycopg://nobody@192.0.2.1/none", silence_timeout_s=12))
    seen: dict[str, object] = {}

    def keep(**given: object) -> None:
        seen.update(given)
        raise ConnectionError

    monkeypatch.setattr(PatientConnection, "connect", keep)
    with pytest.raises(ConnectionError):
        made.connect()
    assert (seen["tcp_user_timeout"], seen["keepalives_idle"]) == (12_000, 3)


def test_an_error_tells_no_parameter(database: str) -> None:
    """They may be secrets, and the text goes into logs."""
    with reading() as session, pytest.raises(SQLAlchemyError) as error:
        session.execute(text("SELECT :secret FROM nowhere"), {"secret": "hunter2"})
    assert "hunter2" not in str(error.value)
