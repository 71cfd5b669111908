"""The sign of life: every few seconds, after a real round trip to libvirtd, one update of the host's row."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog

from lmigrate import clock
from lmigrate.config import Settings
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.db.clock import utcnow
from lmigrate.db.session import writing
from lmigrate.db.stores import reports
from lmigrate.db.stores.hosts import STOPPED
from lmigrate.db.stores.reports import Reported
from lmigrate.errors import HypervisorError
from lmigrate.host import uptime
from lmigrate.host.disk_watch import DiskWatch
from lmigrate.host.registration import free_bytes
from lmigrate.host.tls import check_tls
from lmigrate.log import bound
from lmigrate.virt.protocol import Hypervisor

log = structlog.get_logger(__name__)

LAST_BEAT_S = 2.0


class Heartbeat:
    """Beats in a thread of its own.  A beat takes no longer than libvirt's deadline and the database's."""

    def __init__(self, settings: Settings, hypervisor: Hypervisor, disk: DiskWatch, epoch: str) -> None:
        self._settings = settings
        self._hypervisor = hypervisor
        self._disk = disk
        self._epoch = epoch
        self._hurry = threading.Event()
        self._is_stopped = threading.Event()
        self._last_reason: str | None = None
        self._thread: threading.Thread | None = None
        self.on_recovery: Callable[[], None] = lambda: None  # libvirtd answers again
        self.on_superseded: Callable[[], None] = lambda: None  # a younger daemon speaks for the host
        self.on_forgotten: Callable[[], None] = lambda: None  # somebody removed the host's row

    def start(self) -> None:
        """Begin to beat."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._is_stopped.set()
        self._hurry.set()

    def hurry(self) -> None:
        """Beat now: somebody else has found libvirtd hanging, or has found it well."""
        self._hurry.set()

    def beat(self) -> Reported:
        """One beat; raises what the database raises."""
        reason = self._why_down()
        outcome = self._report(self._values(reason))
        self._tell(reason, outcome)
        return outcome

    def say_goodbye(self) -> None:
        """The last beat: tell the scheduler at once that nobody serves this host's queues any more."""
        self.stop()
        if self._thread is not None:
            self._thread.join(LAST_BEAT_S)  # a beat under way must not come after this one
        self._report({"libvirt_ok": False, "down_reason": STOPPED})

    def _run(self) -> None:
        with bound(host=self._settings.host.name, epoch=self._epoch):
            while not self._is_stopped.is_set():
                self._beat_or_log()
                self._hurry.wait(self._settings.host.heartbeat_interval_s)
                self._hurry.clear()

    def _beat_or_log(self) -> None:
        try:
            self.beat()
        except UNAVAILABLE as error:
            log.warning("the heartbeat could not be written; trying again", reason=type(error).__name__)
        except Exception:
            # The one thread that must not die: a host without heartbeat is a host without work.
            log.exception("the heartbeat failed; trying again")

    def _why_down(self) -> str | None:
        try:
            self._hypervisor.ping()
        except HypervisorError as error:
            return str(error)
        return self._disk.why_unusable(self._settings.host.libvirt_deadline_s)

    def _values(self, reason: str | None) -> dict[str, Any]:
        options = self._settings.host
        tls = check_tls(options.pki_dir, options.address, clock.utcnow())
        values: dict[str, Any] = {"last_seen_at": utcnow(), "libvirt_ok": reason is None, "down_reason": reason}
        values |= {"tls_ready": tls.is_ready, "tls_reason": tls.sentence, "uptime": uptime.current(utcnow())}
        if (usage := self._disk.usage) is not None:
            values |= {"disk_total_bytes": usage.total_bytes, "disk_free_bytes": free_bytes(usage.free_bytes, options.reserved_disk_mib)}
        return values

    def _report(self, values: dict[str, Any]) -> Reported:
        with writing() as session:
            return reports.report(session, self._settings.host.name, self._epoch, values)

    def _tell(self, reason: str | None, outcome: Reported) -> None:
        """Log and pass on what has changed since the last beat."""
        if reason is not None and reason != self._last_reason:
            log.warning("the host is down", reason=reason)
        elif reason is None and self._last_reason is not None:
            log.info("the host is up again", was=self._last_reason)
            self.on_recovery()
        self._last_reason = reason
        if outcome is Reported.SUPERSEDED:
            log.error("a younger daemon has taken over this host; this one stops")
            self.on_superseded()
        elif outcome is Reported.UNKNOWN:
            log.warning("the host's record is gone; registering again")
            self.on_forgotten()
