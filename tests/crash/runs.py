"""One migration from nothing to its end, with workers dying at given points, and what must be true of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from lmigrate.db.base import Base
from lmigrate.db.models import Migration
from lmigrate.db.session import engine, writing
from lmigrate.states import MigrationStatus, Phase
from tests.crash.cluster import WatchedCluster
from tests.crash.points import DRIVER_READS, Point, Points, Watched, watching
from tests.crash.scenarios import Scenario, Snapshot
from tests.fakes.san import FakeSan
from tests.integration.cluster import serving

SOURCE = "node5"
ROUNDS = 12  # looks of the reconciler after which it must have ended


@dataclass(frozen=True)
class Ended:
    """What a run came to.

    Attributes:
        status: None: nobody had noted the request.
        passed: every point, in order.
        recovery: those after the first death.
    """

    status: MigrationStatus | None
    passed: tuple[Point, ...]
    recovery: tuple[Point, ...]


def run(scenario: Scenario, top: Path, *deadly: Point, is_next_tried: bool = True) -> Ended:
    """Run ``scenario`` while workers die at ``deadly``, and then perhaps the guest's next migration.

    Raises:
        AssertionError: something is not as it must be.
    """
    empty_database()
    shutil.rmtree(top, ignore_errors=True)
    points, san = Points(top, *deadly), FakeSan("san1")

    def driver() -> Watched:
        return Watched(points, points.worker, san, DRIVER_READS, "storage")

    with serving(san, driver), watching(points):
        cluster = WatchedCluster(top, points, *scenario.hosts, san=san, **scenario.cluster)
        uuid = cluster.boot(SOURCE, **scenario.guest)
        scenario.arrange(cluster, uuid)
        before = cluster.snapshot()
        cluster.request(uuid, scenario.requested)
        _let_end(cluster, scenario, uuid)
        ended = Ended(_status(cluster), tuple(points.passed), _after(points.passed, points.deaths))
        assert set(points.deaths) == set(deadly), f"not passed: {set(deadly) - set(points.deaths)}"
        home = _check(cluster, scenario, before)
        if is_next_tried:
            _check_next(cluster, uuid, home)
    return ended


def empty_database() -> None:
    """All rows go; the schema and the connections stay, which makes a run cheap."""
    names = [table.name for table in Base.metadata.sorted_tables]
    with writing() as session:
        if engine().dialect.name == "sqlite":
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
            for name in reversed(names):
                session.execute(text(f"DELETE FROM {name}"))
        else:
            session.execute(text(f"TRUNCATE {', '.join(names)} CASCADE"))


def _let_end(cluster: WatchedCluster, scenario: Scenario, uuid: str) -> None:
    cluster.deliver()
    cluster.moves.settle()
    cluster.check()
    for _ in range(ROUNDS):
        migration = cluster.newest()
        if migration is None or migration.phase in {Phase.ENDED, Phase.HELD}:
            return
        scenario.afterwards(cluster, uuid)
        cluster.later()
        cluster.moves.settle()
        cluster.check()


def _check(cluster: WatchedCluster, scenario: Scenario, before: Snapshot) -> str:
    """Everything is at the destination, or all is as it was, and nothing is left; the guest's host."""
    migration = cluster.newest()
    if migration is None:
        assert cluster.snapshot() == before
        return SOURCE
    story = "\n".join([f"{migration.status.value}: {migration.error}", *cluster.events(migration.id)])
    assert migration.phase is Phase.ENDED, story
    assert migration.status in scenario.may_end, story
    if migration.status is not MigrationStatus.COMPLETED:
        assert cluster.snapshot() == scenario.undone(before), story
        return SOURCE
    cluster.check_moved(migration, SOURCE, str(migration.dest_host))
    return str(migration.dest_host)


def _check_next(cluster: WatchedCluster, uuid: str, source: str) -> None:
    """The next migration goes well."""
    cluster.world.reset_hooks()
    cluster.points.is_over = True
    guest = cluster.world.domain(source, uuid)
    if not guest.is_active:
        cluster.world.boot(source, guest.xml)
    destination = "node6" if source == SOURCE else SOURCE
    for host in cluster.world.hosts.values():
        host.unfit_cpu = None
    cluster.check_moved(cluster.migrate(uuid, destination), source, destination)


def _status(cluster: WatchedCluster) -> MigrationStatus | None:
    migration: Migration | None = cluster.newest()
    return None if migration is None else migration.status


def _after(passed: list[Point], deaths: list[Point]) -> tuple[Point, ...]:
    return tuple(passed[passed.index(deaths[0]) + 1 :]) if deaths else ()
