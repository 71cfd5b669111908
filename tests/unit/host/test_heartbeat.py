from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lmigrate import clock
from lmigrate.db.clock import ago, utcnow
from lmigrate.db.models import Host
from lmigrate.db.session import writing
from lmigrate.db.stores import hosts
from lmigrate.db.stores.hosts import STOPPED
from lmigrate.db.stores.reports import Reported
from lmigrate.errors import HypervisorTimeout
from lmigrate.host.disk_watch import DiskWatch, ensure_directory
from tests.unit.host.daemon_parts import Node, host_record, node, until

HUNG = HypervisorTimeout(host="node5", call="getLibVersion", deadline_s="15")


@pytest.fixture
def alive(database: str, tmp_path: Path) -> Node:
    """A registered host whose last beat is long ago."""
    made = node("node5", tmp_path, heartbeat_interval_s=0.05)
    made.registration.begin()
    with writing() as session:
        session.query(Host).update({"last_seen_at": ago(100)})
    return made


def why_down() -> str | None:
    return hosts.why_down(host_record("node5"), utcnow(), 60)


def test_a_beat_shows_that_the_host_lives(alive: Node) -> None:
    assert "last heard of 100 s ago" in (why_down() or "")
    assert alive.heartbeat.beat() is Reported.ACCEPTED
    assert why_down() is None


def test_a_hung_libvirtd_is_told_at_once_and_its_end_too(alive: Node) -> None:
    recovered: list[bool] = []
    alive.heartbeat.on_recovery = lambda: recovered.append(True)
    alive.hypervisor.failure = HUNG
    alive.heartbeat.beat()
    assert why_down() == "libvirt on node5 did not answer getLibVersion within 15 s."
    alive.hypervisor.failure = None
    alive.heartbeat.beat()
    alive.heartbeat.beat()
    assert why_down() is None
    assert recovered == [True]


def test_a_lost_instances_path_makes_the_host_unfit(alive: Node) -> None:
    alive.settings.host.instances_path.rename(alive.settings.host.instances_path.with_name("elsewhere"))
    alive.disk.measure()
    alive.heartbeat.beat()
    assert why_down() == f"the instances path {alive.settings.host.instances_path} cannot be used: No such file or directory"


def test_an_older_daemon_notices_that_it_is_superseded(alive: Node, tmp_path: Path) -> None:
    young = node("node5", tmp_path, alive.hypervisor)
    young.registration.begin()
    noticed: list[bool] = []
    alive.heartbeat.on_superseded = lambda: noticed.append(True)
    alive.hypervisor.failure = HUNG
    assert alive.heartbeat.beat() is Reported.SUPERSEDED
    assert noticed == [True]
    assert host_record("node5").libvirt_ok  # the older one's word does not count
    alive.heartbeat.say_goodbye()
    assert host_record("node5").libvirt_ok


def test_a_removed_host_registers_again(alive: Node) -> None:
    with writing() as session:
        session.query(Host).delete()
    forgotten: list[bool] = []
    alive.heartbeat.on_forgotten = lambda: forgotten.append(True)
    assert alive.heartbeat.beat() is Reported.UNKNOWN
    assert forgotten == [True]
    alive.registration.refresh()
    assert alive.heartbeat.beat() is Reported.ACCEPTED


def test_the_last_beat_says_that_the_daemon_was_stopped(alive: Node) -> None:
    alive.heartbeat.beat()
    alive.heartbeat.say_goodbye()
    assert why_down() == STOPPED


def test_the_thread_beats_until_it_is_stopped(alive: Node) -> None:
    alive.heartbeat.start()
    until(lambda: why_down() is None)
    alive.hypervisor.failure = HUNG
    until(lambda: why_down() is not None)
    alive.hypervisor.failure = None
    until(lambda: why_down() is None)
    alive.heartbeat.say_goodbye()
    clock.sleep_s(0.2)
    assert why_down() == STOPPED


def test_the_thread_survives_what_it_did_not_expect(alive: Node) -> None:
    alive.heartbeat.on_recovery = lambda: ([].pop(), None)[1]
    alive.hypervisor.failure = HUNG
    alive.heartbeat.start()
    until(lambda: why_down() == str(HUNG))
    alive.hypervisor.failure = None
    until(lambda: why_down() is None)
    alive.heartbeat.say_goodbye()


def test_disk_watch_measures(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path, 10)
    watch.start()
    usage = watch.first(10)
    watch.stop()
    assert usage is not None
    assert 0 < usage.free_bytes <= usage.total_bytes
    assert watch.why_unusable(1) is None


class _HungDisk(DiskWatch):
    """Its file system never answers."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 0.05)
        self.release = threading.Event()

    def measure(self) -> None:
        self.release.wait()


def test_disk_watch_does_not_wait_for_a_dead_file_system(tmp_path: Path) -> None:
    watch = _HungDisk(tmp_path)
    watch.start()
    assert watch.first(0.01) is None
    assert watch.why_unusable(60) is None
    clock.sleep_s(0.1)
    assert watch.why_unusable(0.01) == f"the file system of the instances path {tmp_path} has not answered for 0 s"
    watch.stop()
    watch.release.set()


def test_the_instances_path_is_made_if_it_is_missing(tmp_path: Path) -> None:
    ensure_directory(tmp_path / "a/b")
    ensure_directory(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
