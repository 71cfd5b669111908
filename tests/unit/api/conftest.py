"""The application over an empty database, with a broker in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from lmigrate.access import tokens
from lmigrate.config import settings
from lmigrate.db.session import writing
from lmigrate.states import Role
from tests.served import without_broker

Call = Callable[..., TestResponse]


class Guarded:
    """An application with authentication, and tokens for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._client: FlaskClient | None = None

    def set(self, **variables: str) -> None:
        """Settings, before the first call."""
        for name, value in variables.items():
            self._monkeypatch.setenv(f"LMIGRATE_{name.upper()}", value)

    @property
    def client(self) -> FlaskClient:
        """A client of the application, which is made now."""
        if self._client is None:
            settings.cache_clear()
            self._client = create_app().test_client()
        return self._client

    def token(self, role: Role = Role.ADMIN, name: str = "someone", lifetime: timedelta | None = None) -> str:
        """The secret of a new token."""
        return tokens.create(name, role, "a test", lifetime)[1]

    def call(self, method: str, path: str, secret: str | None = None, **options: Any) -> TestResponse:
        """A request, with a bearer token if there is one."""
        headers = {**options.pop("headers", {}), **({} if secret is None else {"Authorization": f"Bearer {secret}"})}
        return self.client.open(path, method=method, headers=headers, **options)


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


@pytest.fixture
def guarded(database: str, broker: None, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """The application that asks who somebody is; tests may change its settings before they call it."""
    monkeypatch.setenv("LMIGRATE_AUTH__MODE", "token")
    return Guarded(monkeypatch)
