"""A post-copy under way: watched, and resumed when it has broken.

Until its last page has arrived neither host has the whole guest.  So nothing here removes, undoes or
decides anything; it looks, and makes libvirt try again over a new connection.

Two things were measured (libvirt 9.0, QEMU 7.2). After libvirtd was restarted on either side, or has lost the
other one, QEMU goes on alone and libvirt ends the move when it is through: a resume in that time is refused
*and makes libvirt forget the job*, so that the source's half is left over. And a QEMU whose peer is silent does
not notice: its connection has to be broken before it can be resumed. Hence: while anything moves, wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from lmigrate import clock
from lmigrate.db.availability import UNAVAILABLE, kind_of
from lmigrate.db.clock import utcnow
from lmigrate.db.session import writing
from lmigrate.db.stores import post_copy
from lmigrate.errors import HypervisorError, PostCopyBroken
from lmigrate.migration.convergence import Flow
from lmigrate.migration.look import look
from lmigrate.migration.steps.base import StepContext
from lmigrate.migration.verdict import Seen
from lmigrate.virt.types import JobStats

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 2.0
_LOOK_AGAIN: tuple[type[Exception], ...] = (HypervisorError, *UNAVAILABLE)


@dataclass
class PostCopyWatch:
    """Whether the post-copy of one migration moves; what is found out goes into the records."""

    context: StepContext
    flow: Flow = field(default_factory=lambda: Flow(clock.monotonic_s()))
    has_begun: bool = False  # the guest was seen to have left the source, its memory follows
    broken_since: datetime | None = None

    def __post_init__(self) -> None:
        self.broken_since = self.context.migration.post_copy_broken_at

    def begin(self) -> None:
        """The source was seen with its half."""
        if self.has_begun:
            return
        with writing() as session:
            post_copy.begun(session, self.context.migration.id)
        self.has_begun = True
        self.start_anew()

    def look(self, stats: JobStats) -> bool:
        """Take one look; whether anything has moved since the last one."""
        is_moving = self.flow.look(stats, clock.monotonic_s())
        if is_moving and self.broken_since is not None:
            log.info("post-copy goes on")
            self.broken_since = None
            with writing() as session:
                post_copy.flows(session, self.context.migration.id)
        return is_moving

    def still_s(self) -> float:
        """For how many seconds nothing has moved."""
        return self.flow.still_s(clock.monotonic_s())

    def broke(self, reason: str) -> None:
        """Say that it stands still."""
        log.warning("post-copy stands still", reason=reason)
        with writing() as session:
            self.broken_since = post_copy.broke(session, self.context.migration.id, reason)

    def start_anew(self) -> None:
        """What comes is to be looked at as if nothing had been seen."""
        self.flow = Flow(clock.monotonic_s())

    def break_connection(self) -> None:
        """Make QEMU see that its peer is gone; one that has seen it already refuses."""
        try:
            self.context.hypervisor.break_post_copy(self.context.instance.uuid)
        except HypervisorError as error:
            log.info("QEMU has no connection that could be broken", reason=str(error))
        self.start_anew()


@dataclass
class Recovery:
    """Drives a post-copy to its end when no libvirt call does so any more: waits while it moves, else resumes it.

    ``resume`` makes the call and blocks until it is over; it returns the text of what libvirt raised.
    """

    watch: PostCopyWatch
    store: Callable[[JobStats], None]
    resume: Callable[[], str | None]
    _pause_s: float = field(init=False)
    _last_error: str = "it was not tried"
    _told: str | None = None

    def __post_init__(self) -> None:
        self._pause_s = self._first_pause_s

    @property
    def _first_pause_s(self) -> float:
        return min(FIRST_PAUSE_S, self.watch.context.settings.migration.post_copy_retry_max_s)

    def run(self) -> Seen:
        """What the source looks like when it has let go of the guest.

        Raises:
            PostCopyBroken: it could not be resumed for `post_copy_recovery_timeout_s`.
        """
        context = self.watch.context
        while True:
            try:
                seen = look(context.hypervisor, context.instance.uuid, context.uuid)
                if not seen.is_post_copy:
                    return seen
                self._step(seen)
            except _LOOK_AGAIN as error:
                self._tell(str(error) if isinstance(error, HypervisorError) else kind_of(error))
            clock.sleep_s(context.settings.migration.poll_interval_s)

    def _tell(self, reason: str) -> None:
        """Once for each reason."""
        if reason != self._told:
            log.warning("could not look after the post-copy; trying again", reason=reason)
        self._told = reason

    def _step(self, seen: Seen) -> None:
        self.watch.begin()
        options = self.watch.context.settings.migration
        stats = self.watch.context.hypervisor.job(self.watch.context.instance.uuid)
        self.store(stats)
        if self.watch.look(stats):
            self._pause_s = self._first_pause_s
        elif self.watch.still_s() >= (self._pause_s if seen.reason == "postcopy-failed" else options.post_copy_stall_s):
            self._try_again(seen)

    def _try_again(self, seen: Seen) -> None:
        context = self.watch.context
        if self.watch.broken_since is None:
            self.watch.broke(f"post-copy broke; source: {seen}. It is resumed when the link is back; both copies are kept.")
        self._give_up_in_time()
        context.check_claim()
        self.watch.break_connection()
        error = self.resume()
        self.watch.start_anew()
        if error is not None:
            self._last_error = error
            self.watch.broke(f"post-copy broke and cannot be resumed yet; both copies are kept. Last try: {error}")
        self._pause_s = min(2 * self._pause_s, context.settings.migration.post_copy_retry_max_s)

    def _give_up_in_time(self) -> None:
        limit_s = self.watch.context.settings.migration.post_copy_recovery_timeout_s
        since = self.watch.broken_since
        if since is not None and utcnow() - since > timedelta(seconds=limit_s):
            raise PostCopyBroken(since=f"{since:%Y-%m-%d %H:%M:%S} UTC", limit_s=f"{limit_s:g}", reason=self._last_error)
