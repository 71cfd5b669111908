"""Deadlines for libvirt calls, which have none of their own.

A call into a hung libvirtd blocks its thread and cannot be interrupted.  So it runs in
a thread of its own: when the deadline passes, the caller goes on with HypervisorTimeout
and the thread is left behind until keepalive closes the connection.  After several in a
row further calls are refused at once (a circuit breaker), so that a hung libvirtd costs
neither the others' time nor ever more threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lmigrate.breaker import Breaker
from lmigrate.errors import HypervisorNotAsked, HypervisorTimeout

T = TypeVar("T")

#: threads left behind; that one of them ends is how a libvirtd that hung is seen to go on
MAX_HANGING = 6


class _Call(Generic[T]):
    """One call in its own thread."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Body of the thread."""
        try:
            self.result = self._function()
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            self.error = error
        finally:
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Whether it ended in time."""
        return self._done.wait(seconds)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()


class Deadlines:
    """Runs calls to one host with a deadline; keeps count of those that hang."""

    def __init__(self, host: str, deadline_s: float) -> None:
        self.host = host
        self.deadline_s = deadline_s
        self.breaker = Breaker(f"libvirt of {host}", deadline_s)
        self._hanging: list[_Call[object]] = []
        self._lock = threading.Lock()

    def call(self, name: str, function: Callable[[], T], deadline_s: float | None = None) -> T:
        """The result of ``function()``.

        Raises:
            HypervisorTimeout: no answer within ``deadline_s`` seconds.
            HypervisorNotAsked: it was silent too often of late.
        """
        limit = self.deadline_s if deadline_s is None else deadline_s
        self._refuse_if_hung()
        call: _Call[T] = _Call(function)
        threading.Thread(target=call.run, name=f"libvirt-{name}", daemon=True).start()
        if not call.wait(limit):
            self._leave(call, silence := HypervisorTimeout(host=self.host, call=name, deadline_s=f"{limit:g}"))
            raise silence
        self.breaker.answered()
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]

    def _leave(self, call: _Call[T], silence: HypervisorTimeout) -> None:
        with self._lock:
            self._hanging.append(call)  # type: ignore[arg-type]
        self.breaker.silent(str(silence))

    def _refuse_if_hung(self) -> None:
        with self._lock:
            self._hanging = [call for call in self._hanging if not call.is_done]
            hanging = len(self._hanging)
        refusal = f"it did not answer {hanging} earlier calls, which still hang." if hanging >= MAX_HANGING else self.breaker.why_refused()
        if refusal is not None:
            raise HypervisorNotAsked(host=self.host, reason=refusal)
