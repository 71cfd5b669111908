"""The application over the fixed world."""

from __future__ import annotations

import pytest
from flask import Flask

from api.app import create_app
from lmigrate.config import settings
from tasks.app import app as celery_app
from tests.contract import api_world


@pytest.fixture
def api(database: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The API over the fixed world; messages go nowhere."""
    monkeypatch.setitem(celery_app.conf, "broker_url", "memory://")
    monkeypatch.setitem(celery_app.conf, "broker_write_url", "memory://")
    monkeypatch.setattr(celery_app, "_pool", None)
    monkeypatch.setattr(celery_app.amqp, "_producer_pool", None)
    for name, value in api_world.SETTINGS.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    api_world.populate()
    return create_app()
