"""Looks for leaks in the records, and asks every host to look at itself.  Runs on a conductor; two at once do no harm."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import structlog

from lmigrate.config import Settings
from lmigrate.db.clock import utcnow
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import hosts, leaks
from lmigrate.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

#: how long it is told that a leak was removed
KEPT = timedelta(days=7)


class Asker(Protocol):
    """Sends messages to hosts."""

    def send_sweep(self, host: str) -> None:
        """Ask a host's daemon to look for leaks.  Raises BrokerUnavailable when it cannot."""


def sweep(settings: Settings, asker: Asker) -> list[str]:
    """Sweep the records, then ask the hosts that are up; a sentence for each leak."""
    with writing() as session:
        leaks.forget_old(session, utcnow() - KEPT)
        found = leaks.sweep_records(session)
        for one in found:
            leaks.note(session, leaks.RECORDS, one, done="taken back", is_removed=True)
    for name in up_hosts(settings):
        try:
            asker.send_sweep(name)
        except BrokerUnavailable as error:
            log.warning("a host could not be asked to look for leaks; the next beat asks again", host=name, reason=str(error))
    return [f"leak: {one.kind.value} {one.subject}: {one.reason}: taken back" for one in found]


def up_hosts(settings: Settings) -> list[str]:
    """The hosts that can look."""
    with reading() as session:
        now, limit_s = utcnow(), settings.scheduler.service_down_time_s
        return [row.name for row in hosts.all_hosts(session) if hosts.why_down(row, now, limit_s) is None]
