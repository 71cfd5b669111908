"""Whatever fails or dies: access to the volumes is as before, or the destination's alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from lmigrate.clock import monotonic_s, sleep_s
from lmigrate.lab.topology import Lab
from tests.lab.moves import aborted_in_the_copy, assert_moved, other
from tests.lab.points import hold, inject, standing_at
from tests.lab.volumes.carrier import Carrier, access, assert_access_unchanged, libvirt_secrets, secrets_out_of_place, tgtadm
from tests.lab.volumes.conftest import LOCAL, StartCarrier
from tests.lab.wire import Json, Wire, eventually, story
from tests.lab.world import World, assert_unchanged

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

RAISES = [
    "grant.before",
    "grant.after",
    "step.grant_volumes.before_do",
    "step.grant_volumes.after_do",
    "step.pre_live_migration.before_do",
    "step.pre_live_migration.after_do",
    "step.migrate.before_do",
]
UNDOS = ["undo.grant_volumes.san1.before", "revoke.before", "revoke.after", "undo.pre_live_migration.after"]
STORAGE_KILLS = ["grant.before", "grant.after", "step.grant_volumes.after_do", "step.grant_volumes.after_commit"]
UNDO_KILLS = ["undo.grant_volumes.san1.before", "revoke.before", "revoke.after", "undo.grant_volumes.san1.after"]
#: `connect.after` is passed after each volume: the first passer dies between the first and the second
HOST_KILLS = ["step.pre_live_migration.before_do", "connect.after", "step.pre_live_migration.after_do"]
HOST_UNDO_KILLS = ["disconnect.after", "undo.pre_live_migration.after"]
FORWARD_KILLS = ["revoke.before", "revoke.after", "step.revoke_volumes.after_do"]
ABORTS = ["step.grant_volumes.before_do", "grant.after"]
ABOUT_TO_PREPARE = "step.pre_live_migration.before_do"
LAST_STRAW = "step.migrate.before_do"


@pytest.fixture
def storage_is_kept_running(lab: Lab) -> Iterator[None]:
    """What systemd does: start the storage daemon again when it has died."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.1):
            if not lab.ctl.is_running("storage"):
                lab.start_daemon("storage")

    thread = threading.Thread(target=keep)
    thread.start()
    yield
    over.set()
    thread.join()


def assert_fails_and_leaves_no_trace(lab: Lab, wire: Wire, carrier: Carrier, said: str, meddle: Callable[[], None] | None = None) -> Json:
    """A move that fails; everything is as before. ``meddle`` runs while the destination is about to prepare."""
    home = wire.server(carrier.uuid)["host"]
    world, before = World.of(lab), access(lab)
    held = None if meddle is None else hold(lab, ABOUT_TO_PREPARE)
    migration = wire.begin(carrier.uuid, other(home))
    if meddle is not None and held is not None:
        with standing_at(held):
            assert carrier.let_in() == [["node5", "node6"]] * 3
            meddle()
    ended = wire.end(migration)
    assert ended["status"] == "failed", story(ended)
    assert said in ended["error"], story(ended)
    assert_access_unchanged(lab, before)
    assert_unchanged(lab, world)
    return ended


def assert_moves(lab: Lab, wire: Wire, carrier: Carrier) -> Json:
    """The next move meets no leftovers."""
    destination, began = other(wire.server(carrier.uuid)["host"]), monotonic_s()
    ended = wire.move(carrier.uuid, destination)
    assert_moved(lab, wire, carrier.guest, ended, since=began)
    carrier.assert_only(destination)
    return ended


@pytest.mark.parametrize("point", RAISES)
def test_a_failure_leaves_no_trace(lab: Lab, wire: Wire, carrier: Carrier, point: str) -> None:
    inject(lab, point, "raise once")
    assert_fails_and_leaves_no_trace(lab, wire, carrier, f"Injected by a fail point: {point}")


