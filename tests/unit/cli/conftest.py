"""The command line against the real API, served on a loopback port in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from api.app import create_app
from lmigrate.cli.main import main
from lmigrate.db.session import writing
from tests.served import served, without_broker

Cli = Callable[..., Result]


@pytest.fixture
def api_url(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the API is served; messages to workers go nowhere."""
    without_broker(monkeypatch)
    with served(create_app()) as url:
        yield url


@pytest.fixture
def cli(api_url: str) -> Cli:
    """``cli("server", "list")``, as if piped."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments), env={"LMIGRATE_URL": api_url})

    return run


@pytest.fixture
def save(database: str) -> Callable[..., None]:
    """Write rows, each flushed before the next."""

    def write(*rows: object) -> None:
        with writing() as session:
            for row in rows:
                session.add(row)
                session.flush()

    return write
