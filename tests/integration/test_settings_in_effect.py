"""What settings of migrations, of the host and of the conductor do to a move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from lmigrate.config import ConductorSettings, HostSettings, Settings
from lmigrate.db.clock import ago, utcnow
from lmigrate.db.models import Host, Migration, MigrationStep, ProgressSample
from lmigrate.db.session import reading, writing
from lmigrate.migration import reconcile
from lmigrate.states import HoldReason, MigrationStatus, Phase
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_move import Move
from lmigrate.virt.types import JobStats
from tests.integration.cluster import Cluster

MakeCluster = Callable[..., Cluster]
LOOKS = 6


@pytest.fixture
def make(database: str, tmp_path: Path) -> MakeCluster:
    """A cluster with settings of [migration]."""
    return lambda **migration: Cluster(tmp_path, "node5", "node6", **migration)


@pytest.mark.parametrize("permit", [False, True])
def test_what_the_hypervisor_is_told(make: MakeCluster, permit: bool) -> None:
    cluster = make(bandwidth_mib_s=70, post_copy_bandwidth_mib_s=30, auto_converge=False, permit_post_copy=permit)
    moves: list[Move] = []
    cluster.world.at("copying", moves.append)
    cluster.check_moved(cluster.migrate(cluster.boot("node5"), "node6"), "node5", "node6")
    spec = moves[0].spec
    assert (spec.bandwidth_mib_s, spec.post_copy_bandwidth_mib_s, spec.auto_converge, spec.post_copy) == (70, 30, False, permit)


@pytest.mark.parametrize(
    ("poll_s", "progress_s", "fewest", "most"),
    [(0.11, 0.1, 2, 100), (0.002, 3600, 1, 1), (3600, 0.1, 0, 0)],
)
def test_how_often_the_copy_is_looked_at_and_written_down(
    make: MakeCluster, monkeypatch: pytest.MonkeyPatch, poll_s: float, progress_s: float, fewest: int, most: int
) -> None:
    cluster = make(poll_interval_s=poll_s, progress_interval_s=progress_s)
    looks, look = threading.Semaphore(0), FakeHypervisor.job

    def counted(self: FakeHypervisor, uuid: str) -> JobStats:
        looks.release()
        return look(self, uuid)

    def wait(_move: Move) -> None:
        for _ in range(LOOKS if poll_s < 1 else 0):
            assert looks.acquire(timeout=30)
        cluster.world.reset_hooks()

    monkeypatch.setattr(FakeHypervisor, "job", counted)
    cluster.world.at("copying", wait)
    cluster.check_moved(cluster.migrate(cluster.boot("node5"), "node6"), "node5", "node6")
    with reading() as session:
        count = session.query(ProgressSample).count()
    assert fewest <= count <= most


def test_where_the_displays_of_arriving_guests_listen(make: MakeCluster) -> None:
    cluster = make()
    uuid = cluster.boot("node5")
    domain = cluster.world.domain("node5", uuid)
    domain.active_xml = domain.inactive_xml = domain.xml.replace("</devices>", '<graphics type="vnc" listen="10.0.0.5"/></devices>')
    its_own = cluster.settings
    cluster.settings = cache(lambda host: with_host(its_own(host), graphics_listen="10.0.0.6") if host == "node6" else its_own(host))
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
    assert 'listen="10.0.0.6"' in cluster.world.domain("node6", uuid).xml


def with_host(options: Settings, **changed: Any) -> Settings:
    return options.model_copy(update={"host": HostSettings(**options.host.model_dump() | changed)})


def test_how_long_a_claim_is_good(make: MakeCluster) -> None:
    cluster = make(lease_s=5000)
    left: list[timedelta] = []

    def look(_move: Move) -> None:
        with reading() as session:
            row = session.scalars(select(MigrationStep).where(MigrationStep.name == "migrate")).one()
        assert row.lease_until is not None
        left.append(row.lease_until - utcnow())

    cluster.world.at("copying", look)
    cluster.migrate(cluster.boot("node5"), "node6")
    assert timedelta(seconds=4000) < left[0] <= timedelta(seconds=5000)


@pytest.mark.parametrize(("resend_after_s", "sent"), [(10, False), (1, True)])
def test_when_a_step_that_nobody_takes_is_sent_again(make: MakeCluster, resend_after_s: float, sent: bool) -> None:
    cluster = make()
    cluster.request(cluster.boot("node5"))
    cluster.pass_time(5)
    told = look_again(cluster, resend_after_s=resend_after_s)
    assert any("nobody has taken select_destination" in sentence for sentence in told) == sent


def test_how_often_a_step_that_nobody_takes_is_sent(make: MakeCluster) -> None:
    cluster = make()
    migration_id = cluster.request(cluster.boot("node5"))
    for _ in range(2):
        cluster.pass_time()
        look_again(cluster, max_resends=2)
        assert cluster.migration(migration_id).phase is Phase.FORWARD
    cluster.pass_time()
    look_again(cluster, max_resends=2)
    cluster.mail.deliver_all(cluster.work)
    migration = cluster.migration(migration_id)
    assert (migration.status, migration.phase) == (MigrationStatus.FAILED, Phase.ENDED)
    assert "nobody took select_destination, though it was sent 3 times" in (migration.error or "")


@pytest.mark.parametrize(("hold_after_s", "held"), [(5000, None), (1000, HoldReason.DESTINATION_SILENT)])
def test_how_long_a_host_that_is_down_is_waited_for(make: MakeCluster, hold_after_s: float, held: HoldReason | None) -> None:
    cluster = make()

    def die(move: Move) -> None:
        cluster.world.hosts["node6"].is_unreachable = True
        with writing() as session:
            session.scalars(select(Host).where(Host.name == "node6")).one().libvirt_ok = False
        raise move.error("the link broke")

    cluster.world.at("copying", die)
    migration_id = cluster.migrate(cluster.boot("node5"), "node6").id
    cluster.later()
    with writing() as session:
        session.get_one(Migration, migration_id).silent_since = ago(3000)
    cluster.pass_time()
    look_again(cluster, hold_after_s=hold_after_s)
    assert cluster.migration(migration_id).hold_reason is held


def look_again(cluster: Cluster, **conductor: Any) -> list[str]:
    """The reconciler's look, with settings of [conductor]."""
    options = cluster.settings(None).model_copy(update={"conductor": ConductorSettings(**{"resend_after_s": 10, **conductor})})
    return reconcile.reconcile(options, cluster.mail)
