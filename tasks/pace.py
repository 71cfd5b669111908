"""Messages of the clock that come in a heap, after a worker or the broker was away: one of them is enough.

Celery's own way is a time in the message after which nobody takes it, which compares the clocks of two machines.
"""

from __future__ import annotations

import threading

from lmigrate import clock


class Pace:
    """Lets one through, and the next when ``interval_s`` have gone by in this process.  Threads may share it."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = float("-inf")
        self._lock = threading.Lock()

    def admits(self) -> bool:
        """Whether it is time."""
        with self._lock:
            now_s = clock.monotonic_s()
            if now_s < self._next_s:
                return False
            self._next_s = now_s + self._interval_s
            return True
