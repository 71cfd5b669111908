"""The API over the fixed world, served, and OpenStack's clients pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app import create_app
from lmigrate.config import settings
from tests.clients.client_process import Site, site
from tests.contract import api_world
from tests.served import served, without_broker


@pytest.fixture
def cloud() -> str:
    """Which entry of the documentation's clouds.yaml the clients use; modules override it."""
    return "lmigrate-none"


@pytest.fixture
def api(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: str) -> Iterator[Site]:
    """The API; messages to workers go nowhere."""
    without_broker(monkeypatch)
    for name, value in api_world.SETTINGS.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    api_world.populate()
    with served(create_app()) as url:
        yield site(url, tmp_path, cloud)
