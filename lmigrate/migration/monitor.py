"""Watches a running migration job: progress into SQL, the policy's actions, an abort on request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from lmigrate import clock
from lmigrate.db.availability import UNAVAILABLE, kind_of
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import actions, migrations, post_copy, progress, wishes
from lmigrate.db.stores.wishes import Wishes
from lmigrate.errors import HypervisorError, HypervisorTimeout, HypervisorUnavailable
from lmigrate.migration import convergence
from lmigrate.migration.convergence import Action, Stage
from lmigrate.migration.look import look
from lmigrate.migration.post_copy import PostCopyWatch
from lmigrate.migration.steps.base import StepContext
from lmigrate.virt.types import JobStats

log = structlog.get_logger(__name__)

#: The first look comes later than the others: a small guest has gone by then, and a look at its
#: switchover waits for libvirt, which made such a move seem some 200 ms longer than it was.
FIRST_LOOK_POLLS = 3

#: libvirt's own clearing up after a job takes a second or two
END_PATIENCE_S = 5.0

_LOOK_AGAIN: tuple[type[Exception], ...] = (HypervisorError, *UNAVAILABLE)


@dataclass
class Monitor:
    """One job's watch.  ``run`` returns when ``is_over`` says so."""

    context: StepContext
    size_gib: float
    aborted_because: str | None = None
    was_paused: bool = False
    is_post_copy_possible: bool = False  # the move was begun with it
    post_copy: PostCopyWatch = field(init=False)
    _is_switching: bool = False  # the hypervisor has taken the order
    _downtime_ms: int | None = None
    _started_s: float = 0.0
    _stored_s: float = float("-inf")
    _told: str | None = None
    _ended_s: float | None = None  # since when there is no job any more, though the call has not returned

    def __post_init__(self) -> None:
        self.post_copy = PostCopyWatch(self.context)

    def run(self, over: threading.Event | None = None, is_over: Callable[[], bool] | None = None) -> None:
        """Look every ``poll_interval_s`` until the call returns (``over``) or the job is gone (``is_over``)."""
        self._started_s = clock.monotonic_s()
        waiting = over or threading.Event()
        poll_s = self.context.settings.migration.poll_interval_s
        if waiting.wait(FIRST_LOOK_POLLS * poll_s):
            return
        while not waiting.wait(poll_s):
            if is_over is not None and is_over():
                return
            self._tick()

    def _tick(self) -> None:
        try:
            stats = self.context.hypervisor.job(self.context.instance.uuid)
            if stats.is_migration:
                self._ended_s = None
                self.store(stats)
                self._see_to(stats)
            else:
                self._see_to_its_end()
        except _LOOK_AGAIN as error:  # a look that failed changes nothing; the job goes on without us
            self._tell(str(error) if isinstance(error, HypervisorError) else kind_of(error))
        else:
            self._told = None

    def _see_to_its_end(self) -> None:
        """The job has ended; a call that does not return then waits for what may never come, and the guest may stand still."""
        now_s = clock.monotonic_s()
        self._ended_s = now_s if self._ended_s is None else self._ended_s
        if now_s - self._ended_s < END_PATIENCE_S:
            return
        self._ended_s = now_s
        for sentence in self.context.hypervisor.free_failed_move(self.context.instance.uuid):
            log.warning(sentence)
            self._record(sentence)

    def _record(self, sentence: str) -> None:
        """For whoever reads the migration's events."""
        with writing() as session:
            migration = migrations.get(session, self.context.migration.id)
            actions.record(session, migration, "compute_live_migration", sentence, host=self.context.place)

    def _tell(self, reason: str) -> None:
        """Once for each reason: a libvirtd that hangs is looked at twice a second."""
        if reason != self._told:
            log.warning("could not look at the migration job, or not write what was seen", reason=reason)
        self._told = reason

    def store(self, stats: JobStats) -> None:
        """Write a sample, unless the last one is recent."""
        now_s = clock.monotonic_s()
        if now_s - self._stored_s < self.context.settings.migration.progress_interval_s:
            return
        self._stored_s = now_s
        with writing() as session:
            progress.store(session, self.context.migration.id, self.context.instance.uuid, _sample(stats), percent=stats.percent)

    def _see_to(self, stats: JobStats) -> None:
        with reading() as session:
            wished = wishes.of(session, self.context.migration.id)
        if self.post_copy.has_begun or (wished.is_post_copy_ordered and self._has_switched()):
            self._see_to_post_copy(stats)
        elif wished.is_abort_requested:
            self._abort("on request")
        elif not self._is_switching:
            self._act(stats, wished)

    def _has_switched(self) -> bool:
        if look(self.context.hypervisor, self.context.instance.uuid, self.context.uuid).is_post_copy:
            self.post_copy.begin()
        return self.post_copy.has_begun

    def _see_to_post_copy(self, stats: JobStats) -> None:
        """Nobody can go back any more: all that can be done is to see that it goes on."""
        stall_s = self.context.settings.migration.post_copy_stall_s
        if not self.post_copy.look(stats) and self.post_copy.still_s() >= stall_s:
            self.post_copy.broke(f"post-copy has moved nothing for {stall_s:g} s: its connection is given up; both copies are kept")
            self.post_copy.break_connection()

    def _act(self, stats: JobStats, wished: Wishes) -> None:
        choice = convergence.decide(
            stats,
            self.context.settings.migration,
            size_gib=self.size_gib,
            # an adopted job has been running for longer than we have been watching
            elapsed_s=max(stats.elapsed_ms / 1000, clock.monotonic_s() - self._started_s),
            stage=self._stage(wished),
        )
        if choice.action is not Action.WAIT:
            log.info("migration policy acts", action=choice.action.value, reason=choice.reason)
        self._perform(choice)

    def _stage(self, wished: Wishes) -> Stage:
        return Stage(
            downtime_ms=self._downtime_ms,
            is_paused=self.was_paused,
            is_completion_forced=wished.is_completion_requested,
            is_post_copy_possible=self.is_post_copy_possible,
            is_post_copy_ordered=wished.is_post_copy_ordered,
        )

    def _perform(self, choice: convergence.Choice) -> None:
        hypervisor, uuid = self.context.hypervisor, self.context.instance.uuid
        if choice.action is Action.RAISE_DOWNTIME and choice.downtime_ms is not None:
            hypervisor.set_max_downtime_ms(uuid, choice.downtime_ms)
            self._downtime_ms = choice.downtime_ms
        elif choice.action is Action.ABORT:
            self._abort(choice.reason)
        elif choice.action is Action.PAUSE:
            self.context.keep({"is_paused_by_us": True})  # before the pause: whoever undoes it must know
            hypervisor.pause(uuid)
            self.was_paused = True
            self._record(f"the guest is paused so that its copy ends: {choice.reason}")
        elif choice.action is Action.POST_COPY:
            self._start_post_copy(choice.reason)

    def _start_post_copy(self, reason: str) -> None:
        """Written down first: whoever finds a copy on the destination must know that it may have run."""
        with writing() as session:
            is_ordered = post_copy.order(session, self.context.migration.id, reason)
        if not is_ordered:
            return  # an abort was first, or the migration has gone on without us
        try:
            self.context.hypervisor.start_post_copy(self.context.instance.uuid)
            self._is_switching = True
        except (HypervisorTimeout, HypervisorUnavailable):  # it may have been done: the next look tells
            raise
        except HypervisorError as error:
            self._be_refused(str(error))

    def _be_refused(self, reason: str) -> None:
        """Complete in another way, if the guest is seen to run here still; a switch under way is refused as well."""
        seen = look(self.context.hypervisor, self.context.instance.uuid, self.context.uuid)
        if not (seen.is_running and seen.is_job_active):
            return
        self.is_post_copy_possible = False
        with writing() as session:
            post_copy.withdraw(session, self.context.migration.id, reason)

    def _abort(self, reason: str) -> None:
        self.context.hypervisor.abort_job(self.context.instance.uuid)
        self.aborted_because = reason


def _sample(stats: JobStats) -> dict[str, int | None]:
    """A progress sample's columns."""
    taken = ("elapsed_ms", "iteration", "dirty_rate_bps", "bandwidth_bps", "throttle_percent")
    amounts = [f"{kind}_{part}_bytes" for kind in ("memory", "disk") for part in ("total", "processed", "remaining")]
    return {name: getattr(stats, name) for name in (*taken, *amounts)} | {"expected_downtime_ms": stats.downtime_ms}
