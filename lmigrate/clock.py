"""The only place that reads the time or sleeps, so that tests can say what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def utcnow() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def sleep_s(seconds: float) -> None:
    """Block the calling thread."""
    time.sleep(seconds)


def ago(seconds: float) -> datetime:
    """The moment ``seconds`` before now."""
    return utcnow() - timedelta(seconds=seconds)
