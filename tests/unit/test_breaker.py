"""The circuit breaker: when it opens, whom it lets through, and that it closes by itself."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from lmigrate import clock
from lmigrate.breaker import MAX_SILENCES, Breaker, Circuit, CircuitState

PAUSE_S = 15.0
NEW = Circuit(PAUSE_S)


def silent(circuit: Circuit, times: int, now_s: float = 0.0) -> Circuit:
    for _ in range(times):
        circuit = circuit.silent("no answer.", now_s)
    return circuit


def test_it_opens_at_the_nth_silence_in_a_row() -> None:
    assert silent(NEW, MAX_SILENCES - 1).state is CircuitState.CLOSED
    assert silent(NEW, MAX_SILENCES).state is CircuitState.OPEN


def test_an_answer_in_between_begins_the_count_again() -> None:
    assert silent(silent(NEW, MAX_SILENCES - 1).answered(), MAX_SILENCES - 1).state is CircuitState.CLOSED


def test_open_lets_nobody_through_until_the_pause_is_over() -> None:
    opened = silent(NEW, MAX_SILENCES, now_s=100)
    assert opened.admit(100 + PAUSE_S - 1) == (False, opened)
    is_admitted, probing = opened.admit(100 + PAUSE_S)
    assert (is_admitted, probing.state) == (True, CircuitState.HALF_OPEN)


def test_half_open_lets_one_through_and_the_next_if_nothing_is_heard_of_it() -> None:
    probing = silent(NEW, MAX_SILENCES).admit(PAUSE_S)[1]
    assert probing.admit(PAUSE_S + 1)[0] is False
    assert probing.admit(2 * PAUSE_S)[0] is True


def test_a_probe_that_is_answered_closes_it_and_a_silent_one_opens_it_again() -> None:
    probing = silent(NEW, MAX_SILENCES).admit(PAUSE_S)[1]
    assert probing.answered() == NEW
    again = probing.silent("still nothing.", 50)
    assert (again.state, again.silences, again.reason, again.ask_again_s) == (
        CircuitState.OPEN,
        MAX_SILENCES + 1,
        "still nothing.",
        50 + PAUSE_S,
    )


def test_a_late_silence_of_an_earlier_call_does_not_close_it() -> None:
    assert silent(silent(NEW, MAX_SILENCES), 1, now_s=5).state is CircuitState.OPEN


def test_the_reason_is_told_to_whoever_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: 10.0)
    breaker = Breaker("libvirt node5", PAUSE_S)
    assert breaker.why_refused() is None
    with capture_logs() as told:
        for _ in range(MAX_SILENCES):
            breaker.silent("libvirt on node5 did not answer ping within 15 s.")
    assert "did not answer ping" in str(breaker.why_refused())
    assert f"{MAX_SILENCES} times in a row" in str(breaker.why_refused())
    assert [line["event"] for line in told] == ["a circuit has changed"]
    monkeypatch.setattr(clock, "monotonic_s", lambda: 10.0 + PAUSE_S)
    assert breaker.why_refused() is None
    breaker.answered()
    assert breaker.circuit == NEW


def test_of_many_threads_one_is_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    breaker = Breaker("libvirt node5", PAUSE_S)
    for _ in range(MAX_SILENCES):
        breaker.silent("no answer.")
    now_s[0] = PAUSE_S
    admitted: list[None] = []
    threads = [threading.Thread(target=lambda: admitted.append(None) if breaker.why_refused() is None else None) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(admitted) == 1
