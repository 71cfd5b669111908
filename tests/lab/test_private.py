"""Guests move between hosts that each have an instances directory of their own: their disks move too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_moved
from tests.lab.wire import Wire, eventually, story
from tests.lab.world import World, assert_unchanged, domains_of, files_of_guest

pytestmark = pytest.mark.lab

RAW = DiskSpec("raw", 4, fill_mib=2)
THREE = (RAW, DiskSpec("qcow2", 8, fill_mib=2), DiskSpec("qcow2", 8, backing="base8.raw", fill_mib=1))


@pytest.fixture
def lab_kind() -> str:
    return "private"


@pytest.fixture
def slow_node5(lab: Lab) -> Iterator[None]:
    """A link on which a copy takes many seconds."""
    lab.slow("node5", "16mbit")
    yield
    lab.slow("node5", None)


@pytest.mark.parametrize("disks", [(RAW,), THREE], ids=["one disk", "three disks"])
def test_a_guest_moves_with_its_disks(lab: Lab, wire: Wire, start: StartGuest, disks: tuple[DiskSpec, ...]) -> None:
    guest = start("node5", disks=disks)
    contents, began = guest.disk_checksums("node5"), monotonic_s()
    ended = wire.move(guest.uuid, "node6", block_migration=True)
    assert_moved(lab, wire, guest, ended, since=began)
    assert guest.disk_checksums("node6") == contents
    # and back over what the first move left, if it left anything
    ended = wire.move(guest.uuid, "node5")
    assert_moved(lab, wire, guest, ended, since=began)
    assert guest.disk_checksums("node5") == contents


def test_a_guest_that_writes_to_its_disks_loses_nothing(lab: Lab, wire: Wire, start: StartGuest) -> None:
    disks = (DiskSpec("raw", 8), DiskSpec("qcow2", 16, backing="base16.raw"))
    guest = start("node5", kind="linux", memory_mib=192, disks=disks)
    began = monotonic_s()
    for destination in ("node6", "node5"):
        ended = wire.move(guest.uuid, destination)
        assert_moved(lab, wire, guest, ended, since=began)
    written = [int(heard.line.details["blocks"]) for heard in guest.lines()]
    assert written[-1] > written[0]


def test_a_guest_that_powers_off_during_the_copy_keeps_its_disks(lab: Lab, wire: Wire, start: StartGuest, slow_node5: None) -> None:
    guest = start("node5", disks=(RAW,), fill_mib=32, memory_mib=64)
    contents, files = guest.disk_checksums("node5"), files_of_guest(lab.host("node5"), guest.uuid)
    migration = wire.begin(guest.uuid, "node6")
    wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
    press_power_button(lab, guest)
    ended = wire.end(migration)
    assert ended["status"] == "failed", story(ended)
    assert guest.states() == {"node5": "shut off"}
    assert guest.disk_checksums("node5") == contents
    assert files_of_guest(lab.host("node5"), guest.uuid).keys() == files.keys()
    assert files_of_guest(lab.host("node6"), guest.uuid) == {}
    eventually("the record says stopped", lambda: wire.server(guest.uuid)["vm_state"] == "stopped")
    assert wire.server(guest.uuid)["host"] == "node5"
    books = World.of(lab).books
    assert not any(books.values()), books


def press_power_button(lab: Lab, guest: Guest) -> None:
    """The guest switches itself off at its next count; `virsh shutdown` would wait for the end of the copy."""
    lab.host("node5").virsh("qemu-monitor-command", guest.uuid, '{"execute": "system_powerdown"}')


def test_a_long_copy_keeps_nobody_waiting(lab: Lab, wire: Wire, start: StartGuest, slow_node5: None) -> None:
    slow, quick = start("node5", disks=(RAW,), fill_mib=48, memory_mib=80), start("node5", disks=(RAW,))
    migration = wire.begin(slow.uuid, "node6")
    wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
    ended = wire.move(quick.uuid, "node6")  # node6 looks at all its domains, and one of them waits for its memory
    assert ended["status"] == "completed", story(ended)
    assert wire.get(f"/v1/migrations/{migration}")["status"] == "running"
    assert wire.abort(slow.uuid, migration).status_code == 202
    assert wire.end(migration)["status"] == "cancelled"


def test_block_migration_false_is_refused_without_shared_storage(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", disks=(RAW,))
    before = World.of(lab)
    answer = wire.act(guest.uuid, "2.1", host="node6", block_migration="false", disk_over_commit=False)
    wanted = "node5 is not on shared storage: Shared storage live-migration requires either shared storage or boot-from-volume"
    assert answer.status_code == 400, answer.text
    assert wanted in answer.json()["badRequest"]["message"]
    assert_unchanged(lab, before)
    ended = wire.move(guest.uuid, "node6", block_migration=False)
    assert ended["status"] == "failed", story(ended)
    assert any(wanted in message for message in wire.action_messages(guest.uuid))
    assert_unchanged(lab, before)


def test_a_directory_left_on_the_destination_is_refused_and_left_alone(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", disks=(RAW,))
    leftover = lab.host("node6").instances_dir / guest.uuid
    leftover.mkdir()
    (leftover / "disk0").write_bytes(b"somebody's")
    before = World.of(lab)
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "failed", story(ended)
    assert f"/{guest.uuid}) already exists on node6" in ended["error"]
    assert_unchanged(lab, before)
    assert (leftover / "disk0").read_bytes() == b"somebody's"
    (leftover / "disk0").unlink()
    leftover.rmdir()
    assert wire.move(guest.uuid, "node6")["status"] == "completed"


def test_a_definition_left_on_the_destination_is_refused_and_left_alone(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5")
    definition = lab.host("node5").virsh("dumpxml", "--inactive", guest.uuid).stdout
    lab.host("node6").run(["virsh", "define", "/dev/stdin"], stdin=definition, check=True)
    eventually("node6 reports it", lambda: len(wire.server(guest.uuid)["sightings"]) == 2)
    before = World.of(lab)
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "failed", story(ended)
    assert f"UUID {guest.uuid} already exists on node6" in ended["error"]
    assert_unchanged(lab, before)
    assert ("node6", guest.uuid) in domains_of(lab.host("node6"))
