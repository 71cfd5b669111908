"""Deadlines, and the circuit breaker behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lmigrate import clock
from lmigrate.breaker import MAX_SILENCES
from lmigrate.deadline import MAX_HANGING, Overdue, Patience, StillHanging
from lmigrate.errors import HypervisorNotAsked, HypervisorTimeout
from lmigrate.virt.deadline import Deadlines


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging calls wait for."""
    event = threading.Event()
    yield event
    event.set()


def hang(deadlines: Deadlines, gate: threading.Event) -> None:
    with pytest.raises(HypervisorTimeout, match=r"node5 did not answer getVersion within 0\.01 s"):
        deadlines.call("getVersion", gate.wait, deadline_s=0.01)


def test_a_result_and_an_error_come_through() -> None:
    deadlines = Deadlines("node5", 5)
    assert deadlines.call("add", lambda: 1 + 1) == 2
    with pytest.raises(ZeroDivisionError):
        deadlines.call("divide", lambda: 1 // 0)


def test_a_call_that_hangs_is_left_behind(gate: threading.Event) -> None:
    deadlines = Deadlines("node5", 5)
    hang(deadlines, gate)
    assert deadlines.call("next", lambda: "answered") == "answered"


def refused(deadlines: Deadlines) -> str:
    called = threading.Event()
    with pytest.raises(HypervisorNotAsked) as error:
        deadlines.call("one more", called.set)
    assert not called.is_set()
    return str(error.value)


def test_after_several_silences_further_calls_fail_at_once_with_the_reason(gate: threading.Event) -> None:
    deadlines = Deadlines("node5", 3600)
    for _ in range(MAX_SILENCES):
        hang(deadlines, gate)
    assert "did not answer getVersion within 0.01 s" in refused(deadlines)


def test_a_probe_finds_out_that_it_answers_again(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = Deadlines("node5", 3600)
    for _ in range(MAX_SILENCES):
        hang(deadlines, gate)
    refused(deadlines)
    begin_s = clock.monotonic_s()
    monkeypatch.setattr(clock, "monotonic_s", lambda: begin_s + 3600)
    assert deadlines.call("probe", lambda: "answered") == "answered"
    assert deadlines.call("next", lambda: "answered") == "answered"


def test_an_error_is_an_answer(gate: threading.Event) -> None:
    deadlines = Deadlines("node5", 3600)
    for _ in range(MAX_SILENCES - 1):
        hang(deadlines, gate)
    with pytest.raises(ZeroDivisionError):
        deadlines.call("divide", lambda: 1 // 0)
    hang(deadlines, gate)
    assert deadlines.call("next", lambda: "answered") == "answered"


def test_probes_do_not_pile_up_threads(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = Deadlines("node5", 3600)
    begin_s = clock.monotonic_s()
    for number in range(MAX_HANGING):
        monkeypatch.setattr(clock, "monotonic_s", lambda hours=number: begin_s + 3600 * hours)
        hang(deadlines, gate)
    monkeypatch.setattr(clock, "monotonic_s", lambda: begin_s + 3600 * MAX_HANGING)
    assert "still hang" in refused(deadlines)
    gate.set()
    for call in deadlines._hanging.calls:
        assert call.wait(5)
    assert deadlines.call("next", lambda: "answered") == "answered"


def test_who_is_only_waited_for_keeps_few_threads_as_well(gate: threading.Event) -> None:
    patience, called = Patience("a look"), threading.Semaphore(0)

    def look() -> bool:
        called.release()
        return gate.wait(60)

    for _ in range(MAX_HANGING):
        with pytest.raises(Overdue, match=r"a look did not end within 0\.01 s"):
            patience.in_time(look, 0.01)
        assert called.acquire(timeout=60)
    for _ in range(3):
        with pytest.raises(StillHanging, match=f"a look was not tried: it did not answer {MAX_HANGING} earlier calls"):
            patience.in_time(look, 0.01)
    assert not called.acquire(blocking=False)
    gate.set()
    for call in patience._hanging.calls:
        assert call.wait(60)
    assert patience.in_time(look, 60)
