"""A database that is locked, takes no changes, is full or frozen: what can be answered is, the rest is 503, and nothing is half done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, make_url, select

from lmigrate.config import settings
from lmigrate.db import availability, session
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import engine, reading, writing
from lmigrate.states import MigrationStatus, Phase
from tests.factories.journal import step_row
from tests.factories.records import host_row, instance_row, migration_row
from tests.servers import frozen
from tests.unit.api.conftest import Call

Save = Callable[..., None]
#: by microversion; the old one answers when the checks have ended
WANTED: dict[str, dict[str, Any]] = {
    "2.34": {"host": "node6", "block_migration": "auto"},
    "2.1": {"host": "node6", "block_migration": False, "disk_over_commit": False},
}
TABLES = ("hosts", "instances", "migrations")


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else holds everything, for longer than anybody waits."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
    else:
        with administrator(url, autocommit=False) as other:
            other.execute(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")
            yield
            other.rollback()


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """As after a fail-over to a standby."""
    if url.startswith("sqlite"):
        with pragma("query_only = ON"):
            yield
        return
    name = make_url(url).database
    with administrator(url) as other:
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        end_others(other)
        yield
        other.execute("SET default_transaction_read_only = off")
        other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        end_others(other)


@contextmanager
def full(url: str) -> Iterator[None]:
    """No room for another row."""
    if url.startswith("sqlite"):
        with pragma("max_page_count = 1"):  # no more than there are
            fill()
            yield
        return
    with administrator(url) as other:
        other.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '53100'; END$$")
        for table in TABLES:
            other.execute(f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION refuse()")
        yield
        other.execute("DROP FUNCTION refuse CASCADE")


def fill() -> None:
    """Journals of guests that have moved, as long as there is room in the pages that exist."""
    while has_room():
        pass


def has_room() -> bool:
    try:
        add_journal()
    except UNAVAILABLE:
        return False
    return True


def add_journal() -> None:
    with writing() as filling:
        other = instance_row("node5")
        moved = migration_row(other, status=MigrationStatus.COMPLETED, phase=Phase.ENDED)
        filling.add_all([other, moved])
        filling.flush()
        filling.add_all([step_row(moved, position, f"step{position}") for position in range(10)])


@contextmanager
def silent(url: str) -> Iterator[None]:
    """The server's processes stand still."""
    directory = Path(str(make_url(url).query["host"]))
    with frozen(int((directory / "data" / "postmaster.pid").read_text().split()[0])):
        yield


FAULTS = {"sqlite": [locked, read_only, full], "postgresql": [locked, read_only, full, silent]}
#: a reader is in a PostgreSQL table lock's way, and nobody is answered by a server that stands still
UNREADABLE = {("postgresql", "locked"), ("postgresql", "silent")}
#: a disk that is full lets changes pass that need no room
UNSEEN = {("sqlite", "full")}


@contextmanager
def administrator(url: str, *, autocommit: bool = True) -> Iterator[psycopg.Connection[Any]]:
    found = make_url(url)
    with psycopg.connect(host=str(found.query["host"]), user="lmigrate", dbname=found.database, autocommit=autocommit) as made:
        yield made


def end_others(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@contextmanager
def pragma(text: str) -> Iterator[None]:
    def say(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA {text}")

    engine().dispose()
    event.listen(Engine, "connect", say)
    yield
    event.remove(Engine, "connect", say)
    engine().dispose()


@pytest.fixture
def guest(save: Save, database: str, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Nobody waits for long."""
    monkeypatch.setenv("LMIGRATE_DATABASE__BUSY_TIMEOUT_S", "0.2")
    monkeypatch.setenv("LMIGRATE_DATABASE__CONNECT_TIMEOUT_S", "1")
    monkeypatch.setenv("LMIGRATE_DATABASE__STATEMENT_TIMEOUT_S", "1")
    monkeypatch.setattr(session, "GRACE_S", 0.2)
    settings.cache_clear()
    engine().dispose()
    engine.cache_clear()
    row = instance_row("node5")
    save(host_row("node5"), host_row("node6"), row)
    return row


def test_every_request_is_answered_and_nothing_is_half_done(
    client: FlaskClient, nova: Call, guest: Instance, database: str, database_kind: str, subtests: pytest.Subtests
) -> None:
    path = f"/servers/{guest.uuid}/action"
    for fault in FAULTS[database_kind]:
        here = (database_kind, fault.__name__)
        with subtests.test(fault=fault.__name__):
            with fault(database):
                assert nova("GET", "/servers", "2.96").status_code == (503 if here in UNREADABLE else 200)
                for version, wanted in WANTED.items():
                    refused = nova("POST", path, version, json={"os-migrateLive": wanted})
                    assert refused.status_code == 503, refused.text
                    assert int(refused.headers["Retry-After"]) > 0
                    assert "UPDATE" not in refused.text
                assert (availability.why_unavailable() is None) == (here in UNSEEN)
                assert client.get("/healthz").status_code == 200
            assert nova("GET", "/servers", "2.96").status_code == 200
            assert availability.why_unavailable() is None
            with reading() as looked:
                assert looked.scalars(select(Migration).where(Migration.instance_uuid == guest.uuid)).all() == []
                assert looked.get_one(Instance, guest.uuid).task_state is None
    assert nova("POST", path, "2.34", json={"os-migrateLive": WANTED["2.34"]}).status_code == 202


def test_a_database_that_was_restarted_is_not_noticed(nova: Call, guest: Instance, database: str, database_kind: str) -> None:
    """On SQLite there is nothing to restart: a connection may only have been closed behind our back."""
    assert nova("GET", "/servers", "2.96").status_code == 200
    if database_kind == "postgresql":
        with administrator(database) as other:
            end_others(other)
    else:
        engine().dispose()
    assert nova("POST", f"/servers/{guest.uuid}/action", "2.34", json={"os-migrateLive": WANTED["2.34"]}).status_code == 202
