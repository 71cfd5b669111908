"""What the tests of the saga share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lmigrate.config import settings

FailPoint = Callable[[str, str], None]

pytest.register_assert_rewrite("tests.integration.cluster", "tests.integration.mail")


@pytest.fixture
def failpoint(database: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FailPoint:
    """Put an action at a fail point."""
    directory = tmp_path_factory.mktemp("faults")
    monkeypatch.setenv("LMIGRATE_FAULTS__DIR", str(directory))
    settings.cache_clear()

    def put(point: str, action: str) -> None:
        (directory / point).write_text(action)

    return put
