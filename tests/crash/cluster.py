"""The in-process cluster, watched: whoever works on a message may die at each point that it passes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select

from lmigrate.db.models import Migration
from lmigrate.db.session import reading
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_move import Move
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import JobStats, MigrateSpec
from tests.crash.points import HYPERVISOR_READS, Points, Watched, Worker
from tests.integration.cluster import Cluster, wait_until
from tests.integration.mail import Chain, Mail, Message, WorkerDied, name_of

MOMENTS = ("begin", "copying", "post-copy", "switchover", "finished")
ALONE, ADOPTED = "libvirt ends it alone after", "the next worker adopts it after"
ITERATIONS = 2  # of one move: more of the same would only be more of the same
PATIENCE_S = 60.0


class WatchedMail(Mail):
    """Sending is an effect of whoever sends."""

    points: Points

    def _send(self, chain: Chain) -> None:
        self.points.call(self.points.worker, f"send {name_of(chain.links[0])}", lambda: Mail._send(self, chain))


class WatchedCluster(Cluster):
    """`Cluster` whose workers pass points."""

    def __init__(self, top: Path, points: Points, *names: str, **options: Any) -> None:
        # one sample and one action of the policy: so that each run passes the same points, however slow the machine is
        steady: dict[str, Any] = {"progress_interval_s": 1e6, "initial_downtime_ms": 500, "max_downtime_ms": 500}
        super().__init__(top, *names, **steady, **options)
        self.points = points
        self.mail = WatchedMail()
        self.mail.points = points
        self.world.iterations = ITERATIONS
        self.moves = Moves(points)
        for moment in MOMENTS:
            self.world.at(moment, self.moves.at(moment))

    def request(self, uuid: str, host: str | None = None, **fields: Any) -> int:
        """As the API; 0 if it died before there was a row."""
        request = super().request
        try:
            return int(self.points.work("request", lambda: request(uuid, host, **fields)))
        except WorkerDied:
            newest = self.newest()
            return 0 if newest is None else newest.id

    def newest(self) -> Migration | None:
        """The migration that was requested last."""
        with reading() as session:
            return session.scalar(select(Migration).order_by(Migration.id.desc()).limit(1))

    def work(self, message: Message) -> str:
        work = super().work
        return str(self.points.work(name_of(message), lambda: work(message)))

    def reconcile(self) -> list[str]:
        try:
            return list(self.points.work("reconcile", super().reconcile))
        except WorkerDied:
            return ["the conductor died"]

    def connect(self, host: str | None) -> Callable[[], Hypervisor]:
        if host not in self.world.hosts:
            return super().connect(host)
        worker = self.points.worker
        return lambda: WatchedHypervisor(self.points, worker, self.hypervisor(host), self.moves)


class Moves:
    """The moves that libvirt makes, and who watches them."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._mover: Worker | None = None
        self._begun_at = 0
        self._is_seen_by_next = threading.Event()

    def begin(self, mover: Worker | None) -> None:
        """``mover`` has called migrate."""
        self._mover, self._begun_at = mover, len(self._points.passed)
        self._is_seen_by_next.clear()

    def looked_at_by(self, worker: Worker | None) -> None:
        """A worker has asked for the job."""
        if worker is not self._mover:
            self._is_seen_by_next.set()

    def at(self, moment: str) -> Callable[[Move], None]:
        """At this moment of a move its worker may die; libvirt goes on, or is still at it when the next worker looks."""

        def pass_by(_move: Move) -> None:
            try:
                for how in (ALONE, ADOPTED):
                    self._points.pass_by(self._mover, f"move {moment}", how)
            except WorkerDied:
                self._outlive()
            if moment == "copying":
                wait_until(self._has_sample, PATIENCE_S)

        return pass_by

    def settle(self) -> None:
        """Wait until libvirt has ended the moves that no next worker is to adopt."""
        if not self._is_held:
            wait_until(lambda: not any(thread.name == "migrate" for thread in threading.enumerate()), PATIENCE_S)

    @property
    def is_alone(self) -> bool:
        """Nobody watches the move that goes on."""
        return self._mover is None or self._mover.is_dead

    @property
    def _is_held(self) -> bool:
        deaths = self._points.deaths
        return bool(deaths) and deaths[-1].moment == ADOPTED and not self._is_seen_by_next.is_set()

    def _outlive(self) -> None:
        assert self._mover is not None
        wait_until(self._mover.ended.is_set, PATIENCE_S)
        if self._is_held:
            self._is_seen_by_next.wait(PATIENCE_S)

    def _has_sample(self) -> bool:
        """The watcher has written down one look: so it passes the same points in each run."""
        if self.is_alone:
            return True
        since = self._points.passed[self._begun_at :]
        return any((point.effect, point.moment) == ("hypervisor.set_max_downtime_ms", "after") for point in since)


class WatchedHypervisor(Watched):
    """A host's libvirtd for one worker."""

    def __init__(self, points: Points, worker: Worker | None, inner: FakeHypervisor, moves: Moves) -> None:
        super().__init__(points, worker, inner, HYPERVISOR_READS, "hypervisor")
        self._libvirt, self._moves = inner, moves

    def migrate(self, spec: MigrateSpec) -> None:
        """In a thread of its own: the worker's death shows where it next looks."""
        self._moves.begin(self._worker)
        with suppress(WorkerDied):
            self._points.call(self._worker, "hypervisor.migrate", lambda: self._libvirt.migrate(spec))

    def job(self, uuid: str) -> JobStats:
        self._points.check_alive(self._worker)
        found = self._libvirt.job(uuid)
        self._moves.looked_at_by(self._worker)
        return found

    def abort_job(self, uuid: str) -> None:
        """Returns when it is over, so that it is not asked for twice in some runs."""

        def abort() -> None:
            self._libvirt.abort_job(uuid)
            wait_until(lambda: not self._libvirt.job(uuid).is_active, PATIENCE_S)

        self._points.call(self._worker, "hypervisor.abort_job", abort)

    def break_post_copy(self, uuid: str) -> None:
        """Returns when the call that drove it is over, for the same reason."""

        def break_it() -> None:
            self._libvirt.break_post_copy(uuid)
            self._moves.settle()

        self._points.call(self._worker, "hypervisor.break_post_copy", break_it)
