"""Deadlines for calls that have none of their own, or only one for each of many round trips.

A call that hangs blocks its thread and cannot be interrupted.  So it runs in a thread of its own: when
the deadline passes, the caller goes on and the thread is left behind until the call ends.  While
`MAX_HANGING` are left behind further calls are refused at once, so that who hangs does not cost ever more
threads: besides those there are only as many as callers that wait at this moment.  `Deadlines` has a circuit
breaker as well, so that after several silences in a row nobody waits; who calls a `Patience` sees to that.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from lmigrate import log
from lmigrate.breaker import Breaker
from lmigrate.errors import LmigrateError

T = TypeVar("T")

#: threads left behind; that one of them ends is how somebody who hung is seen to go on
MAX_HANGING = 6


class Overdue(LmigrateError):
    """{call} did not end within {deadline_s} s"""


class StillHanging(Overdue):
    """{call} was not tried: {reason}"""


class Call(Generic[T]):
    """One call in its own thread."""

    def __init__(self, name: str, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None
        threading.Thread(target=log.carried(self._run), name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether it ended in time."""
        return self._done.wait(seconds)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()

    def outcome(self) -> T:
        """What the function returned, or raises what it raised; only once it has ended."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            self._error = error
        finally:
            self._done.set()


class Hanging:
    """The calls to one somebody that were left behind and have not ended."""

    def __init__(self) -> None:
        self.calls: list[Call[Any]] = []
        self._lock = threading.Lock()

    def leave(self, call: Call[Any]) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self.calls.append(call)

    def why_refused(self) -> str | None:
        """Why no call may be made now; None: it may."""
        with self._lock:
            self.calls = [call for call in self.calls if not call.is_done]
            count = len(self.calls)
        return f"it did not answer {count} earlier calls, which still hang." if count >= MAX_HANGING else None


class Patience:
    """Runs calls of one kind, each with a deadline."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._hanging = Hanging()

    def in_time(self, function: Callable[[], T], deadline_s: float) -> T:
        """The result of ``function()``.

        Raises:
            Overdue: it has not ended within ``deadline_s`` seconds, and goes on behind our back.
            StillHanging: it was not called, since `MAX_HANGING` earlier ones go on.
        """
        if (refusal := self._hanging.why_refused()) is not None:
            raise StillHanging(call=self._name, reason=refusal)
        call = Call(self._name, function)
        if not call.wait(deadline_s):
            self._hanging.leave(call)
            raise Overdue(call=self._name, deadline_s=f"{deadline_s:g}")
        return call.outcome()


class Deadlines(ABC):
    """Runs calls to one who may hang, each with a deadline; keeps count of those that do."""

    def __init__(self, whom: str, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.breaker = Breaker(whom, deadline_s)
        self._whom = whom
        self._hanging = Hanging()

    def call(self, name: str, function: Callable[[], T], deadline_s: float | None = None) -> T:
        """The result of ``function()``.

        Raises:
            LmigrateError: what `silence` says: no answer within ``deadline_s`` seconds; or `refusal`: it was silent too often of late.
        """
        limit_s = self.deadline_s if deadline_s is None else deadline_s
        self._refuse_if_hung()
        call = Call(f"{self._whom}: {name}", function)
        if not call.wait(limit_s):
            self._hanging.leave(call)
            silence = self.silence(name, limit_s)
            self.breaker.silent(str(silence))
            raise silence
        self.breaker.answered()
        return call.outcome()

    @abstractmethod
    def silence(self, call: str, deadline_s: float) -> LmigrateError:
        """What is raised when there was no answer; its text is a sentence."""

    @abstractmethod
    def refusal(self, reason: str) -> LmigrateError:
        """What is raised instead of asking."""

    def _refuse_if_hung(self) -> None:
        refusal = self._hanging.why_refused() or self.breaker.why_refused()
        if refusal is not None:
            raise self.refusal(refusal)
