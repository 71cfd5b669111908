"""The migrations that are crashed: what the guest has, and what becomes of its move when nobody dies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lmigrate.errors import AbortTooLate
from lmigrate.migration.abort import request_abort
from lmigrate.states import MigrationStatus, PowerState
from lmigrate.virt.fake_move import Move
from tests.crash.cluster import PATIENCE_S, WatchedCluster
from tests.crash.points import Point
from tests.integration.cluster import wait_until

Act = Callable[[WatchedCluster, str], None]
Snapshot = dict[str, Any]
COMPLETED, FAILED, CANCELLED = MigrationStatus.COMPLETED, MigrationStatus.FAILED, MigrationStatus.CANCELLED


def nothing(_cluster: WatchedCluster, _uuid: str) -> None:
    """All goes well."""


def the_copy_fails(cluster: WatchedCluster, _uuid: str) -> None:
    def fail(move: Move) -> None:
        raise move.error("operation failed: injected")

    cluster.world.at("switchover", fail)


def the_copy_fails_and_leaves_something(cluster: WatchedCluster, uuid: str) -> None:
    """As when the link breaks: the destination's libvirt keeps what was arriving."""
    it_starts_with_its_host(cluster, uuid)

    def fail(move: Move) -> None:
        move.leaves_destination = True
        raise move.error("operation failed: injected")

    cluster.world.at("switchover", fail)


def it_starts_with_its_host(cluster: WatchedCluster, uuid: str) -> None:
    cluster.world.domain("node5", uuid).autostart = True


def the_copy_does_not_end(cluster: WatchedCluster, uuid: str) -> None:
    """It has been going on for hours, until the policy pauses the guest; or there is nobody any more who could."""

    def go_on(_move: Move) -> None:
        guest = cluster.world.domain("node5", uuid)
        guest.job = replace(guest.job, elapsed_ms=10_000_000)
        wait_until(lambda: not guest.is_running or cluster.moves.is_alone, PATIENCE_S)

    cluster.world.at("copying", go_on)


def it_is_switched_to_post_copy(cluster: WatchedCluster, uuid: str) -> None:
    """The copy has been going on for hours, until the policy switches; then memory follows until that was seen; or nobody is there."""

    def go_on(move: Move) -> None:
        guest = cluster.world.domain("node5", uuid)
        guest.job = replace(guest.job, elapsed_ms=10_000_000)
        wait_until(lambda: move.is_post_copy_ordered or cluster.moves.is_alone, PATIENCE_S)

    def be_seen(_move: Move) -> None:
        wait_until(lambda: cluster.moves.is_alone or _shows(cluster, MigrationStatus.RUNNING_POST_COPY), PATIENCE_S)

    cluster.world.at("copying", go_on)
    cluster.world.at("post-copy", be_seen)


def _shows(cluster: WatchedCluster, status: MigrationStatus) -> bool:
    newest = cluster.newest()
    return newest is not None and newest.status is status


def the_post_copy_breaks(cluster: WatchedCluster, uuid: str) -> None:
    """No memory arrives until the worker breaks the connection; when it is resumed, memory arrives until that was seen."""
    it_is_switched_to_post_copy(cluster, uuid)

    def is_seen(move: Move) -> bool:
        return _goes_on(cluster, move) if move.spec.is_resume else move.is_connection_broken

    cluster.world.at("post-copy", lambda move: wait_until(lambda: cluster.moves.is_alone or is_seen(move), PATIENCE_S))


def _goes_on(cluster: WatchedCluster, move: Move) -> bool:
    """One more byte; whether the worker has written down that bytes arrive."""
    guest = cluster.world.domain(move.source.name, move.uuid)
    guest.job = replace(guest.job, memory_processed_bytes=guest.job.memory_processed_bytes + 1)
    newest = cluster.newest()
    return newest is not None and newest.post_copy_broken_at is None


