"""Revisions: one head, the same schema as the models, and a way back from each."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from lmigrate.config import DatabaseSettings
from lmigrate.db.session import make_engine
from tests.databases import Databases, alembic_config


def revisions() -> list[str]:
    """Every revision, oldest first."""
    script = ScriptDirectory.from_config(alembic_config())
    return [revision.revision for revision in reversed(list(script.walk_revisions()))]


@pytest.fixture
def connection(databases: Databases) -> Iterator[Connection]:
    """A connection to an empty database."""
    engine = make_engine(DatabaseSettings(url=databases.empty()))
    with engine.connect().execution_options(lmigrate_write=True) as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def config(connection: Connection) -> Config:
    config = alembic_config()
    config.attributes["connection"] = connection
    return config


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


def test_one_head() -> None:
    assert len(ScriptDirectory.from_config(alembic_config()).get_heads()) == 1


def test_models_and_revisions_are_equal(config: Config) -> None:
    command.upgrade(config, "head")
    command.check(config)


def test_each_revision_goes_up_down_and_up_again(config: Config, connection: Connection) -> None:
    for revision in revisions():
        command.upgrade(config, revision)
        command.downgrade(config, "-1")
        command.upgrade(config, revision)
    assert tables(connection)


def test_base_is_empty(config: Config, connection: Connection) -> None:
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    assert tables(connection) == set()
