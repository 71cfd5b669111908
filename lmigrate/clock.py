"""The only place that reads the time or sleeps, so that tests can say what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utcnow() -> datetime:
    """The current moment by this machine's clock, aware, in UTC.

    What other machines will compare is told by `lmigrate.db.clock` instead.
    """
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def sleep_s(seconds: float) -> None:
    """Block the calling thread."""
    time.sleep(seconds)
