"""Databases for tests: empty ones, and ones upgraded to the newest revision, which are copied from a template."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Protocol

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql

from lmigrate.config import DatabaseSettings
from lmigrate.db.session import make_engine

ROOT = Path(__file__).parent.parent


class Databases(Protocol):
    """Makes databases of one kind; each has a URL of its own."""

    kind: str

    def empty(self) -> str:
        """The URL of a new database without a table."""

    def upgraded(self) -> str:
        """The URL of a new database at the newest revision."""


class SqliteDatabases:
    """Files in one directory."""

    kind = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._template: Path | None = None

    def empty(self) -> str:
        """A file that SQLite makes when it is first opened."""
        return f"sqlite:///{self._new()}"

    def upgraded(self) -> str:
        """A copy of the upgraded template."""
        if self._template is None:
            self._template = self._new()
            upgrade(f"sqlite:///{self._template}")
        made = self._new()
        shutil.copyfile(self._template, made)
        return f"sqlite:///{made}"

    def _new(self) -> Path:
        return self._directory / f"{next(self._numbers)}.sqlite"


class PostgresqlDatabases:
    """Databases of one private server."""

    kind = "postgresql"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._template: str | None = None

    def empty(self) -> str:
        """A copy of template1."""
        return self._url(self._create("template1"))

    def upgraded(self) -> str:
        """A copy of the upgraded template."""
        if self._template is None:
            made = self._create("template1")
            upgrade(self._url(made))
            self._template = made
        return self._url(self._create(self._template))

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(host=str(self._directory), user="lmigrate", dbname="postgres", autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            connection.execute(statement)
        return name

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://lmigrate@/{name}?host={self._directory}"


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade the database at ``url``."""
    engine = make_engine(DatabaseSettings(url=url))
    config = alembic_config()
    try:
        with engine.connect().execution_options(lmigrate_write=True) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    finally:
        engine.dispose()


def alembic_config() -> Config:
    """The project's alembic configuration."""
    return Config(ROOT / "alembic.ini")
