"""The application over the fixed world."""

from __future__ import annotations

import pytest
from flask import Flask

from api.app import create_app
from lmigrate.config import settings
from tests.contract import api_world
from tests.served import without_broker


@pytest.fixture
def api(database: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The API over the fixed world; messages go nowhere."""
    without_broker(monkeypatch)
    for name, value in api_world.SETTINGS.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    api_world.populate()
    return create_app()