def both_libvirtds_die_at_the_end(cluster: WatchedCluster, _uuid: str) -> None:
    """All is sent, and nobody has said that the destination runs it: the source's libvirtd leaves it stopped, for others to decide."""

    def forget(move: Move) -> None:
        move.is_forgotten = True
        raise move.error("Cannot recv data: Connection reset by peer")

    cluster.world.at("switchover", forget)


def it_arrives_unfinished(cluster: WatchedCluster, uuid: str) -> None:
    """The guest was handed over; the destination's libvirtd has neither let it run nor written its definition."""

    def leave_unfinished(move: Move) -> None:
        with cluster.world.changing(move.destination.name, uuid):
            arrived = move.destination.domains[uuid]
            arrived.set_state(PowerState.PAUSED, "migration")
            arrived.inactive_xml = None

    cluster.world.at("finished", leave_unfinished)


def the_source_hangs_at_the_end(cluster: WatchedCluster, _uuid: str) -> None:
    """The guest has moved, and nobody there can say so."""

    def hang(move: Move) -> None:
        move.source.is_hung = True

    cluster.world.at("finished", hang)


def it_answers_again(cluster: WatchedCluster, _uuid: str) -> None:
    for host in cluster.world.hosts.values():
        host.is_hung = False


def the_guest_powers_off(cluster: WatchedCluster, uuid: str) -> None:
    cluster.world.at("copying", lambda move: cluster.world.power_off(move.source.name, uuid))


def the_user_aborts(cluster: WatchedCluster, uuid: str) -> None:
    def abort(move: Move) -> None:
        newest = cluster.newest()
        try:
            request_abort(uuid, 0 if newest is None else newest.id)
        except AbortTooLate:
            return
        move.wait_for_abort(timeout_s=0.5)  # whoever should cancel the job may be dead

    cluster.world.at("copying", abort)


def the_first_host_is_unfit(cluster: WatchedCluster, _uuid: str) -> None:
    cluster.world.hosts["node6"].unfit_cpu = "it lacks avx512f"


@dataclass(frozen=True)
class Scenario:
    """One kind of migration.

    Attributes:
        told: what it is, in docs/reliability.md.
        ends: how it ends when nobody dies.
        may_end: how it may end when somebody does.
        arrange: what will go wrong.
        afterwards: what happens before the reconciler looks.
        cluster: options of the cluster.
        guest: options of `Cluster.boot`.
        works: whose points are crashed in every run of the tests; those of the others are the same as in a scenario before,
            and are crashed by ``python -m tests.crash``.
    """

    name: str
    told: str
    ends: MigrationStatus = COMPLETED
    may_end: frozenset[MigrationStatus] = frozenset({COMPLETED})
    arrange: Act = nothing
    afterwards: Act = nothing
    hosts: tuple[str, ...] = ("node5", "node6")
    requested: str | None = "node6"
    is_guest_off: bool = False
    cluster: dict[str, Any] = field(default_factory=dict)
    guest: dict[str, Any] = field(default_factory=dict)
    works: frozenset[str] | None = None

    def is_crashed_at(self, point: Point) -> bool:
        """Whether every run of the tests has a worker die there."""
        return self.works is None or point.work.partition(".san")[0] in self.works

    def undone(self, before: Snapshot) -> Snapshot:
        """What an undone migration leaves: all as it was, but for what the guest did itself."""
        if not self.is_guest_off:
            return before
        domains = {
            key: (PowerState.SHUTOFF, None, inactive, memory, *more)
            for key, (_state, _active, inactive, memory, *more) in before["domains"].items()
        }
        return {**before, "domains": domains}

    def __str__(self) -> str:
        return self.name


PRIVATE = {"disks": 1, "volume_count": 1, "has_config_drive": True}
SHARED = {"disks": 1, "volume_count": 1}
ON_SHARED = {"is_shared": True}
QUICK_REPAIR = {"post_copy_stall_s": 0.2, "post_copy_retry_max_s": 0.02}
MUST_FAIL = frozenset({FAILED})
CHECKS = {"check_destination", "check_source"}
MOVE = {"migrate", "post_at_destination", "post_at_source"}
RULES = {"rollback", "observe.source", "observe.destination", "decide", "rolled_back", "reconcile"}