@pytest.mark.both_databases
def test_a_second_try_right_after_a_failure_moves(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    inject(lab, "step.migrate.before_do", "raise once")
    assert_fails_and_leaves_no_trace(lab, wire, carrier, "Injected")
    assert_moves(lab, wire, carrier)


@pytest.mark.parametrize("point", ABORTS)
def test_an_abort_while_access_is_granted_leaves_no_trace(lab: Lab, wire: Wire, carrier: Carrier, point: str) -> None:
    home = wire.server(carrier.uuid)["host"]
    world, before = World.of(lab), access(lab)
    held = hold(lab, point)
    migration = wire.begin(carrier.uuid, other(home))
    with standing_at(held):
        wire.status(migration, "preparing")
        answer = wire.abort(carrier.uuid, migration)
        assert answer.status_code == 202, answer.text
    ended = wire.end(migration)
    assert ended["status"] == "cancelled", story(ended)
    assert_access_unchanged(lab, before)
    assert_unchanged(lab, world)


@pytest.mark.parametrize("point", UNDOS)
def test_an_undo_that_fails_is_done_again(lab: Lab, wire: Wire, carrier: Carrier, point: str) -> None:
    inject(lab, LAST_STRAW, "raise once")
    inject(lab, point, "raise once")
    assert_fails_and_leaves_no_trace(lab, wire, carrier, LAST_STRAW)
    assert not (lab.faults_dir / point).exists()


@pytest.mark.parametrize("point", [*STORAGE_KILLS, *UNDO_KILLS, *HOST_KILLS, *HOST_UNDO_KILLS])
def test_a_worker_that_dies_before_the_switchover_leaves_no_trace(
    lab: Lab, wire: Wire, carrier: Carrier, storage_is_kept_running: None, point: str
) -> None:
    began = monotonic_s()
    inject(lab, point, "kill once")
    inject(lab, LAST_STRAW, "raise once")
    assert_fails_and_leaves_no_trace(lab, wire, carrier, LAST_STRAW)
    assert not (lab.faults_dir / point).exists()
    assert_well(carrier, began)


def assert_well(carrier: Carrier, since: float) -> None:
    carrier.guest.wait_ticks(2)
    assert carrier.guest.report(since).is_unbroken


def test_a_worker_that_dies_before_the_move_is_replaced_and_the_guest_moved(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    inject(lab, LAST_STRAW, "kill once")
    ended = assert_moves(lab, wire, carrier)
    assert {step["name"]: step["tries"] for step in ended["steps"]}["migrate"] == 2, story(ended)


def test_a_daemon_that_dies_before_the_move_leaves_no_trace_of_what_was_connected(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    home, began = wire.server(carrier.uuid)["host"], monotonic_s()
    world, before = World.of(lab), access(lab)
    held = hold(lab, LAST_STRAW)
    migration = wire.begin(carrier.uuid, other(home))
    with standing_at(held):
        assert len(libvirt_secrets(lab.host(other(home))).keys() - before["secrets"][other(home)].keys()) == len(carrier.volumes)
        assert wire.abort(carrier.uuid, migration).status_code == 202
        lab.host(home).kill("host")
    assert lab.start_daemon("host", home)
    ended = wire.end(migration)
    assert ended["status"] == "cancelled", story(ended)
    assert_access_unchanged(lab, before)
    assert_unchanged(lab, world)
    assert_well(carrier, began)


def test_a_worker_that_dies_when_it_has_undone_the_move_leaves_no_trace(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier = carry(2, fill_mib=24, memory_mib=64)
    world, before, began = World.of(lab), access(lab), monotonic_s()
    inject(lab, "undo.migrate.after", "kill once")
    aborted_in_the_copy(lab, wire, carrier.uuid)
    assert not (lab.faults_dir / "undo.migrate.after").exists()
    assert_access_unchanged(lab, before)
    assert_unchanged(lab, world)
    assert_well(carrier, began)


@pytest.mark.both_databases
@pytest.mark.parametrize("point", FORWARD_KILLS)
def test_a_storage_daemon_that_dies_after_the_switchover_goes_on(
    lab: Lab, wire: Wire, carrier: Carrier, storage_is_kept_running: None, point: str
) -> None:
    inject(lab, point, "kill once")
    assert_moves(lab, wire, carrier)
    assert not (lab.faults_dir / point).exists()


def test_the_second_of_three_volumes_does_not_let_the_destination_in(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    destination = other(wire.server(carrier.uuid)["host"])

    def meddle() -> None:
        target = carrier.targets()[1]
        initiator = next(name for name in target.initiators if name.endswith(destination))
        tgtadm(lab, "unbind", "target", "--tid", str(target.tid), "--initiator-name", initiator)

    ended = assert_fails_and_leaves_no_trace(lab, wire, carrier, "(vdc) cannot be reached from here", meddle)
    assert lab.state.secret_key not in str(ended)


def test_a_wrong_chap_secret_is_refused(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    def meddle() -> None:
        target = carrier.targets()[2]
        account = target.accounts[-1]  # the destination's: the newest
        tgtadm(lab, "unbind", "account", "--tid", str(target.tid), "--user", account)
        tgtadm(lab, "delete", "account", "--user", account)
        tgtadm(lab, "new", "account", "--user", account, "--password", "not-what-was-said")
        tgtadm(lab, "bind", "account", "--tid", str(target.tid), "--user", account)

    assert_fails_and_leaves_no_trace(lab, wire, carrier, "(vdd) cannot be reached from here", meddle)


@pytest.mark.both_databases
def test_libvirt_itself_fails_to_move(lab: Lab, wire: Wire, carrier: Carrier) -> None:
    home = wire.server(carrier.uuid)["host"]
    world, before = World.of(lab), access(lab)
    held = hold(lab, LAST_STRAW)
    migration = wire.begin(carrier.uuid, other(home))
    node = lab.host(other(home))
    with standing_at(held):
        new = libvirt_secrets(node).keys() - before["secrets"][node.name].keys()
        assert len(new) == 3
        for uuid in new:
            node.virsh("secret-undefine", uuid)  # the destination's QEMU cannot log in now
    ended = wire.end(migration)
    assert ended["status"] == "failed", story(ended)
    assert_access_unchanged(lab, before)
    assert_unchanged(lab, world)
    assert_moves(lab, wire, carrier)


def test_a_volume_that_is_removed_under_way_fails_the_move(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier = carry(2)
    world, before = World.of(lab), access(lab)
    held = hold(lab, ABOUT_TO_PREPARE)
    migration = wire.begin(carrier.uuid, "node6")
    with standing_at(held):
        assert carrier.let_in() == [["node5", "node6"]] * 2
        gone = carrier.targets()[1]
        tgtadm(lab, "delete", "target", "--tid", str(gone.tid), "--force")
        carrier.volumes[1].path.unlink()
    ended = wire.end(migration)
    assert ended["status"] == "failed", story(ended)
    assert "(vdc) cannot be reached from here" in ended["error"]
    now = access(lab)
    assert (now["mappings"], now["attachments"]) == (before["mappings"], before["attachments"])
    assert carrier.let_in() == [["node5"]]
    assert carrier.logged_in() == {"node5"}
    assert secrets_out_of_place(lab) == {}
    assert_unchanged(lab, world)


def revive_tgtd(lab: Lab) -> None:
    """tgtd comes back, knowing nothing; so does the storage daemon, which tells it all again."""
    lab.start_daemon("tgtd")
    lab.kill("storage")
    lab.start_daemon("storage")


def test_tgtd_dies_while_the_destination_prepares(lab: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, began = carry(2), monotonic_s()
    world = World.of(lab)
    held = hold(lab, ABOUT_TO_PREPARE)
    migration = wire.begin(carrier.uuid, "node6")
    with standing_at(held):
        assert carrier.let_in() == [["node5", "node6"]] * 2
        lab.kill("tgtd")
    wire.until(migration, lambda found: found["phase"] == "rolling-back")
    revive_tgtd(lab)
    ended = wire.end(migration)
    assert ended["status"] == "failed", story(ended)
    eventually("tgtd lets in whom it let in before", lambda: carrier.let_in() == [["node5"]] * 2, 40)
    eventually("the guest is logged in again", lambda: carrier.logged_in() == {"node5"})
    carrier.assert_only("node5")
    assert_unchanged(lab, world)
    carrier.guest.wait_ticks(3)
    assert carrier.guest.report(began).is_unbroken
    ended = wire.move(carrier.uuid, "node6")
    assert ended["status"] == "completed", story(ended)
    carrier.assert_only("node6")


def test_tgtd_dies_during_the_copy(lab: Lab, wire: Wire, carry: StartCarrier, slow_node5: None) -> None:
    carrier, began = carry(2, kind="linux", memory_mib=160, disks=(LOCAL,)), monotonic_s()
    migration = wire.begin(carrier.uuid, "node6")
    wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
    lab.kill("tgtd")
    sleep_s(1.0)
    revive_tgtd(lab)
    ended = wire.end(migration, 90)
    home = {"completed": "node6", "failed": "node5"}[ended["status"]]
    assert carrier.guest.states() == {home: "running"}
    carrier.guest.wait_ticks(10, timeout_s=60)  # it writes, and has read back what it wrote
    assert carrier.guest.report(began).bad == 0
    eventually("only its host is let in", lambda: carrier.let_in() == [[home]] * 2, 40)
    carrier.assert_only(home)


@pytest.fixture
def slow_node5(lab: Lab) -> Iterator[None]:
    lab.slow("node5", "64mbit")
    yield
    lab.slow("node5", None)
