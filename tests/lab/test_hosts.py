"""What the host daemons notice: guests that come and go, a daemon that is down, a libvirtd that hangs."""

from __future__ import annotations

import signal

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.ids import new_uuid
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.labs import SETTINGS
from tests.lab.moves import assert_moved, other
from tests.lab.wire import Wire, eventually, story
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab


def test_a_host_tells_how_it_reaches_volumes(lab: Lab, wire: Wire) -> None:
    connector = wire.get("/v1/hosts/node6")["connector"]
    assert connector["initiator"].endswith(":node6")
    assert connector["protocols"] == ["iscsi", "nbd", "rbd"]  # Debian's QEMU with qemu-block-extra
    assert connector["multipath"] is False  # no multipathd in the lab


def test_a_guest_made_by_hand_appears_and_vanishes_visibly(lab: Lab, wire: Wire) -> None:
    uuid, node5 = new_uuid(), lab.host("node5")
    kind = "kvm" if lab.accel.is_kvm else "qemu"
    xml = f"<domain type='{kind}'><name>byhand</name><uuid>{uuid}</uuid><memory unit='MiB'>16</memory><os><type>hvm</type></os></domain>"

    def listed() -> dict[str, object]:
        return next((server for server in wire.nova("/servers/detail")["servers"] if server["id"] == uuid), {})

    node5.run(["virsh", "define", "/dev/stdin"], stdin=xml, check=True)
    try:
        eventually("it is found", lambda: listed().get("status") == "SHUTOFF")
        node5.virsh("start", uuid)
        eventually("it is seen running", lambda: listed().get("status") == "ACTIVE")
        assert listed()["OS-EXT-SRV-ATTR:host"] == "node5"
        node5.virsh("suspend", uuid)
        eventually("it is seen paused", lambda: listed().get("status") == "PAUSED")
    finally:
        node5.virsh("destroy", uuid, check=False)
        node5.virsh("undefine", uuid, check=False)
    eventually("it has vanished", lambda: "vanished" in str(wire.server(uuid)["anomaly"]))
    assert listed()["status"] == "UNKNOWN"
    assert wire.act(uuid, host="node6", block_migration="auto").status_code == 409


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_destination_without_its_daemon_is_refused(lab: Lab, wire: Wire, guest: Guest, how: signal.Signals) -> None:
    destination = other(wire.server(guest.uuid)["host"])
    host, before = lab.host(destination), World.of(lab)
    if how is signal.SIGTERM:
        host.stop_daemon("host")
    else:
        host.kill("host")
    try:
        eventually("the host is down", lambda: wire.get(f"/v1/hosts/{destination}")["state"] == "down", deadline_s=30)
        ended = wire.move(guest.uuid, destination)
        assert ended["status"] == "failed", story(ended)
        assert ended["error"].startswith(f"No valid host was found. {destination}: ")
        assert_unchanged(lab, before)
    finally:
        lab.start_daemon("host", destination)
    eventually("the host is up", lambda: wire.get(f"/v1/hosts/{destination}")["state"] == "up", deadline_s=30)
    began = monotonic_s()
    assert_moved(lab, wire, guest, wire.move(guest.uuid, destination), since=began)


def test_a_hung_libvirtd_makes_its_host_down(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5")
    deadline_s = (
        float(SETTINGS["LMIGRATE_HOST__LIBVIRT_DEADLINE_S"]) + float(SETTINGS["LMIGRATE_HOST__HEARTBEAT_INTERVAL_S"]) + 5
    )  # and a busy machine
    lab.host("node6").kill("libvirtd", signal.SIGSTOP)
    try:
        eventually("node6 is down", lambda: wire.get("/v1/hosts/node6")["state"] == "down", deadline_s)
        assert "did not answer" in wire.get("/v1/hosts/node6")["down_reason"]
        ended = wire.move(guest.uuid, "node6")
        assert ended["status"] == "failed", story(ended)
        assert "did not answer" in ended["error"]
    finally:
        lab.host("node6").kill("libvirtd", signal.SIGCONT)
    eventually("node6 is up", lambda: wire.get("/v1/hosts/node6")["state"] == "up", deadline_s)
    began = monotonic_s()
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)


def test_a_move_goes_on_without_its_daemon_and_is_adopted(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5", fill_mib=16, memory_mib=48)
    began = monotonic_s()
    lab.slow("node5", "32mbit")
    try:
        migration = wire.begin(guest.uuid, "node6")
        wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
        lab.host("node5").kill("host")
        lab.start_daemon("host", "node5")
        ended = wire.end(migration)
    finally:
        lab.slow("node5", None)
    assert_moved(lab, wire, guest, ended, since=began)
    assert any(step["name"] == "migrate" and step["tries"] > 1 for step in ended["steps"]), story(ended)