SCENARIOS = (
    Scenario("private-moves", "a disk and a config drive are copied, a volume, autostart", arrange=it_starts_with_its_host, guest=PRIVATE),
    Scenario(
        "private-fails",
        "the same, the copy breaks off and leaves a half on the destination",
        FAILED,
        MUST_FAIL,
        the_copy_fails_and_leaves_something,
        guest=PRIVATE,
    ),
    Scenario(
        "shared-moves", "a shared disk, a volume", cluster=ON_SHARED, guest=SHARED, works=frozenset({*CHECKS, "pre_live_migration", *MOVE})
    ),
    Scenario(
        "shared-fails",
        "the same, the copy fails at the switchover",
        FAILED,
        MUST_FAIL,
        the_copy_fails,
        cluster=ON_SHARED,
        guest=SHARED,
        works=frozenset({"undo.migrate", "undo.pre_live_migration", "undo.grant_volumes", "undo.check_destination"}),
    ),
    Scenario("transient-moves", "a guest without a definition", cluster=ON_SHARED, guest={"is_persistent": False}, works=frozenset(MOVE)),
    Scenario(
        "source-hangs",
        "the source's libvirtd hangs just when the guest has left",
        arrange=the_source_hangs_at_the_end,
        afterwards=it_answers_again,
        guest={"disks": 2},
        works=frozenset({*RULES, "post_at_destination"}),
    ),
    Scenario(
        "powers-off",
        "the guest ends by itself in the copy",
        FAILED,
        MUST_FAIL,
        the_guest_powers_off,
        is_guest_off=True,
        works=frozenset({*RULES, "post_at_destination", "undo.post_at_destination", "undo.migrate"}),
    ),
    Scenario(
        "aborted",
        "an abort in the copy, which may come too late",
        CANCELLED,
        frozenset({CANCELLED, COMPLETED}),
        the_user_aborts,
        cluster=ON_SHARED,
        works=frozenset({*RULES, "migrate"}),
    ),
    Scenario(
        "forced-moves",
        "the copy does not end, the policy pauses the guest",
        arrange=the_copy_does_not_end,
        cluster={"timeout_action": "force_complete", **ON_SHARED},
        works=frozenset({"migrate"}),
    ),
    Scenario(
        "post-copy-moves",
        "the copy does not end, the policy lets the guest run on the destination",
        arrange=it_is_switched_to_post_copy,
        cluster={"timeout_action": "force_complete", "permit_post_copy": True, **ON_SHARED},
        works=frozenset({"migrate", "post_at_destination"}),
    ),
    Scenario(
        "post-copy-breaks",
        "the same, its connection breaks and is resumed",
        arrange=the_post_copy_breaks,
        cluster={"timeout_action": "force_complete", "permit_post_copy": True, **QUICK_REPAIR, **ON_SHARED},
        works=frozenset({"migrate"}),
    ),
    Scenario(
        "left-stopped",
        "all is sent, both libvirtds are killed, the guest stands still on the source",
        FAILED,
        MUST_FAIL,
        both_libvirtds_die_at_the_end,
        cluster=ON_SHARED,
        works=frozenset({"undo.migrate"}),
    ),
    Scenario(
        "arrives-unfinished",
        "the guest arrives without its definition and stands still",
        arrange=it_arrives_unfinished,
        cluster=ON_SHARED,
        works=frozenset({"post_at_destination"}),
    ),
    Scenario(
        "next-host",
        "the first host's CPU is unfit, the next one takes the guest",
        arrange=the_first_host_is_unfit,
        hosts=("node5", "node6", "node7"),
        requested=None,
        cluster=ON_SHARED,
        works=frozenset({*RULES, "select_destination", "check_destination", "undo.check_destination", "undo.select_destination"}),
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
