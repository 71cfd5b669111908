"""Options and fixtures for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from sqlalchemy import Engine, QueuePool

from lmigrate import clock
from lmigrate.config import settings
from lmigrate.db.session import engine
from tests.databases import Databases, PostgresqlDatabases, SqliteDatabases
from tests.servers import postgresql_server, redis_server

LAB_COMMANDS = ("libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "redis-server", "ip", "nsenter", "unshare")
LAB_TIMEOUT_S = 600
#: how long a thread that a test has left may still be at work on its database
LEFT_OVER_THREAD_S = 5.0

hypothesis.settings.register_profile("default", deadline=None, database=None)
hypothesis.settings.register_profile("ci", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lmigrate")
    which = "database that the tests run on; with postgresql only those that use one"
    group.addoption("--db", choices=["sqlite", "postgresql"], default="sqlite", help=which)
    group.addoption("--update-golden", action="store_true", help="write the files of tests/golden anew instead of comparing them")
    group.addoption("--require-lab", action="store_true", help="a lab or kvm test that would be skipped fails instead")


def pytest_configure() -> None:
    """Plain log lines: structlog's own default draws a page of local variables for each exception."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    runs = _runs_on_sqlite if config.getoption("--db") == "sqlite" else _runs_on_postgresql
    config.hook.pytest_deselected(items=[item for item in items if not runs(item)])
    items[:] = [item for item in items if runs(item)]
    for item in items:
        if item.get_closest_marker("lab") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LAB_TIMEOUT_S))


def _runs_on_sqlite(item: pytest.Item) -> bool:
    return item.get_closest_marker("postgresql") is None


def _runs_on_postgresql(item: pytest.Item) -> bool:
    """What asks for no database was run with SQLite already, and would only be repeated."""
    return "database_kind" in getattr(item, "fixturenames", ())


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = lab_unavailable() if item.get_closest_marker("lab") else None
    reason = reason or (kvm_unavailable() if item.get_closest_marker("kvm") else None)
    if reason and item.config.getoption("--require-lab"):
        pytest.fail(f"--require-lab: {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


def lab_unavailable() -> str | None:
    """Why no lab can be brought up here, or None."""
    if os.geteuid() != 0:
        return "the lab makes namespaces and needs root"
    missing = [command for command in LAB_COMMANDS if shutil.which(command) is None]
    return f"not installed: {', '.join(missing)} (run `make deps`)" if missing else None


def kvm_unavailable() -> str | None:
    """Why KVM cannot be used here, or None."""
    return None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "/dev/kvm cannot be opened"


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """``sqlite`` or ``postgresql``."""
    return str(request.config.getoption("--db"))


@pytest.fixture(scope="session")
def databases(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Where databases of the kind asked for with ``--db`` come from."""
    if database_kind == "sqlite":
        yield SqliteDatabases(tmp_path_factory.mktemp("databases"))
        return
    with postgresql_server() as directory:
        yield PostgresqlDatabases(directory)


@pytest.fixture
def database_url(databases: Databases) -> str:
    """An empty database for one test."""
    return databases.empty()


@pytest.fixture
def database(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database at the newest revision, which is also this process's: ``reading()`` and ``writing()`` use it."""
    url = databases.upgraded()
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", url)
    settings.cache_clear()
    engine.cache_clear()
    made = engine()
    yield url
    for each in {made, engine()}:  # another one, if the test has changed the settings
        _dispose(each)
    engine.cache_clear()
    settings.cache_clear()


def _dispose(made: Engine) -> None:
    """Close its connections when they are all back: one that a thread has left over returns later is closed by nobody."""
    until = clock.monotonic_s() + LEFT_OVER_THREAD_S
    while isinstance(made.pool, QueuePool) and made.pool.checkedout() and clock.monotonic_s() < until:
        clock.sleep_s(0.01)
    made.dispose()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the test run's own."""
    with redis_server() as url:
        yield url


@pytest.fixture
def repository() -> Path:
    """The top of the source tree."""
    return Path(__file__).parent.parent
