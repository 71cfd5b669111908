"""Guests move between hosts that share their instances directory."""

from __future__ import annotations

import threading

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_moved, other
from tests.lab.wire import Wire, story
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("disks", [(), (DiskSpec("qcow2", 8, fill_mib=2),)], ids=["without disk", "with disk"])
def test_a_guest_moves(lab: Lab, wire: Wire, start: StartGuest, disks: tuple[DiskSpec, ...]) -> None:
    guest = start("node5", disks=disks)
    contents = guest.disk_checksums("node5")
    began = monotonic_s()
    ended = wire.move(guest.uuid, "node6", block_migration="false")
    assert_moved(lab, wire, guest, ended, since=began)
    assert guest.disk_checksums("node6") == contents


@pytest.mark.parametrize("point", ["pre_live_migration.after_do", "migrate.after_do"])
def test_a_failure_leaves_the_shared_files_alone(lab: Lab, wire: Wire, start: StartGuest, point: str) -> None:
    guest = start("node5", disks=(DiskSpec("qcow2", 4, fill_mib=1),))
    contents, before, began = guest.disk_checksums("node5"), World.of(lab), monotonic_s()
    (lab.faults_dir / f"step.{point}").write_text("raise once")
    ended = wire.move(guest.uuid, "node6")
    if point == "migrate.after_do":  # the guest was there already
        assert_moved(lab, wire, guest, ended, since=began)
        assert World.of(lab).files == before.files
    else:
        assert ended["status"] == "failed", story(ended)
        assert_unchanged(lab, before)
    assert guest.disk_checksums(wire.server(guest.uuid)["host"]) == contents


def test_a_paused_guest_stays_paused(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", paused=True)
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "completed", story(ended)
    assert guest.states() == {"node6": "paused"}
    assert wire.server(guest.uuid)["power_state"] == "paused"
    lab.host("node6").virsh("resume", guest.uuid)
    guest.wait_ticks(3)
    assert guest.report().is_unbroken


def test_a_transient_guest_stays_transient(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", transient=True)
    began = monotonic_s()
    ended = wire.move(guest.uuid, "node6")
    assert_moved(lab, wire, guest, ended, since=began)
    assert "Persistent:     no" in lab.host("node6").virsh("dominfo", guest.uuid).stdout


def test_the_scheduler_chooses_when_no_host_is_given(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    ended = wire.move(guest.uuid)
    assert ended["dest_host"] == other(home)
    assert_moved(lab, wire, guest, ended, since=began)


def test_force_goes_past_the_scheduler_but_not_past_the_checks(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    ended = wire.move(guest.uuid, other(home), version="2.67", force=True)
    assert ended["is_forced"]
    assert_moved(lab, wire, guest, ended, since=began)


def test_of_two_simultaneous_requests_one_wins(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    barrier, answers = threading.Barrier(2), []

    def ask() -> None:
        client = Wire(lab)
        client.server(guest.uuid)  # connected before the start
        barrier.wait()
        answers.append(client.act(guest.uuid, host=other(home), block_migration="auto"))
        client.http.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert (won.status_code, lost.status_code) == (202, 409), [answer.text for answer in answers]
    assert "while it is in task_state migrating" in lost.json()["conflictingRequest"]["message"]
    ended = wire.end(wire.of_request(won.headers["x-openstack-request-id"])["id"])
    assert_moved(lab, wire, guest, ended, since=began)


def test_there_and_back_ten_times(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    for _ in range(9):
        for destination in (other(home), home):
            ended = wire.move(guest.uuid, destination)
            assert ended["status"] == "completed", story(ended)
    for destination in (other(home), home):
        assert_moved(lab, wire, guest, wire.move(guest.uuid, destination), since=began)
