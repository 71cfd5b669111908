"""A circuit breaker: who has not answered several times in a row is left alone for a while, then asked once.

`Circuit` is the state machine, pure; `Breaker` is one that threads share.  Only silence counts: whoever
answers no is well.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from lmigrate import clock

log = structlog.get_logger(__name__)

#: this many in a row, and nobody is asked for a while
MAX_SILENCES = 3


class CircuitState(StrEnum):
    """What becomes of the next call."""

    CLOSED = "closed"  # it is made
    OPEN = "open"  # it fails at once
    HALF_OPEN = "half-open"  # one is under way, to find out; the others fail at once


@dataclass(frozen=True)
class Circuit:
    """What has been heard so far.  ``reason`` is the last silence, in a sentence; times are monotonic seconds."""

    pause_s: float
    state: CircuitState = CircuitState.CLOSED
    silences: int = 0
    reason: str = ""
    ask_again_s: float = 0.0

    def admit(self, now_s: float) -> tuple[bool, Circuit]:
        """Whether a call may be made now, and the circuit once it is."""
        if self.state is CircuitState.CLOSED:
            return True, self
        if now_s < self.ask_again_s:
            return False, self
        # also of a probe of which nothing was heard: whoever made it may be gone
        return True, replace(self, state=CircuitState.HALF_OPEN, ask_again_s=now_s + self.pause_s)

    def answered(self) -> Circuit:
        """Somebody has heard something, if only a no."""
        return Circuit(self.pause_s)

    def silent(self, reason: str, now_s: float) -> Circuit:
        """A call was not answered in time."""
        heard = replace(self, silences=self.silences + 1, reason=reason)
        if self.state is CircuitState.CLOSED and heard.silences < MAX_SILENCES:
            return heard
        return replace(heard, state=CircuitState.OPEN, ask_again_s=now_s + self.pause_s)


class Breaker:
    """The circuit to one libvirtd, one storage or one broker, for all threads of this process."""

    def __init__(self, name: str, pause_s: float) -> None:
        self._name = name
        self._circuit = Circuit(pause_s)
        self._lock = threading.Lock()

    @property
    def circuit(self) -> Circuit:
        """As it is now."""
        return self._circuit

    def why_refused(self) -> str | None:
        """Why no call may be made now; None: make it, and say how it went."""
        with self._lock:
            is_admitted, now = self._circuit.admit(clock.monotonic_s())
            self._become(now)
        if is_admitted:
            return None
        return f"{now.reason} It has been silent {now.silences} times in a row, and is asked once in {now.pause_s:g} s."

    def answered(self) -> None:
        """The call has ended, well or not."""
        if self._circuit.silences:
            with self._lock:
                self._become(self._circuit.answered())

    def silent(self, reason: str) -> None:
        """The call has not been answered in time; ``reason`` is a sentence."""
        with self._lock:
            self._become(self._circuit.silent(reason, clock.monotonic_s()))

    def _become(self, now: Circuit) -> None:
        before, self._circuit = self._circuit, now
        if before.state is not now.state:
            log.warning("a circuit has changed", circuit=self._name, was=before.state.value, now=now.state.value, reason=now.reason)
