"""The application over an empty database, with a broker in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from lmigrate.db.session import writing
from tests.served import without_broker

Call = Callable[..., TestResponse]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages go nowhere, at once."""
    without_broker(monkeypatch)


@pytest.fixture
def app(database: str, broker: None) -> Flask:
    return create_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def nova(client: FlaskClient) -> Call:
    """``nova("GET", "/servers", "2.53")``."""

    def call(method: str, path: str, version: str | None = None, **options: Any) -> TestResponse:
        headers = {} if version is None else {"OpenStack-API-Version": f"compute {version}"}
        return client.open(f"/v2.1{path}", method=method, headers=headers, **options)

    return call


@pytest.fixture
def save(database: str) -> Callable[..., None]:
    """Write rows, each flushed before the next, so that ids are known."""

    def write(*rows: object) -> None:
        with writing() as session:
            for row in rows:
                session.add(row)
                session.flush()

    return write
