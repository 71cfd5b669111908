"""A libvirtd that hangs, a disk that is full, a clock that is wrong: the migration ends by itself, and the next one works."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_home, assert_moved, other
from tests.lab.points import hold
from tests.lab.wire import Wire, eventually, story
from tests.lab.world import World, assert_unchanged
from tests.wrong_clock import wrong_clock

pytestmark = pytest.mark.lab


@pytest.fixture
def lab_kind() -> str:
    return "private"


def is_down(wire: Wire, host: str) -> bool:
    return bool(wire.get(f"/v1/hosts/{host}")["state"] == "down")


@contextmanager
def hung(lab: Lab, wire: Wire, host: str) -> Iterator[None]:
    """A libvirtd that is there and says nothing, long enough for everybody to have noticed."""
    lab.host(host).kill("libvirtd", signal.SIGSTOP)
    try:
        eventually(f"{host} is down", lambda: is_down(wire, host))
        assert "did not answer" in wire.get(f"/v1/hosts/{host}")["down_reason"]
        yield
    finally:
        lab.host(host).kill("libvirtd", signal.SIGCONT)
    eventually(f"{host} is up", lambda: not is_down(wire, host))


@pytest.mark.one_database
@pytest.mark.parametrize("where", ["node5", "node6"])
def test_a_libvirtd_that_hangs_during_the_copy(lab: Lab, wire: Wire, start: StartGuest, where: str) -> None:
    guest = start("node5", fill_mib=16, memory_mib=48)
    before, began = World.of(lab), monotonic_s()
    lab.slow("node5", "32mbit")
    try:
        migration = wire.begin(guest.uuid, "node6")
        wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
        with hung(lab, wire, where):
            assert wire.get(f"/v1/migrations/{migration}")["status"] == "running"
    finally:
        lab.slow("node5", None)
    ended = wire.end(migration, deadline_s=120)
    if ended["status"] == "completed":
        assert_moved(lab, wire, guest, ended, since=began)
        return
    assert ended["status"] == "failed", story(ended)
    assert_unchanged(lab, before)
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)


@pytest.mark.one_database
@pytest.mark.parametrize("step", ["post_at_destination", "post_at_source"])
def test_what_only_goes_forward_waits_for_a_libvirtd_that_hangs(lab: Lab, wire: Wire, guest: Guest, step: str) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    waiting = hold(lab, f"step.{step}.before_do")
    migration = wire.begin(guest.uuid, other(home))
    eventually("the guest has arrived", waiting.exists)
    with hung(lab, wire, other(home) if step == "post_at_destination" else home):
        waiting.unlink()
        wire.until(migration, lambda found: any(one["name"] == step and one["error"] for one in found["steps"]))
        assert wire.get(f"/v1/migrations/{migration}")["status"] != "error"
    assert_moved(lab, wire, guest, wire.end(migration, deadline_s=120), since=began)


@pytest.mark.one_database
@pytest.mark.parametrize("step", ["pre_live_migration", "migrate"])
def test_a_disk_that_fills_up_on_the_destination(lab: Lab, wire: Wire, start: StartGuest, step: str) -> None:
    """After the checks have seen room enough: before the files are made, and before they are filled."""
    guest, node6 = start("node5", disks=(DiskSpec("raw", 8, fill_mib=8),)), lab.host("node6")
    before, began, path = World.of(lab), monotonic_s(), str(node6.instances_path)
    base = f"{path}/_base"  # the guest's firmware
    steps = [f"cp -a {base} /run/base", f"mount -t tmpfs -o size=16m,nr_inodes=64 tmpfs {path}", f"mv /run/base {base}"]
    node6.run(["sh", "-c", " && ".join(steps)], check=True)
    try:
        waiting = hold(lab, f"step.{step}.before_do")
        migration = wire.begin(guest.uuid, "node6")
        eventually("the checks have passed", waiting.exists)
        node6.run(["dd", "if=/dev/zero", f"of={path}/filler", "bs=64k"])
        node6.run(["sh", "-c", f"i=0; while touch {path}/filler$i 2>/dev/null; do i=$((i+1)); done"])
        waiting.unlink()
        ended = wire.end(migration)
        left = node6.run(["ls", "-A", path]).stdout.split()
    finally:
        node6.run(["umount", path], check=True)
    assert ended["status"] == "failed", story(ended)
    assert "No space left" in ended["error"], story(ended)
    assert [name for name in left if not name.startswith("filler")] == ["_base"]
    assert_unchanged(lab, before)
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)


@pytest.mark.one_database
def test_a_stopped_daemon_leaves_the_copy_and_the_next_one_has_it_in_hand(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", fill_mib=48, memory_mib=80)
    before, began = World.of(lab), monotonic_s()
    lab.slow("node5", "8mbit")
    try:
        migration = wire.begin(guest.uuid, "node6")
        wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
        lab.host("node5").kill("host", signal.SIGTERM)
        eventually("it has ended", lambda: not lab.host("node5").is_running("host"), deadline_s=20)
        assert lab.host("node5").daemons()["host"].ending in {"exit 0", "exit 143"}  # the latter on a machine too busy for eight seconds
        assert "Unbounded" in lab.host("node5").virsh("domjobinfo", guest.uuid).stdout
        done = wire.get(f"/v1/migrations/{migration}")["progress"]["memory_processed_bytes"]
        lab.start_daemon("host", "node5")
        wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > done)
        assert wire.abort(guest.uuid, migration).status_code == 202
        ended = wire.end(migration)
    finally:
        lab.slow("node5", None)
    assert ended["status"] == "cancelled", story(ended)
    assert_unchanged(lab, before)
    assert_home(lab, wire, guest, "node5")
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken


def test_a_rolling_restart_of_everything_disturbs_no_guest(lab: Lab, wire: Wire, start: StartGuest) -> None:
    """What is copied is adopted; what has not begun may be taken back, if a daemon is away for longer than a host may be silent."""
    guests = [start("node5", fill_mib=8, memory_mib=40) for _ in range(3)]
    began = monotonic_s()
    lab.slow("node5", "24mbit")
    try:
        migrations = [wire.begin(guest.uuid, "node6") for guest in guests]
        wire.until(migrations[0], lambda found: found["progress"]["memory_processed_bytes"] > 0)
        for daemon, host in (("host", "node5"), ("host", "node6"), ("conductor", None), ("beat", None), ("api", None)):
            node = lab.host(host) if host else lab.node_of(daemon)
            node.stop_daemon(daemon)
            lab.start_daemon(daemon, host)
    finally:
        lab.slow("node5", None)
    eventually("the API is back", lambda: is_answering(wire))
    ended = [wire.end(migration, deadline_s=120) for migration in migrations]
    assert ended[0]["status"] == "completed", story(ended[0])
    for guest, migration in zip(guests, ended, strict=True):
        assert migration["status"] in {"completed", "failed"}, story(migration)
        moved = migration if migration["status"] == "completed" else wire.move(guest.uuid, "node6")
        assert_moved(lab, wire, guest, moved, since=began)


def is_answering(wire: Wire) -> bool:
    try:
        return wire.http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.postgresql
def test_hosts_whose_clocks_are_an_hour_off(lab: Lab, wire: Wire, guest: Guest) -> None:
    """One ahead, one behind, and the conductor behind as well: only the database's clock counts."""
    home = wire.server(guest.uuid)["host"]
    wrong = {("host", home): 3600, ("host", other(home)): -3600, ("conductor", None): -3600}
    try:
        for (daemon, host), off_s in wrong.items():
            node = lab.host(host) if host else lab.node_of(daemon)
            node.stop_daemon(daemon)
            lab.start_daemon(daemon, host, wrong_clock(lab.paths.top, off_s))
        eventually("all hosts are up", lambda: not any(is_down(wire, host) for host in lab.hosts))
        began = monotonic_s()
        assert_moved(lab, wire, guest, wire.move(guest.uuid, other(home)), since=began)
        (lab.faults_dir / "step.migrate.after_do").write_text("kill once")  # its lease is judged by the conductor
        ended = wire.move(guest.uuid, home)
        assert any(step["tries"] > 1 for step in ended["steps"]), story(ended)
        assert_moved(lab, wire, guest, ended, since=began)
        assert not any(is_down(wire, host) for host in lab.hosts)
    finally:
        for daemon, host in wrong:
            node = lab.host(host) if host else lab.node_of(daemon)
            node.stop_daemon(daemon)
            lab.start_daemon(daemon, host)
