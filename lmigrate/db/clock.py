"""The time that is written into records and compared between machines: the database's.

Leases, heartbeats and pauses are written by one machine and judged by another, whose own clocks may
differ by any amount.  So nobody writes down what its own clock says.  A process looks at the database's
clock at the beginning of a transaction, once a minute, and between two looks carries it on with its own
monotonic clock, which nobody sets.  SQLite has one machine, and that machine's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, Engine, event

from lmigrate import clock

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 60.0
#: certificates are judged by the machine's own clock, so that it must not be far off either
TELL_FROM_S = 5.0

_NOW = {
    "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    "postgresql": "SELECT clock_timestamp()",
}


@dataclass(frozen=True)
class _Look:
    """The database's clock when our monotonic one stood at ``monotonic_s``."""

    at: datetime
    monotonic_s: float


_last: _Look | None = None


def utcnow() -> datetime:
    """The present moment by the database's clock, aware, in UTC.

    Raises:
        what a database raises that is away, as long as it has never been asked.
    """
    if _last is None:
        from lmigrate.db.session import ping  # noqa: PLC0415 - every transaction, also that one, looks at the clock first

        ping()
    look = _last
    assert look is not None  # noqa: S101 - the transaction has looked
    return look.at + timedelta(seconds=clock.monotonic_s() - look.monotonic_s)


def ago(seconds: float) -> datetime:
    """The moment ``seconds`` before now."""
    return utcnow() - timedelta(seconds=seconds)


def from_machine(moment: datetime) -> datetime:
    """A moment that this machine's clock told (a file's time), by the database's clock."""
    return moment + (utcnow() - clock.utcnow())


@event.listens_for(Engine, "begin")
def _look(connection: Connection) -> None:
    """Look at the database's clock, unless somebody has of late."""
    global _last  # noqa: PLW0603 - one clock for the process
    if _last is not None and clock.monotonic_s() - _last.monotonic_s < LOOK_EVERY_S:
        return
    asked_s = clock.monotonic_s()
    told = connection.exec_driver_sql(_NOW[connection.dialect.name]).scalar_one()
    at = told if isinstance(told, datetime) else datetime.fromisoformat(told)
    answered_s = clock.monotonic_s()
    _last = _Look(at.astimezone(UTC), (asked_s + answered_s) / 2)
    _tell_if_off()


def _tell_if_off() -> None:
    off_s = (clock.utcnow() - utcnow()).total_seconds()
    if abs(off_s) > TELL_FROM_S:
        log.warning("this machine's clock is not the database's; mend it, since TLS certificates are judged by it", off_s=round(off_s))
