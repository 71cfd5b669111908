"""Deadlines, and the circuit breaker behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lmigrate.errors import HypervisorTimeout
from lmigrate.virt.deadline import MAX_HANGING, Deadlines


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


def test_when_too_many_hang_further_calls_are_refused_without_a_thread(gate: threading.Event) -> None:
    deadlines = Deadlines("node5", 5)
    for _ in range(MAX_HANGING):
        hang(deadlines, gate)
    called = threading.Event()
    with pytest.raises(HypervisorTimeout):
        deadlines.call("one more", called.set)
    assert not called.is_set()


def test_the_breaker_closes_when_they_end(gate: threading.Event) -> None:
    deadlines = Deadlines("node5", 5)
    for _ in range(MAX_HANGING):
        hang(deadlines, gate)
    gate.set()
    for call in deadlines._hanging:
        assert call.wait(5)
    assert deadlines.call("next", lambda: "answered") == "answered"
