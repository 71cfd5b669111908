"""What the beat sends, and what is made of a heap of it."""

from __future__ import annotations

import pytest

from lmigrate import clock
from tasks.app import app
from tasks.pace import Pace


def test_one_of_a_heap_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(5)
    monkeypatch.setattr(clock, "monotonic_s", lambda: 100.0)
    assert [pace.admits() for _ in range(3)] == [True, False, False]
    monkeypatch.setattr(clock, "monotonic_s", lambda: 105.0)
    assert [pace.admits() for _ in range(3)] == [True, False, False]


def test_no_message_of_the_beat_has_a_time_in_it() -> None:
    """A worker would drop it by its own clock, without a word."""
    assert app.conf.beat_schedule
    for entry in app.conf.beat_schedule.values():
        assert not {"expires", "eta", "countdown"} & set(entry["options"])
