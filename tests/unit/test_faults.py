"""Fail points: what a test asks for happens at the point, to the first passer or to all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmigrate.config import settings
from lmigrate.errors import InjectedFault
from lmigrate.faults import HELD, failpoint
from tests.lab.wire import eventually

POINT = "step.migrate.before_do"


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LMIGRATE_FAULTS__DIR", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_once_hits_the_first_passer_only(points: Path) -> None:
    (points / POINT).write_text("raise once")
    with pytest.raises(InjectedFault, match=POINT):
        failpoint(POINT)
    failpoint(POINT)


def test_the_first_passer_is_held_until_it_is_let_go(points: Path) -> None:
    (points / POINT).write_text("hold")
    passer = threading.Thread(target=failpoint, args=(POINT,), daemon=True)
    passer.start()
    held = points / (POINT + HELD)
    eventually("it stands there", held.exists)
    failpoint(POINT)  # the second passer is not concerned
    assert passer.is_alive()
    held.unlink()
    passer.join(timeout=30)
    assert not passer.is_alive()


def test_an_unknown_action_is_named(points: Path) -> None:
    (points / POINT).write_text("explode")
    with pytest.raises(ValueError, match=f"{POINT}: unknown action 'explode'"):
        failpoint(POINT)
