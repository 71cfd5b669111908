"""Moments that machines compare are the database's, whatever the machine's own clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from lmigrate import clock as own
from lmigrate.db import clock
from lmigrate.db.session import reading


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has never looked at the database's clock."""
    monkeypatch.setattr(clock, "_last", None)


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_wrong_clock_of_our_own_does_not_matter(database: str, unasked: None, monkeypatch: pytest.MonkeyPatch, off: timedelta) -> None:
    true = datetime.now(UTC)
    monkeypatch.setattr(own, "utcnow", lambda: datetime.now(UTC) + off)
    assert abs(clock.utcnow() - true) < timedelta(minutes=1)
    assert clock.ago(60) < clock.utcnow()


def test_between_two_looks_time_goes_by_at_the_pace_of_a_clock_that_nobody_sets(
    database: str, unasked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(own, "monotonic_s", lambda: asked[-1] if asked else 1000.0)
    began = clock.utcnow()
    asked.append(1030.0)
    with reading() as session:
        session.execute(text("SELECT 1"))  # too soon for another look
    assert clock.utcnow() - began == timedelta(seconds=30)
    asked.append(1000.0 + clock.LOOK_EVERY_S)
    with reading() as session:
        session.execute(text("SELECT 1"))
    assert clock.utcnow() - began < timedelta(seconds=30)  # it has looked again, and the test took no half a minute


def test_a_clock_that_is_off_is_told(database: str, unasked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "utcnow", lambda: datetime.now(UTC) + timedelta(hours=1))
    told: dict[str, float] = {}
    monkeypatch.setattr(clock.log, "warning", lambda text, *, off_s: told.update({text: off_s}))
    clock.utcnow()
    ((text_told, off_s),) = told.items()
    assert "this machine's clock is not the database's" in text_told
    assert off_s == pytest.approx(3600, abs=30)
