"""Every kind of bad luck in any order, for hypothesis to play with; DESIGN section 2 is asked after each step.

Messages are delivered in whatever order the machine chooses, one at a time; but at a point between two effects another
worker may come in, do all of its own work, and only then does the first one go on.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select, update

from lmigrate.db.models import Host, Migration
from lmigrate.db.session import reading, writing
from lmigrate.errors import AbortTooLate, ForceCompleteRefused, InstanceInvalidState, ResolutionRefused
from lmigrate.ids import new_uuid
from lmigrate.migration.abort import request_abort
from lmigrate.migration.dispatch import StepMessage, UndoMessage
from lmigrate.migration.force_complete import request_force_complete
from lmigrate.migration.resolve import resolve
from lmigrate.states import HoldReason, MigrationStatus, Phase
from lmigrate.virt.fake_move import Move
from tests.crash.cluster import WatchedCluster
from tests.crash.points import DRIVER_READS, Point, Points, Watched, Worker, watching
from tests.crash.runs import empty_database
from tests.fakes.san import FakeSan
from tests.integration.cluster import serving
from tests.integration.mail import Chain, Message, name_of

HOSTS = ("node5", "node6")
ROUNDS_OF_CALM = 16
#: these wait for each other by a lock of their host's kernel: one thread cannot do both at once
LOCKED = frozenset({"migrate", "post_at_source"})
DOOMS = (
    *("fails", "fails and leaves its half", "fails late", "hangs at the end", "is aborted", "ends with its guest"),
    *("is left stopped on both hosts", "goes by post-copy", "breaks in post-copy"),
)
BY_POST_COPY = {"goes by post-copy", "breaks in post-copy"}
STORAGE = "san1"
#: how long a broken post-copy is tried to be resumed before an operator is called: a worker waits for it in earnest
QUICK: dict[str, Any] = {"post_copy_stall_s": 0.05, "post_copy_retry_max_s": 0.02, "post_copy_recovery_timeout_s": 0.2}

#: what a game begins with, the rare ones more often
FIRST = (None, None, None, *DOOMS, *DOOMS[-3:])

places = st.integers(min_value=0, max_value=40)
counts = st.integers(min_value=1, max_value=24)
hosts = st.sampled_from(HOSTS)


class CountedPoints(Points):
    """The worker of the present delivery dies, or is overtaken, at its n-th point."""

    def __init__(self, top: Path) -> None:
        super().__init__(top)
        self.left: int | None = None
        self.meanwhile: Callable[[], None] | None = None

    def pass_by(self, worker: Worker | None, effect: str, moment: str) -> None:
        super().pass_by(worker, effect, moment)
        is_between = (effect, moment) != ("commit", "before") and threading.current_thread() is threading.main_thread()
        if worker is not None and is_between and self.meanwhile is not None and self._counted():
            act, self.meanwhile = self.meanwhile, None
            with self.working(None):
                act()

    def _is_deadly(self, point: Point) -> bool:
        del point
        return self.meanwhile is None and self._counted()

    def _counted(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        if self.left > 0:
            return False
        self.left = None
        return True


class Machine(RuleBasedStateMachine):
    """One guest, two hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.old: list[Message] = []
        self.ended: dict[int, MigrationStatus] = {}
        self.doom: str | None = None
        self.is_on = True
        self.is_storage_silent = False

    @initialize(is_shared=st.booleans(), has_volume=st.booleans(), is_persistent=st.booleans(), doom=st.sampled_from(FIRST))
    def begin(self, *, is_shared: bool, has_volume: bool, is_persistent: bool, doom: str | None) -> None:
        """Many games begin when a move has met its doom: else most would be over before one has begun to move."""
        empty_database()
        top = Path(tempfile.mkdtemp(prefix="lmigrate-machine-"))
        self.stack.callback(shutil.rmtree, top)
        self.points, self.san = CountedPoints(top), FakeSan(STORAGE)
        self.stack.enter_context(serving(self.san, self._driver))
        self.stack.enter_context(watching(self.points))
        self.cluster = WatchedCluster(top, self.points, *HOSTS, is_shared=is_shared, san=self.san, permit_post_copy=True, **QUICK)
        self.uuid = self.cluster.boot(HOSTS[0], volume_count=int(has_volume), is_persistent=is_persistent)
        self.is_persistent = is_persistent
        for moment in ("copying", "post-copy", "switchover", "finished"):
            self.cluster.world.at(moment, partial(self._befall, moment))
        for host in HOSTS:
            self.restart_daemon(host)
        self.cluster.mail.copies = self._keep
        self.home, self.before = HOSTS[0], self.cluster.snapshot()
        self.request()
        if doom is not None:
            self.doom_the_next_move(doom)
        while self.doom is not None:
            self.deliver(0)

    def _driver(self) -> Watched:
        return Watched(self.points, self.points.worker, self.san, DRIVER_READS, "storage")

    def _keep(self, message: Message) -> int:
        self.old.append(message)
        return 1

    # -- messages ----------------------------------------------------------------------------------

    @precondition(lambda self: self.cluster.mail.waiting)
    @rule(place=places)
    def deliver(self, place: int) -> None:
        waiting = self.cluster.mail.waiting
        waiting.rotate(-(place % len(waiting)))
        if self.is_storage_silent and _is_for_storage(waiting[0].links[0]):
            return
        self.cluster.mail.deliver_one(self.cluster.work)
        self.points.left = None
        self.cluster.moves.settle()

    @precondition(lambda self: self.cluster.mail.waiting)
    @rule(count=counts)
    def deliver_in_order(self, count: int) -> None:
        """As on a good day."""
        for _ in range(count):
            if self.cluster.mail.waiting:
                self.deliver(0)

    @precondition(lambda self: self.cluster.mail.waiting)
    @rule(place=places, count=counts)
    def deliver_to_a_worker_that_dies(self, place: int, count: int) -> None:
        self.points.left = count
        self.deliver(place)

    @precondition(lambda self: len(self.cluster.mail.waiting) > 1)
    @rule(place=places, other=places, count=counts)
    def deliver_two_at_once(self, place: int, other: int, count: int) -> None:
        waiting = self.cluster.mail.waiting
        first = waiting[place % len(waiting)]

        def overtake() -> None:
            if waiting and not {name_of(first.links[0]), name_of(waiting[other % len(waiting)].links[0])} <= LOCKED:
                self.deliver(other)

        self.points.left, self.points.meanwhile = count, overtake
        self.deliver(place)
        self.points.meanwhile = None

    @precondition(lambda self: self.cluster.mail.waiting)
    @rule(place=places)
    def lose(self, place: int) -> None:
        del self.cluster.mail.waiting[place % len(self.cluster.mail.waiting)]

    @precondition(lambda self: self.cluster.mail.waiting)
    @rule(place=places)
    def double(self, place: int) -> None:
        waiting = self.cluster.mail.waiting
        chain = waiting[place % len(waiting)]
        waiting.append(Chain(list(chain.links), chain.errback))

    @rule(place=places, is_undo=st.booleans())
    def replay(self, place: int, *, is_undo: bool) -> None:
        """Of any migration that there was; also an undo that nobody asked for."""
        message = self.old[place % len(self.old)]
        if is_undo and isinstance(message, StepMessage):
            message = UndoMessage(message.step, message.migration_id, message.attempt, message.address)
        self.cluster.mail.waiting.append(Chain([message]))

    # -- time and those that look after it ---------------------------------------------------------

    @rule()
    def reconcile(self) -> None:
        self.cluster.pass_time()
        self.cluster.reconcile()

    @rule(count=counts)
    def reconcile_and_die(self, count: int) -> None:
        self.points.left = count
        self.reconcile()
        self.points.left = None

    @rule(count=counts)
    def reconcile_twice_at_once(self, count: int) -> None:
        self.points.left, self.points.meanwhile = count, self.reconcile
        self.reconcile()
        self.points.left = self.points.meanwhile = None

    @rule(host=hosts)
    def restart_daemon(self, host: str) -> None:
        self.cluster.epochs[host] = new_uuid()
        with writing() as session:
            session.execute(update(Host).where(Host.name == host).values(epoch=self.cluster.epochs[host]))

    # -- hosts and the move ------------------------------------------------------------------------

    @rule(host=hosts, is_hung=st.booleans())
    def hang(self, host: str, *, is_hung: bool) -> None:
        self.cluster.world.hosts[host].is_hung = is_hung

    @rule(host=hosts, is_away=st.booleans())
    def stop_libvirtd(self, host: str, *, is_away: bool) -> None:
        self.cluster.world.hosts[host].is_unreachable = is_away

    @rule(doom=st.sampled_from(DOOMS))
    def doom_the_next_move(self, doom: str) -> None:
        if self.is_persistent or doom != "ends with its guest":  # of a transient guest nothing would be left to ask
            self.doom = doom

    @rule(is_silent=st.booleans())
    def silence_storage_daemon(self, *, is_silent: bool) -> None:
        """Nobody takes its messages."""
        self.is_storage_silent = is_silent

    @rule(is_away=st.booleans())
    def stop_storage(self, *, is_away: bool) -> None:
        """Its daemon takes the messages, and can do nothing."""
        self.san.is_away = is_away

    def _befall(self, moment: str, move: Move) -> None:
        doom = self.doom
        if moment == "copying":
            self._befall_copy(move)
        elif moment == "post-copy":
            move.is_connection_broken |= self.doom == "breaks in post-copy"
            self.doom = None
        elif moment == "switchover":
            if doom == "is left stopped on both hosts":
                self.doom, move.is_forgotten, move.leaves_destination = None, True, True
                raise move.error("Cannot recv data: Connection reset by peer")
        else:
            self.doom = None
            move.source.is_hung |= doom == "hangs at the end"
            if doom == "fails late":
                raise move.error("Cannot recv data: Connection reset by peer")

    def _befall_copy(self, move: Move) -> None:
        doom = self.doom
        self.doom = None if doom in {"fails", "fails and leaves its half", "ends with its guest", "is aborted"} else doom
        move.leaves_destination = doom == "fails and leaves its half"
        if doom in {"fails", "fails and leaves its half"}:
            raise move.error("operation failed: injected")
        if doom == "ends with its guest":
            self.power_off(move.source.name)
        if doom == "is aborted":
            self.abort()
            move.wait_for_abort(0.2)
        if doom in BY_POST_COPY:
            self.force_completion()
            move.wait_for_abort(0.2)

    # -- users -------------------------------------------------------------------------------------

    @rule()
    def abort(self) -> None:
        migration = self.cluster.newest()
        with suppress(AbortTooLate):
            request_abort(self.uuid, 0 if migration is None else migration.id)

    @rule()
    def force_completion(self) -> None:
        migration = self.cluster.newest()
        with suppress(ForceCompleteRefused):
            request_force_complete(self.uuid, 0 if migration is None else migration.id)

    @precondition(lambda self: self._held() is not None)
    @rule(host=hosts)
    def resolve(self, host: str) -> None:
        """An operator says where the guest is, right or wrong."""
        migration = self._held()
        with suppress(ResolutionRefused):
            resolve(0 if migration is None else migration.id, host, "operator", self.cluster.mail)

    @rule()
    def request(self) -> None:
        """A second one is refused while the first has not ended; else the guest goes to the other host."""
        home = str(self.cluster.instance(self.uuid).host)
        before = self.cluster.snapshot()
        try:
            self.cluster.request(self.uuid, *(host for host in HOSTS if host != home))
        except InstanceInvalidState:
            assert self._open() or not self.is_on
            assert self.cluster.snapshot() == before
        else:
            self.home, self.before = home, before

    def power_off(self, host: str) -> None:
        self.is_on = False
        self.cluster.world.power_off(host, self.uuid)

    def _open(self) -> Migration | None:
        migration = self.cluster.newest()
        return None if migration is None or migration.phase is Phase.ENDED else migration

    def _held(self) -> Migration | None:
        migration = self.cluster.newest()
        return migration if migration is not None and migration.phase is Phase.HELD else None

    # -- what holds after each step ----------------------------------------------------------------

    @invariant()
    def it_never_runs_twice_and_is_never_lost(self) -> None:
        self.cluster.check()

    @invariant()
    def an_end_is_an_end(self) -> None:
        with reading() as session:
            now = {row.id: row.status for row in session.scalars(select(Migration).where(Migration.phase == Phase.ENDED))}
        assert now | self.ended == now
        self.ended = now

    @invariant()
    def what_the_newest_migration_says_is_so(self) -> None:
        migration = self.cluster.newest()
        if migration is None:
            return
        if migration.phase is Phase.HELD:
            self._check_held(migration)
        if migration.phase is Phase.ENDED:
            self._check_ended(migration)
        elif migration.switched_over_at is None:
            self._check_source_is_whole()
        else:
            assert self.cluster.instance(self.uuid).host == migration.dest_host
            assert str(migration.dest_host) in self.cluster.world.where(self.uuid)

    def _check_held(self, migration: Migration) -> None:
        """Only for what nobody can tell or mend: both hosts hold a guest that stands still, or a part of it each."""
        where = self.cluster.world.where(self.uuid)
        cause = {
            HoldReason.STOPPED_AT_SWITCHOVER: set(where.values()) == {"paused (migration)"},
            HoldReason.POST_COPY_BROKEN: migration.post_copy_at is not None and len(where) == len(HOSTS),
        }
        assert migration.hold_reason is not None
        assert cause.get(migration.hold_reason), f"{migration.hold_reason}: {migration.error}; {where}"

    def _check_source_is_whole(self) -> None:
        """Its disks and access stay; of a transient guest libvirt itself leaves no domain where it has left."""
        now = self.cluster.snapshot()
        assert {path for path in self.before["files"] if self.uuid in Path(path).parts} <= set(now["files"])
        assert set(self.before["attachments"]) <= set(now["attachments"])
        homes = {self.home} if self.is_persistent else set(HOSTS)
        assert homes & {host for host, uuid in now["domains"] if uuid == self.uuid}
        assert self.cluster.instance(self.uuid).host == self.home

    def _check_ended(self, migration: Migration) -> None:
        if migration.status is MigrationStatus.COMPLETED:
            self.cluster.check_moved(migration, self.home, str(migration.dest_host))
        else:
            assert self._without_state(self.cluster.snapshot()) == self._without_state(self.before)

    def _without_state(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """A guest that ended by itself in the move has a definition left."""
        if self.is_on:
            return snapshot
        return snapshot | {"domains": {key: inactive for key, (_state, _active, inactive, *_more) in snapshot["domains"].items()}}

    def teardown(self) -> None:
        """When all is well again it ends by itself, and the guest can be moved."""
        try:
            if hasattr(self, "uuid"):
                self._calm_down()
        finally:
            self.stack.close()

    def _calm_down(self) -> None:
        self.cluster.world.reset_hooks()
        for host in self.cluster.world.hosts.values():
            host.is_hung = host.is_unreachable = False
        self.is_storage_silent = self.san.is_away = False
        for _ in range(ROUNDS_OF_CALM):
            if not self._open():
                break
            if (held := self._held()) is not None:
                self.resolve(str(held.source_host if held.hold_reason is HoldReason.STOPPED_AT_SWITCHOVER else held.dest_host))
            self.cluster.later()
            self.cluster.moves.settle()
        assert not self._open()
        self.cluster.deliver()  # what is late
        self.cluster.moves.settle()
        self.what_the_newest_migration_says_is_so()
        self.cluster.check()
        if self.is_on:
            home = str(self.cluster.instance(self.uuid).host)
            other = next(host for host in HOSTS if host != home)
            self.cluster.check_moved(self.cluster.migrate(self.uuid, other), home, other)


def _is_for_storage(message: Message) -> bool:
    address = getattr(message, "address", None)
    return address is not None and address.place == STORAGE
