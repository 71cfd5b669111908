"""The command line against the real API, served on a loopback port in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from api.app import create_app
from lmigrate.cli.main import main
from lmigrate.db.session import writing
from tasks.app import app as celery_app

Cli = Callable[..., Result]


@pytest.fixture
def api_url(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the API is served; messages to workers go nowhere."""
    monkeypatch.setitem(celery_app.conf, "broker_url", "memory://")
    monkeypatch.setitem(celery_app.conf, "broker_write_url", "memory://")
    monkeypatch.setattr(celery_app, "_pool", None)
    monkeypatch.setattr(celery_app.amqp, "_producer_pool", None)
    server = make_server("127.0.0.1", 0, create_app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


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
