"""What is refused leaves everything as it was, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.labs import SMALL_HOST
from tests.lab.moves import other
from tests.lab.wire import NEWEST, Wire, eventually, story
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab


def test_an_unknown_host_is_refused_before_anything_is_touched(lab: Lab, wire: Wire, guest: Guest) -> None:
    before = World.of(lab)
    answer = wire.act(guest.uuid, host="node99", block_migration="auto")
    assert answer.status_code == 400
    assert "Compute host node99 could not be found" in answer.json()["badRequest"]["message"]
    assert_unchanged(lab, before)


def test_an_unknown_server_is_not_found(wire: Wire) -> None:
    assert wire.act("11111111-1111-4111-8111-111111111111", host="node6", block_migration="auto").status_code == 404


@pytest.mark.parametrize("version", ["2.1", NEWEST])
def test_its_own_host_is_refused(lab: Lab, wire: Wire, guest: Guest, version: str) -> None:
    home, before = wire.server(guest.uuid)["host"], World.of(lab)
    if version == "2.1":
        answer = wire.act(guest.uuid, version, host=home, block_migration=False, disk_over_commit=False)
        assert answer.status_code == 400
        said = answer.json()["badRequest"]["message"]
    else:
        ended = wire.move(guest.uuid, home)
        assert ended["status"] == "failed", story(ended)
        said = ended["error"]
    assert f"Unable to migrate instance ({guest.uuid}) to current host ({home})" in said
    assert_unchanged(lab, before)


def test_a_host_without_memory_is_refused(lab: Lab, wire: Wire, guest: Guest) -> None:
    before = World.of(lab)
    ended = wire.move(guest.uuid, SMALL_HOST)
    assert ended["status"] == "failed", story(ended)
    assert ended["error"].startswith(f"No valid host was found. {SMALL_HOST}: ")
    assert "Lack of memory" in ended["error"]
    assert_unchanged(lab, before)


def test_no_valid_host_says_why_for_each(lab: Lab, wire: Wire, guest: Guest) -> None:
    candidate = other(wire.server(guest.uuid)["host"])
    before = World.of(lab)
    assert wire.http.patch(f"/v1/hosts/{candidate}", json={"enabled": False, "reason": "new memory"}).status_code == 200
    try:
        ended = wire.move(guest.uuid)
    finally:
        wire.http.patch(f"/v1/hosts/{candidate}", json={"enabled": True})
    assert ended["status"] == "failed", story(ended)
    assert ended["error"].startswith("No valid host was found. ")
    assert "new memory" in ended["error"]
    for host in (candidate, SMALL_HOST):
        assert f"{host}: " in ended["error"]
    assert any(ended["error"] in message for message in wire.action_messages(guest.uuid))
    assert_unchanged(lab, before)


@pytest.mark.kvm
def test_a_cpu_that_the_destination_lacks_is_refused(lab: Lab, wire: Wire, start: StartGuest) -> None:
    # A missing feature would do as well, but a running domain's <cpu> names only what the source's CPU really has, and
    # both hosts are this machine; a vendor is not corrected.  (TCG guests have no mismatch: they are not compared.)
    vendor = "Intel" if "AuthenticAMD" in Path("/proc/cpuinfo").read_text() else "AMD"
    guest = start("node5", cpu=f"<cpu mode='custom' match='exact' check='none'><model>qemu64</model><vendor>{vendor}</vendor></cpu>")
    before = World.of(lab)
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "failed", story(ended)
    assert "Unacceptable CPU info: the guest's CPU cannot run on node6" in ended["error"]
    assert "vendor" in ended["error"]
    assert_unchanged(lab, before)


def test_a_stopped_guest_is_refused(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5")
    lab.host("node5").virsh("destroy", guest.uuid)
    eventually("the record says stopped", lambda: wire.server(guest.uuid)["vm_state"] == "stopped")
    before = World.of(lab)
    answer = wire.act(guest.uuid, host="node6", block_migration="auto")
    assert answer.status_code == 409
    wanted = f"Cannot 'os-migrateLive' instance {guest.uuid} while it is in vm_state stopped"
    assert wanted in answer.json()["conflictingRequest"]["message"]
    assert_unchanged(lab, before)


def test_block_migration_is_refused_on_shared_storage(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", disks=(DiskSpec("qcow2", 4),))
    before = World.of(lab)
    wanted = "node5 is not on local storage: Block migration can not be used with shared storage."
    answer = wire.act(guest.uuid, "2.1", host="node6", block_migration="true", disk_over_commit=False)
    assert answer.status_code == 400, answer.text
    assert wanted in answer.json()["badRequest"]["message"]
    assert_unchanged(lab, before)
    ended = wire.move(guest.uuid, "node6", block_migration="true", version="2.34")
    assert ended["status"] == "failed", story(ended)
    assert any(wanted in message for message in wire.action_messages(guest.uuid))
    assert_unchanged(lab, before)
